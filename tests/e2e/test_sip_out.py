"""A server that calls a telephone over a trunk, and puts callers through to it: blind and warm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml
from baresip import SIP_PORTS, Baresip, baresip, strength, tone
from program import free_ports
from serving import REPOSITORY, Server

from telebot.audio import g711
from telebot.phone.destination import Destination
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

HOST = "127.0.0.1"
BOB_HZ = 1000
LATELY = 8 * 16_000  # bytes: the last eight seconds


WARM = "200"  # who calls it is put through by an agent that tells Bob first


@pytest.fixture(scope="module")
def bobs_port() -> int:
    return free_ports(SIP_PORTS)


@pytest.fixture(scope="module")
def server(bobs_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose trunk leads to Bob's telephone, and whose front desks put through to Bob."""
    home = tmp_path_factory.mktemp("office")
    (home / "agents").mkdir()
    uri = f"sip:bob@{HOST}:{bobs_port}"
    tree = yaml.safe_load((REPOSITORY / "config" / "agents" / "front-desk.yaml").read_text())
    tree["facts"]["staff_number"] = uri
    for name, warm in (("front-desk", False), ("warm", True)):
        tree["agent"] = {**tree.get("agent", {}), "name": name}
        tree["intents"]["person"]["warm"] = warm
        (home / "agents" / f"{name}.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    (home / "numbers.yaml").write_text(f'numbers:\n  "{WARM}": warm\n  "*": front-desk\n')
    settings = {
        "outbound": {"allowed_prefixes": [uri], "caller_id": "+441632960000"},
        "server": {"drain_s": 5},
    }
    (home / "telebot.yaml").write_text(yaml.safe_dump(settings))
    trunk = {"peers": [HOST], "prefixes": [uri], "outbound": {"hosts": [f"{HOST}:{bobs_port}"]}}
    (home / "trunks.yaml").write_text(yaml.safe_dump({"trunks": {"office": trunk}}))
    with Server(home / "data", home / "telebot.yaml") as one:
        yield one


@pytest.fixture
async def bob(tmp_path: Path, bobs_port: int) -> AsyncIterator[Baresip]:
    account = ";answermode=auto"
    async with baresip(tmp_path, "bob", tone(BOB_HZ, 60), account=account, sip=bobs_port) as one:
        yield one


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


async def test_a_call_that_a_program_has_us_make(
    server: Server, bob: Baresip, speech: LocalSpeech
) -> None:
    row = await server.post("/v1/calls", {"to": bob.uri, "trunk": "office"})
    assert (row["carrier"], row["direction"]) == ("sip", "outbound")
    await bob.event("CALL_ESTABLISHED")
    assert "how can i help" in await hears(bob, "help", speech)
    await bob.hang_up()
    record = await server.record(row["carrier_call_id"])
    assert record["termination"] == {"result": "completed", "reason": "caller_hangup"}
    assert record["turns"][0]["bot_text_heard"]


@pytest.mark.parametrize("warm", [False, True])
async def test_a_caller_asks_for_a_person(
    server: Server, bob: Baresip, speech: LocalSpeech, warm: bool
) -> None:
    number = WARM if warm else "100"
    to = Destination(f"sip:{number}@{HOST}:{server.sip_port}", "", carrier="sip")
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
