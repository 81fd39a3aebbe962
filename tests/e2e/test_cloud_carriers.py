"""Spoken calls by way of the cloud carriers, each signed and over its own wire."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from serving import Server, free_port

from telebot.phone.destination import CannotCall, Destination
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
TOKEN = "an auth token of the tests"
TWILIO = Carrier(
    "twilio", TOKEN, {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": TOKEN}
)


@pytest.fixture(scope="module")
def server(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that every one of them knows, and that cannot reach their REST."""
    port, nobody = free_port(), f"http://127.0.0.1:{free_port()}"
    environ = {"TELEBOT_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    for carrier in (*CARRIERS, TWILIO):
        environ |= {f"{carrier.name.upper()}_BASE_URL": nobody, **carrier.environ}
    http = f"127.0.0.1:{port}"
    with Server(tmp_path_factory.mktemp("data"), config, http, **environ) as one:
        yield one


# a conversation takes time, and hardly any of the machine's
@pytest.mark.parametrize("pair", [CARRIERS[:2], CARRIERS[2:]])
async def test_a_question_an_interruption_and_a_goodbye_over_each(
    server: Server, speech: LocalSpeech, pair: list[Carrier]
) -> None:
    await asyncio.gather(*(_conversation(server, speech, each) for each in pair))


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


async def test_a_call_that_twilio_would_make(server: Server, speech: LocalSpeech) -> None:
    to = Destination(server.url, TOKEN, carrier="twilio", phone_to="+442079460000")
    async with Phone(to, speech) as phone:
        assert await phone.heard()
        goodbye = await phone.say("Goodbye")
        assert "goodbye" in goodbye.heard.lower()
        # the REST is out of reach: that is nothing the caller should wait for
        hung_up_within = phone.stream.position + 3 * 8000
        assert await phone.until_over(10)
        assert phone.stream.position < hung_up_within
    assert phone.apology == ""
    assert phone.stream.faults == []
    record = await server.record(to.call_sid)
    assert record["carrier"] == "twilio"
    assert record["to"] == "+442079460000"
    assert record["termination"] == {"result": "completed", "reason": "bot_hangup"}


async def test_another_token_is_refused(server: Server, speech: LocalSpeech) -> None:
    before = (await server.get("/v1/calls"))["data"]
    to = Destination(server.url, "guessed", carrier="twilio")
    with pytest.raises(CannotCall, match="403"):
        async with Phone(to, speech):
            pass
    assert (await server.get("/v1/calls"))["data"] == before
