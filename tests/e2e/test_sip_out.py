"""A server that calls a telephone over a trunk, and puts callers through to it: blind and warm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from baresip import Baresip, baresip, strength, tone
from serving import REPOSITORY, Server

from telebot.audio import g711
from telebot.phone.destination import Destination
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

HOST = "127.0.0.1"
BOB_HZ = 1000
LATELY = 8 * 16_000  # bytes: the last eight seconds


@asynccontextmanager
async def office(folder: Path, *, warm: bool = False) -> AsyncIterator[tuple[Server, Baresip]]:
    """A server whose trunk leads to Bob's telephone, and whose front desk puts through to Bob."""
    async with baresip(folder, "bob", tone(BOB_HZ, 60), account=";answermode=auto") as bob:
        home = folder / "config"
        (home / "agents").mkdir(parents=True)
        for path in (REPOSITORY / "config" / "agents").glob("*.yaml"):
            tree = yaml.safe_load(path.read_text())
            if path.stem == "front-desk":
                tree["facts"]["staff_number"] = bob.uri
                tree["intents"]["person"]["warm"] = warm
            (home / "agents" / path.name).write_text(yaml.safe_dump(tree, sort_keys=False))
        (home / "numbers.yaml").write_text('numbers:\n  "*": front-desk\n')
        settings = {
            "outbound": {"allowed_prefixes": [bob.uri], "caller_id": "+441632960000"},
            "server": {"drain_s": 5},
        }
        (home / "telebot.yaml").write_text(yaml.safe_dump(settings))
        trunk = {
            "peers": [HOST],
            "prefixes": [bob.uri],
            "outbound": {"hosts": [f"{HOST}:{bob.sip}"]},
        }
        (home / "trunks.yaml").write_text(yaml.safe_dump({"trunks": {"office": trunk}}))
        with Server(folder / "data", home / "telebot.yaml") as server:
            yield server, bob


async def hears(bob: Baresip, words: str, speech: LocalSpeech) -> str:
    """Within a while Bob hears these words."""
    async with asyncio.timeout(30):
        while True:
            text = (await speech.hear(g711.encode(bob.heard()[-LATELY:]))).lower()
            if words in text:
                return text
            await asyncio.sleep(0.5)


def heard(phone: Phone, hz: float) -> bool:
    """The last second of what our caller hears is that tone."""
    return strength(g711.decode(phone.stream.playout.heard()[-8000:]), hz) > 0.9


async def test_a_call_that_a_program_has_us_make(tmp_path: Path, speech: LocalSpeech) -> None:
    async with office(tmp_path) as (server, bob):
        row = await server.post("/v1/calls", {"to": bob.uri, "trunk": "office"})
        assert (row["carrier"], row["direction"]) == ("sip", "outbound")
        await bob.event("CALL_ESTABLISHED")
        assert "how can i help" in await hears(bob, "help", speech)
        await bob.hang_up()
        record = await server.record(row["carrier_call_id"])
        assert record["termination"] == {"result": "completed", "reason": "caller_hangup"}
        assert record["turns"][0]["bot_text_heard"]


@pytest.mark.parametrize("warm", [False, True])
async def test_a_caller_asks_for_a_person(tmp_path: Path, speech: LocalSpeech, warm: bool) -> None:
    async with office(tmp_path, warm=warm) as (server, bob):
        to = Destination(f"sip:100@{HOST}:{server.sip_port}", "", carrier="sip")
        async with Phone(to, speech) as phone:
            await phone.heard()
            await phone.speak("Can I speak to a person, please?")
            await bob.event("CALL_ESTABLISHED")
            if warm:
                await hears(bob, "caller for you", speech)
            # our telephone takes no REFER: both are connected in the server
            tone_heard = lambda: heard(phone, BOB_HZ)  # noqa: E731
            assert await phone.line.until(tone_heard, 30.0)
            await phone.speak("This is Johnson speaking.")
            await hears(bob, "johnson", speech)
        await bob.event("CALL_CLOSED")
        record = await server.record(to.call_sid)
        assert record["termination"] == {"result": "transferred", "reason": "transferred"}
        assert record["duration_s"] > 5
