"""sipp against the server: the ways of a call, as a carrier's machine goes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from baresip import baresip
from rtp_line import PCMA, PCMU, RtpLine, rtp_line
from sip_line import sip_line as by_hand
from sip_phone import Line, sip_line
from sipp import Outcome, sipp

from telebot.sip.rtp import RtpStream

pytestmark = pytest.mark.peers


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Line]:
    async with sip_line(tmp_path, max_calls=2) as running:
        yield running


async def run(folder: Path, server: Line, scenario: str, **options: object) -> Outcome:
    """A run that must pass, of a call to the number 100."""
    options.setdefault("to", "100")
    outcome = await sipp(folder, scenario, server.port, **options)  # type: ignore[arg-type]
    assert outcome.passed, f"{scenario} {outcome}"
    return outcome


@pytest.mark.parametrize(
    "scenario",
    ["call", "early_bye", "hold", "late_offer", "update", "session_timer", "prack", "info_digits"],
)
async def test_a_call_that_its_caller_ends(tmp_path: Path, server: Line, scenario: str) -> None:
    await run(tmp_path, server, scenario)
    await server.until(server.log.reasons)
    assert server.log.reasons() == ["caller_hangup"]
    assert len(server.log.calls) == 1
    listeners = len(server.listeners.all)  # an early bye may come before anybody listens
    assert listeners == 1 or (scenario == "early_bye" and listeners == 0)
    digits = [digit for one in server.listeners.all for digit in one.digits]
    assert digits == (["5", "7"] if scenario == "info_digits" else [])


async def test_a_session_that_is_too_short(tmp_path: Path, server: Line) -> None:
    await run(tmp_path, server, "short_timer")


async def test_a_call_that_is_given_up_while_it_rings(
    tmp_path: Path, server: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    opened = RtpStream.open

    async def slowly(*args: Any, **options: Any) -> RtpStream:
        await gate.wait()
        return await opened(*args, **options)

    monkeypatch.setattr(RtpStream, "open", slowly)
    await run(tmp_path, server, "cancel")
    gate.set()
    await server.until(server.log.reasons)
    assert server.log.reasons() == ["caller_hangup"]
    assert server.listeners.all == []


async def test_a_call_that_the_bot_ends(tmp_path: Path, server: Line) -> None:
    running = asyncio.create_task(run(tmp_path, server, "answered"))
    await server.until(lambda: server.listeners.all)
    await server.listeners.all[0].wire.close()
    await running
    assert server.log.reasons() == ["bot_hangup"]


async def test_health(tmp_path: Path, server: Line) -> None:
    await run(tmp_path, server, "options", calls=20, rate=100)
    assert server.log.calls == []


async def test_a_number_that_is_nobodys_and_a_third_call_for_two_lines(
    tmp_path: Path, server: Line
) -> None:
    await run(tmp_path, server, "refused", to="+15550199", status=404)
    holding = [
        asyncio.create_task(run(tmp_path, server, "call", pause_ms=2500, ptime=20))
        for _ in range(2)
    ]
    await server.until(lambda: len(server.listeners.all) == 2)
    outcome = await run(tmp_path, server, "refused", status=503)
    assert "Retry-After:" in outcome.messages
    await asyncio.gather(*holding)
    await server.until(lambda: len(server.log.reasons()) == 4)
    assert sorted(server.log.reasons()) == [
        "caller_hangup", "caller_hangup", "capacity", "unknown_number",
    ]  # fmt: skip


async def test_an_invite_that_is_sent_again_is_no_second_call(tmp_path: Path, server: Line) -> None:
    async with by_hand() as line:
        invite = line.request("INVITE", server.port, "100")
        for _ in range(5):
            line.send(invite.text(), ("127.0.0.1", server.port))
        answer = await line.final(invite.call_id, "INVITE")
        line.send(invite.text(), ("127.0.0.1", server.port))
        line.send(line.ack(invite, answer), answer.source)
        await server.until(lambda: server.listeners.all)
        line.send(line.ack(invite, answer), answer.source)
        assert len({m.header("To") for m in line.messages if m.status > 100}) == 1
    assert len(server.log.calls) == 1
    assert len(server.listeners.all) == 1


async def talk(server: Line, rtp: RtpLine, outcome: asyncio.Task[Outcome]) -> None:
    """The call is up and `rtp` knows where it goes."""
    await server.until(lambda: server.listeners.all or outcome.done())
    assert server.listeners.all, str(outcome.result())
    (packet, *_) = await rtp.until(1)
    rtp.peer = packet.source


@pytest.mark.parametrize("ptime", [10, 20, 30, 60])
@pytest.mark.parametrize("kind", [PCMU, PCMA])
async def test_media_of_every_packet_time_and_law(
    tmp_path: Path, server: Line, ptime: int, kind: int
) -> None:
    """What the caller says arrives whole, what the bot says comes in packets of the time asked."""
    said = bytes(range(160)) * 30
    async with rtp_line() as rtp:
        outcome = asyncio.create_task(
            run(
                tmp_path, server, "call", payloads=f"{kind} 101", ptime=ptime,
                media_port=rtp.port, pause_ms=1200,
            )
        )  # fmt: skip
        await talk(server, rtp, outcome)
        (heard,) = server.listeners.all
        await rtp.speak(said if kind == PCMU else ulaw_to_alaw(said), kind, ptime)
        heard.wire.send_audio(b"\x55" * 1600)
        await rtp.press("7")
        await outcome
        assert {packet.payload_type for packet in rtp.packets} == {kind}
        assert {len(packet.payload) for packet in rtp.packets} == {ptime * 8}
        audio = b"".join(ulaw for ulaw, _ in heard.frames)
        expected = said if kind == PCMU else alaw_to_ulaw(ulaw_to_alaw(said))
        assert expected[800:-800] in audio
        assert heard.digits == ["7"]


def ulaw_to_alaw(ulaw: bytes) -> bytes:
    import audioop

    return audioop.lin2alaw(audioop.ulaw2lin(ulaw, 2), 2)


def alaw_to_ulaw(alaw: bytes) -> bytes:
    import audioop

    return audioop.lin2ulaw(audioop.alaw2lin(alaw, 2), 2)


DIGEST = "trunks: {carrier: {auth: {user: alice}}}\n"


@pytest.mark.parametrize("password", ["open sesame", "guessed"])
async def test_a_telephone_that_shows_who_it_is(tmp_path: Path, password: str) -> None:
    """baresip of Debian 12 knows MD5 alone, and gives up where it sees SHA-256 as well."""
    environ = {"TELEBOT_SIP_PASSWORD": "open sesame"}
    account = f';auth_user=alice;auth_pass="{password}"'
    async with (
        sip_line(tmp_path, trunks=DIGEST, environ=environ) as server,
        baresip(tmp_path, "alice", bytes(2), account=account) as phone,
    ):
        await phone.dial(f"sip:100@127.0.0.1:{server.port}")
        if password == "open sesame":
            await phone.event("CALL_ESTABLISHED")
            await phone.hang_up()
            await server.until(server.log.reasons)
            assert server.log.reasons() == ["caller_hangup"]
        else:
            closed = await phone.event("CALL_CLOSED")
            assert "401" in closed["param"] or "uthor" in closed["param"], closed
            assert server.log.calls == []


async def test_a_flood_is_answered_and_so_is_health(tmp_path: Path) -> None:
    """More calls a second than the trunk may make: each is told 503 and when to come again, or is
    taken; OPTIONS are answered meanwhile, and calls after it."""
    trunks = "trunks: {carrier: {peers: [127.0.0.1], rate: 5}}\n"
    async with sip_line(tmp_path, trunks=trunks) as server, by_hand() as line:
        flood = asyncio.create_task(
            sipp(
                tmp_path, "refused", server.port, to="100", status=503,
                calls=200, rate=100, at_once=200, within_s=40,
            )
        )  # fmt: skip
        while not flood.done():
            options = line.request("OPTIONS", server.port, "100")
            assert (await line.ask(options, server.port)).status == 200
            await asyncio.sleep(0.1)
        messages = (await flood).messages
        assert messages.count("SIP/2.0 503") > 100
        assert messages.count("SIP/2.0 503") == messages.count("Retry-After:")
        await run(tmp_path, server, "options")


async def test_a_server_that_drains_is_left_out_by_whoever_asks_how_it_is(
    tmp_path: Path, server: Line
) -> None:
    holding = asyncio.create_task(run(tmp_path, server, "call", pause_ms=1000))
    await server.until(lambda: server.listeners.all)
    draining = asyncio.create_task(server.admission.drained(20))
    async with by_hand() as line:
        await server.until(lambda: server.admission.draining)
        answer = await line.ask(line.request("OPTIONS", server.port, "100"), server.port)
        assert (answer.status, bool(answer.header("Retry-After"))) == (503, True)
        await run(tmp_path, server, "refused", status=503)
    await holding
    assert await draining
