"""Spoken calls by way of PBXs and platforms, on this machine: each over its own wire."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server

from telebot.phone.destination import Destination
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

# side by side: a conversation takes its time, and hardly any of the machine's
CARRIERS = [("asterisk", "audiosocket", "freeswitch"), ("audiofork", "jambonz", "genesys")]


# what the server knows of them; nobody answers at the addresses, which only an end needs
ENVIRON = {
    "FREESWITCH_BASE_URL": "http://127.0.0.1:9",
    "JAMBONZ_WEBHOOK_SECRET": "a secret of the tests",
    "GENESYS_API_KEY": "a key of the tests",
    "GENESYS_CLIENT_SECRET": "YSBzZWNyZXQgb2YgdGhlIHRlc3Rz",
}
SECRETS = {
    "jambonz": ENVIRON["JAMBONZ_WEBHOOK_SECRET"],
    "genesys": f"{ENVIRON['GENESYS_API_KEY']}:{ENVIRON['GENESYS_CLIENT_SECRET']}",
}


@pytest.fixture(scope="module")
def server(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of them."""
    with Server(tmp_path_factory.mktemp("data"), config, **ENVIRON) as one:
        yield one


@pytest.mark.parametrize("carriers", CARRIERS)
async def test_a_question_an_interruption_and_a_goodbye(
    server: Server, speech: LocalSpeech, carriers: tuple[str, ...]
) -> None:
    await asyncio.gather(*(_conversation(server, speech, carrier) for carrier in carriers))


async def _conversation(server: Server, speech: LocalSpeech, carrier: str) -> None:
    secret = SECRETS.get(carrier, "")
    to = Destination(server.url, secret, carrier=carrier, phone_to="100", media=server.audiosocket)
    async with Phone(to, speech) as phone:
        assert await phone.heard()
        answer = await phone.say("Are you open on Mondays?")
        assert "closed" in answer.heard.lower(), carrier
        await phone.utter(await speech.speak("When are you open?"))
        cut = await phone.interrupt("Wait, where can I park?", 0.6)
        assert any(word in cut.heard.lower() for word in ("park", "behind")), (carrier, cut.heard)
        await phone.say("Goodbye")
        assert await phone.until_over(15)
    assert phone.stream.faults == []
    [row] = (await server.get(f"/v1/calls?carrier={carrier}"))["data"]
    assert row["to"] == "100"
    record = await server.record(row["carrier_call_id"])
    assert record["termination"] == {"result": "completed", "reason": "bot_hangup"}
    assert [turn["interrupted"] for turn in record["turns"]].count(True) >= 1
