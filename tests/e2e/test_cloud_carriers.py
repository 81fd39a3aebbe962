"""Spoken calls by way of the cloud carriers, each signed and over its own wire."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from serving import Server, Start, free_port

from telebot.phone.destination import Destination
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@dataclass(frozen=True)
class Carrier:
    """What the server knows of a carrier, and what the carrier signs with."""

    name: str
    secret: str
    environ: dict[str, str] = field(default_factory=dict)


CARRIERS = [
    Carrier(
        "telnyx",
        _base64(ED25519.private_bytes_raw()),
        {"TELNYX_PUBLIC_KEY": _base64(ED25519.public_key().public_bytes_raw())},
    ),
    Carrier("vonage", "a secret " * 4, {"VONAGE_SIGNATURE_SECRET": "a secret " * 4}),
    Carrier("exotel", "key:token", {"EXOTEL_API_KEY": "key", "EXOTEL_API_TOKEN": "token"}),
    Carrier("plivo", "a token of the tests", {"PLIVO_AUTH_TOKEN": "a token of the tests"}),
]


@pytest.fixture
def cloud_server(start: Start) -> Server:
    """A server that every one of them knows, and that cannot reach their REST."""
    port, nobody = free_port(), f"http://127.0.0.1:{free_port()}"
    environ = {"TELEBOT_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    for carrier in CARRIERS:
        environ |= {f"{carrier.name.upper()}_BASE_URL": nobody, **carrier.environ}
    return start(f"127.0.0.1:{port}", **environ)


async def test_a_question_an_interruption_and_a_goodbye_over_each(
    cloud_server: Server, speech: LocalSpeech
) -> None:
    for pair in (CARRIERS[:2], CARRIERS[2:]):  # a conversation takes time, hardly any machine
        await asyncio.gather(*(_conversation(cloud_server, speech, each) for each in pair))


async def _conversation(server: Server, speech: LocalSpeech, carrier: Carrier) -> None:
    to = Destination(server.url, carrier.secret, carrier=carrier.name, phone_to="+15550100")
    async with Phone(to, speech) as phone:
        assert await phone.heard()
        answer = await phone.say("Are you open on Mondays?")
        assert "closed" in answer.heard.lower(), carrier.name
        await phone.utter(await speech.speak("When are you open?"))
        cut = await phone.interrupt("Wait, where can I park?", 0.6)
        assert any(word in cut.heard.lower() for word in ("park", "behind")), cut.heard
        await phone.say("Goodbye")
        assert await phone.until_over(15)
    assert phone.apology == ""
    assert phone.stream.faults == []
    [row] = (await server.get(f"/v1/calls?carrier={carrier.name}"))["data"]
    assert row["to"] == "+15550100"
    record = await server.record(row["carrier_call_id"])
    assert record["termination"] == {"result": "completed", "reason": "bot_hangup"}
    assert [turn["interrupted"] for turn in record["turns"]].count(True) >= 1
