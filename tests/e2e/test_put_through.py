"""Calls that go out and callers who are put through, spoken over Twilio's wire, with a Twilio whose
REST rings people up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest
import yaml
from aside import aside
from serving import REPOSITORY, Server, free_port
from twilio_peer import Made, Rest, rest

from telebot.audio.g711 import RATE_HZ, decode, encode
from telebot.audio.levels import level_dbfs
from telebot.phone import turns
from telebot.phone.destination import Destination
from telebot.phone.phone import Phone
from telebot.phone.playout import Span
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

TOKEN = "an auth token of the tests"
STAFF, OURS = "+442079460018", "+442079460000"


@pytest.fixture(scope="module")
def peer() -> Iterator[Rest]:
    with aside(rest) as one:
        yield one


@pytest.fixture
def twilio(peer: Rest) -> Rest:
    """Twilio, which nobody has asked for anything."""
    peer.forget()
    return peer


@pytest.fixture(scope="module")
def server(peer: Rest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose front desk rings the person up first."""
    tmp_path = tmp_path_factory.mktemp("desk")
    (tmp_path / "agents").mkdir()
    tree = yaml.safe_load((REPOSITORY / "config/agents/front-desk.yaml").read_text())
    tree["intents"]["person"]["warm"] = True
    tree["phrases"]["greeting_outbound"] = "Good evening, this is about your booking."
    (tmp_path / "agents" / "front-desk.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    (tmp_path / "numbers.yaml").write_text('numbers:\n  "*": front-desk\n')
    (tmp_path / "telebot.yaml").write_text(
        "server: {drain_s: 5}\n"
        "transfer: {answer_within_s: 8}\n"
        f'outbound: {{allowed_prefixes: ["+4479"], caller_id: "{OURS}"}}\n'
    )
    port = free_port()
    environ = {
        "TELEBOT_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_BASE_URL": peer.url,
    }
    config, http = tmp_path / "telebot.yaml", f"127.0.0.1:{port}"
    with Server(tmp_path / "data", config, http, **environ) as one:
        yield one


@asynccontextmanager
async def called(server: Server, speech: LocalSpeech) -> AsyncIterator[Phone]:
    to = Destination(server.url, TOKEN, carrier="twilio", phone_to=OURS)
    async with Phone(to, speech) as phone:
        assert await phone.heard()
        yield phone


async def until(true: Callable[[], object], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  # what the server does in its own time
            await asyncio.sleep(0.02)


async def asks_for_a_person(phone: Phone, twilio: Rest) -> Made:
    """Until the person is being rung up; returns their leg."""
    await phone.speak("I would like to speak to a person")
    await until(lambda: twilio.made)
    return twilio.made[-1]


async def music(phone: Phone, seconds: float) -> None:
    """The caller hears something all the time, and no words."""
    await phone.wait(0.5)
    start = phone.stream.position
    await phone.wait(seconds)
    heard = phone.stream.playout.heard(start, start + round(seconds * RATE_HZ))
    half = RATE_HZ // 2
    pieces = [heard[at : at + half] for at in range(0, len(heard) - half + 1, half)]
    levels = [level_dbfs(decode(piece)) for piece in pieces]
    assert len(levels) >= round(seconds * 2) - 1
    assert min(levels) > -45, levels


async def failed(phone: Phone) -> str:
    """What is said once the music is over."""
    clears = len([it for it in phone.stream.happenings if it.name == "clear"])
    await until(lambda: len([it for it in phone.stream.happenings if it.name == "clear"]) > clears)
    start = phone.stream.position
    await phone.line.until(lambda: turns.quiet_for(phone.stream) >= RATE_HZ, 20.0)
    return (await phone.words(Span(start, phone.stream.position))).lower()


async def events(server: Server, call_id: str) -> list[tuple[str, str]]:
    found = (await server.get(f"/v1/calls/{call_id}/events?limit=1000"))["data"]
    return [
        (event["name"], event["fields"].get("reason", ""))
        for event in found
        if event["name"].startswith("transfer_")
    ]


async def test_a_person_is_told_and_takes_the_caller(
    server: Server, twilio: Rest, speech: LocalSpeech
) -> None:
    async with called(server, speech) as phone:
        await phone.say("Are you open on Mondays?")
        leg = await asks_for_a_person(phone, twilio)
        assert (leg.fields["To"], leg.fields["From"]) == (STAFF, OURS)
        twilio.statuses[leg.sid] = "ringing"
        await music(phone, 3.0)
        twilio.statuses[leg.sid] = "in-progress"
        twiml = ElementTree.fromstring(leg.fields["Twiml"])
        told = await speech.speak(str(twiml.findtext("Say")))  # as the person's phone plays it
        assert len(told.pcm16) / 2 / RATE_HZ < 20.0
        heard = (await speech.hear(encode(told.pcm16))).lower()
        assert "caller" in heard
        assert "person" in heard
        await music(phone, 2.0)
        assert twilio.asked == []
        twilio.rooms[str(twiml.findtext("Dial/Conference"))] = "init"
        await until(lambda: twilio.asked)
        [(sid, fields)] = twilio.asked
        assert sid == phone.to.call_sid
        assert "<Conference" in fields["Twiml"]
        await phone.hang_up()  # Twilio takes the stream away
    record = await server.record(phone.to.call_sid)
    assert record["termination"] == {"result": "transferred", "reason": "transferred"}
    assert [name for name, _ in await events(server, record["id"])] == [
        "transfer_begun",
        "transfer_answered",
    ]
    assert twilio.asked == [(sid, fields)], "nobody was hung up on"


@pytest.mark.parametrize(("status", "reason"), [("ringing", "no_answer"), ("busy", "busy")])
async def test_where_nobody_comes_the_bot_takes_over_again(
    server: Server, twilio: Rest, speech: LocalSpeech, status: str, reason: str
) -> None:
    async with called(server, speech) as phone:
        leg = await asks_for_a_person(phone, twilio)
        twilio.statuses[leg.sid] = "ringing"
        await music(phone, 2.0)
        twilio.statuses[leg.sid] = status
        assert "nobody can take the call" in await failed(phone)
        answer = await phone.say("No thanks. Are you open on Mondays?")
        assert "closed" in answer.heard.lower()
    record = await server.record(phone.to.call_sid)
    assert record["termination"]["reason"] == "caller_hangup"
    assert await events(server, record["id"]) == [
        ("transfer_begun", ""),
        ("transfer_failed", reason),
    ]
    await until(lambda: twilio.asked == [(leg.sid, {"Status": "completed"})])


async def post(server: Server, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    key = server.key
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            server.url + path, json=body, headers={"Authorization": f"Bearer {key}"}
        ) as response,
    ):
        return response.status, await response.json()


async def test_the_server_calls_and_an_operator_steers(
    server: Server, twilio: Rest, speech: LocalSpeech
) -> None:
    status, row = await post(server, "/v1/calls", {"to": "+447911123456"})
    assert status == 201
    [made] = twilio.made
    to = Destination(
        server.url,
        TOKEN,
        carrier="twilio",
        phone_from=OURS,
        phone_to="+447911123456",
        placed=row["id"],
        call_sid=made.sid,
    )
    async with Phone(to, speech) as phone:
        assert "booking" in (await phone.heard()).lower()
        path = f"/v1/calls/{row['id']}"
        assert (await post(server, f"{path}/digits", {"digits": "1"}))[0] == 409
        assert (await post(server, f"{path}/digits", {"digits": "x"}))[0] == 400
        assert (await post(server, f"{path}/transfer", {"to": "+19005550100"}))[0] == 403
        status, _ = await post(server, f"{path}/transfer", {"to": STAFF, "warm": True})
        assert status == 202
        await until(lambda: len(twilio.made) == 2)
        twilio.statuses[twilio.made[1].sid] = "ringing"
        await music(phone, 1.0)
        assert (await post(server, f"{path}/transfer", {"to": STAFF}))[0] == 409
        assert (await post(server, f"{path}/hangup", {}))[0] == 202
        assert await phone.until_over(5)
    record = await server.record(made.sid)
    assert record["direction"] == "outbound"
    assert record["termination"] == {"result": "completed", "reason": "operator_hangup"}
    expected = {(sid.sid, "completed") for sid in twilio.made}
    await until(lambda: {(sid, it.get("Status", "")) for sid, it in twilio.asked} == expected)
    assert (await post(server, f"/v1/calls/{row['id']}/hangup", {}))[0] == 404
