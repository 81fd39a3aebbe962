"""Sessions whose providers and language change in mid-conversation: the next turn is really heard,
thought about and spoken by the others, which are simulated on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aside import desks
from serving import Server
from session_client import SessionClient
from simulated import Simulated

from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

VENDORS = ("openai", "deepgram", "elevenlabs", "gemini")


@pytest.fixture(scope="module")
def server(together: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With an agent that uses this machine alone, and one that uses vendors."""
    guest = {"prompt": "You are the front desk.", "llm": "openai", "stt": ["deepgram", "local"]}
    folder = tmp_path_factory.mktemp("desk")
    with desks(folder, together.environ, desk={}, guest=guest) as one:
        yield one


def client(server: Server, speech: LocalSpeech, **options: Any) -> SessionClient:
    return SessionClient(server.url, speech, key=server.key, **options)


async def test_another_language_reaches_recogniser_voice_and_model(
    server: Server, vendors: Simulated, speech: LocalSpeech
) -> None:
    async with client(server, speech, agent="guest") as session:
        assert (await session.of("ready"))["language"] == "en"
        await session.of("turn", turn=0)
        done = await session.ask("setProvider", provider={"data_collection": "deny"})
        assert set(done["providers"].values()) == {"local", "dialog"}, "nothing leaves the machine"
        refused = await session.ask("setLanguage", language="de-DE")
        assert (refused["type"], refused["code"]) == ("error", "no_provider"), "it speaks English"
        vendors.sim.asked.clear()
        done = await session.ask("setProvider", provider={"data_collection": "allow"})
        assert done["providers"]["stt"] == "deepgram/nova-3"
        # the one that listens in English has connected, and is not counted below
        await vendors.until(lambda: any("listen" in each for each in vendors.sim.asked))
        vendors.sim.asked.clear()
        done = await session.ask("setLanguage", language="de-DE")
        assert (done["type"], done["language"]) == ("ok", "de-DE"), done
        await session.say("When are you open?")
        await session.until(lambda m: m["type"] == "turn" and m["text"])
    heard = [
        each for each in vendors.sim.asked if each.startswith("/deepgram") and "listen" in each
    ]
    # the one before may still have been connecting when it was asked for no more
    assert heard
    assert "language=de" in heard[-1], heard
    assert len([each for each in heard if "language=de" not in each]) <= 1, heard
    spoken = [each for each in vendors.sim.asked if "multi-stream-input" in each]
    assert spoken
    assert all("language_code=de" in each for each in spoken), spoken


async def test_others_take_over_between_two_turns(
    server: Server, vendors: Simulated, speech: LocalSpeech
) -> None:
    """Comes last: it leaves a vendor out of order."""
    async with client(server, speech) as session:
        ready = await session.of("ready")
        assert set(ready["providers"].values()) == {"local", "dialog"}
        await session.of("turn", turn=0)
        await session.ask("text", text="I would like to book a table for four people")
        assert "day" in (await session.of("turn", turn=1))["reply"].lower()
        # another voice and another recogniser: the form goes on where it was
        wished = {"stt": "deepgram/nova-3", "tts": "elevenlabs"}
        done = await session.ask("setProvider", provider=wished)
        assert done["type"] == "ok", done
        assert done["providers"]["stt"] == "deepgram/nova-3"
        assert done["providers"]["tts"].startswith("elevenlabs/")
        assert done["providers"]["llm"] == "dialog"
        vendors.sim.requests.clear()
        since = len(session.messages)
        await session.words()
        await session.say("On Saturday evening, please.")
        turn = await session.until(lambda m: m["type"] == "turn" and m["text"], since)
        assert turn["providers"]["stt"] == "deepgram/nova-3"
        assert turn["providers"]["tts"].startswith("elevenlabs/")
        assert "name" in turn["reply"].lower(), turn
        assert "name" in (await session.words()).lower()
        assert {"characters", "s"} <= {use["unit"] for use in turn["usage"]}
        # a model that reads what was said before
        assert (await session.ask("setProvider", provider={"llm": "openai"}))["type"] == "ok"
        since = len(session.messages)
        await session.ask("text", text="When are you open?")
        turn = await session.of("turn", since)
        assert turn["providers"]["llm"].startswith("openai/")
        assert turn["providers"]["stt"] == "deepgram/nova-3", "what is not named stays"
        assert ("openai", "llm") in vendors.sim.requests
        # one that fails in mid-session is replaced, and the client is told
        vendors.fault("deepgram.stt=drop@connect", "deepgram.stt=drop@first")
        vendors.sim.faults.on *= 20
        since = len(session.messages)
        assert (await session.ask("setProvider", provider={"stt": "deepgram"}))["type"] == "ok"
        await session.say("Where can I park my car?")
        turn = await session.until(lambda m: m["type"] == "turn" and m["text"], since)
        assert "park" in turn["text"].lower()
        assert turn["providers"]["stt"] == "local"
        told = await session.of("failover", since)
        assert (told["kind"], told["provider"]) == ("stt", "deepgram/nova-3")
