"""The front as it ships (`docker/kamailio/`): TLS and SRTP outside, several workers inside, and
what it keeps out. Workers are a telephone, or SIP by hand where they have to misbehave."""

from __future__ import annotations

import asyncio
import collections
from pathlib import Path

import pytest
from baresip import Baresip, baresip, strength, tone
from front import Front, authority, front
from program import free_ports
from sip_line import Message, SipLine, respond, sdp, sip_line
from sip_phone import sip_line as sip_server

from telebot.audio import g711
from telebot.call.model import CallOffer

pytestmark = pytest.mark.peers

HOST = "127.0.0.1"
CALLER_HZ, BOT_HZ = 440, 1000
PURE = 0.95


async def hears(phone: Baresip, hz: float) -> None:
    async with asyncio.timeout(20):
        while strength(phone.heard(), hz) < PURE:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def works(line: SipLine, status: int = 200, *headers: str) -> None:
    """The line is a worker from now on: it is well, and says `status` to every call."""
    contact = f"Contact: <sip:bot@{line.host}:{line.port}>"

    def answer(message: Message) -> str | None:
        if message.method == "ACK":
            return None
        if message.method != "INVITE":
            return respond(message, 200, "OK")
        if status != 200:
            return respond(message, status, "No", *headers)
        return respond(message, 200, "OK", contact, body=sdp(20_000))

    line.answer = answer


def calls(line: SipLine) -> list[Message]:
    """The INVITEs that reached it, each once."""
    those = {m.header("Call-ID"): m for m in line.messages if m.method == "INVITE" and not m.status}
    return list(those.values())


def uri(line: SipLine) -> str:
    return f"sip:{line.host}:{line.port}"


async def health(line: SipLine, kamailio: Front) -> Message:
    return await line.ask(line.request("OPTIONS", kamailio.sip), kamailio.sip)


async def call(line: SipLine, kamailio: Front, *headers: str, **changes: object) -> Message:
    """A call from `line`; its final response, acknowledged where the call was refused."""
    request = line.request("INVITE", kamailio.sip, body=sdp(20_002), headers=headers, **changes)
    answer = await line.ask(request, kamailio.sip)
    if answer.status >= 300:
        line.send(line.ack(request, answer), (HOST, kamailio.sip))
    return answer


@pytest.mark.parametrize("transport", ["tls", "tcp", "udp"])
async def test_a_telephone_talks_to_a_worker(tmp_path: Path, transport: str) -> None:
    """TLS with SRTP that it insists on, TCP, UDP; held by the worker, resumed, ended by it."""
    own = authority(tmp_path / "caller")
    async with (
        baresip(tmp_path, "bot", tone(BOT_HZ, 30), account=";answermode=auto") as bot,
        front(tmp_path, [bot.uri]) as kamailio,
        baresip(
            tmp_path, "caller", tone(CALLER_HZ, 30),
            account=";mediaenc=srtp-mand" if transport == "tls" else "",
            uri=f"sip:caller@{HOST};transport={transport}",
            certificate=own.both, authority=kamailio.authority.certificate,
        ) as caller,
    ):  # fmt: skip
        await caller.dial(kamailio.uri("bot", transport))
        await hears(caller, BOT_HZ)
        await hears(bot, CALLER_HZ)
        await bot.command("hold")
        await bot.command("resume")
        await caller.press("5")
        await bot.event("CALL_DTMF_START")
        await bot.hang_up()
        await caller.event("CALL_CLOSED")
        secure = "RTP/SAVP" in caller.program.said()
        assert secure == (transport == "tls")
        assert "RTP/SAVP" not in bot.program.said()


async def test_calls_are_spread_over_the_workers_that_are_well(tmp_path: Path) -> None:
    async with sip_line() as one, sip_line() as two, sip_line() as silent, sip_line() as caller:
        works(one)
        works(two)
        lines = [uri(one), uri(two), uri(silent)]
        async with front(tmp_path, lines, INVITES_PER_S="500") as kamailio:
            tried = -1
            async with asyncio.timeout(60):
                while tried != len(calls(silent)):  # until OPTIONS has told that it is not there
                    tried = len(calls(silent))
                    many = [call(caller, kamailio) for _ in range(12)]
                    assert {answer.status for answer in await asyncio.gather(*many)} == {200}
            assert calls(one)
            assert calls(two)


async def test_a_worker_that_is_full_or_dead_is_passed_over(tmp_path: Path) -> None:
    """It was well when it was last asked."""
    async with sip_line() as full, sip_line() as free, sip_line() as dead, sip_line() as caller:
        works(full, 503, "Retry-After: 9")
        works(free)
        lines = [uri(full), uri(free), uri(dead)]
        async with front(tmp_path, lines, PING_S="60") as kamailio:
            many = [call(caller, kamailio) for _ in range(12)]
            assert {answer.status for answer in await asyncio.gather(*many)} == {200}
            assert calls(full)
            assert calls(dead)
            assert len(calls(free)) == 12


async def test_no_worker_is_503_with_a_time_to_come_again(tmp_path: Path) -> None:
    async with sip_line() as full, sip_line() as caller:
        works(full, 486)
        async with front(tmp_path, [uri(full)], RETRY_AFTER_S="7") as kamailio:
            assert (await health(caller, kamailio)).status == 200
            assert (await call(caller, kamailio)).status == 486, "its own answer is the caller's"
            works(full, 503)
            answer = await call(caller, kamailio)
            assert (answer.status, answer.header("Retry-After")) == (503, "7")
            full.answer = None
            async with asyncio.timeout(30):
                while (answer := await health(caller, kamailio)).status == 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            assert (answer.status, answer.header("Retry-After")) == (503, "7")
            answer = await call(caller, kamailio)
            assert (answer.status, answer.header("Retry-After")) == (503, "7")


async def test_too_many_calls_are_told_so_and_health_is_not_counted(tmp_path: Path) -> None:
    async with sip_line() as one, sip_line() as caller:
        works(one)
        async with front(tmp_path, [uri(one)], INVITES_PER_S="5") as kamailio:
            flood = [caller.request("INVITE", kamailio.sip, body=sdp(20_002)) for _ in range(60)]
            for request in flood:
                caller.send(request.text(), (HOST, kamailio.sip))
            assert (await health(caller, kamailio)).status == 200
            answers = [await caller.final(request.call_id, "INVITE") for request in flood]
            told = collections.Counter(answer.status for answer in answers)
            assert set(told) == {200, 503}, told
            assert told[503] > 30, told
            assert all(a.header("Retry-After") for a in answers if a.status == 503)


async def test_what_the_front_keeps_out(tmp_path: Path) -> None:
    async with (
        sip_line() as one,
        sip_line() as caller,
        sip_line() as elsewhere,
        sip_line("127.0.0.9") as stranger,
    ):
        works(one)
        works(elsewhere)
        trunks = (f"1 {HOST} 32 0 acme", f"2 {HOST} 32 {caller.port} acme")
        async with front(tmp_path, [uri(one)], trunks=trunks) as kamailio:
            for method in ("INVITE", "OPTIONS", "REGISTER", "BYE"):
                asked = stranger.request(method, kamailio.sip)
                assert (await stranger.ask(asked, kamailio.sip)).status == 403, method
            assert not calls(one)

            # a caller's own name for its trunk, and a number elsewhere
            there = f"sip:+4999@{HOST}:{elsewhere.port}"
            answer = await call(caller, kamailio, "X-Telebot-Trunk: admin", uri=there, to=there)
            assert answer.status == 200
            assert calls(one)[0].headers("X-Telebot-Trunk") == ["acme"]

            # a route that it made up, inside a dialog and outside one
            route = f"Route: <sip:{HOST}:{elsewhere.port};lr>"
            own = f"Route: <sip:{HOST}:{kamailio.sip};lr>"
            within = caller.request("INVITE", kamailio.sip, headers=(own, route), to_tag="made-up")
            assert (await caller.ask(within, kamailio.sip)).status == 403
            await call(caller, kamailio, own, route)

            # a worker calls a listed trunk, and nobody else
            for port, status in ((elsewhere.port, 403), (caller.port, 200)):
                works(caller)
                out = one.request("INVITE", port, body=sdp(20_004))
                one.send(out.text(), (kamailio.inside_host, kamailio.inside))
                assert (await one.final(out.call_id, "INVITE")).status == status
            register = caller.request("REGISTER", kamailio.sip)
            assert (await caller.ask(register, kamailio.sip)).status == 405
            assert not elsewhere.messages


async def test_a_caller_learns_nothing_of_what_is_behind(tmp_path: Path) -> None:
    async with sip_line("127.0.0.2") as one, sip_line() as caller:
        works(one)
        async with front(tmp_path, [uri(one)], inside_host="127.0.0.3") as kamailio:
            request = caller.request("INVITE", kamailio.sip, body=sdp(20_002))
            answer = await caller.ask(request, kamailio.sip)
            assert answer.status == 200
            contact = answer.header("Contact").strip("<>")
            routes = answer.headers("Record-Route")
            caller.send(caller.ack(request, answer), (HOST, kamailio.sip))
            tag = answer.header("To").partition(";tag=")[2]
            bye = caller.request(
                "BYE", kamailio.sip, uri=contact, call_id=request.call_id, cseq=2, to_tag=tag,
                headers=tuple(f"Route: {route}" for route in reversed(routes)),
            )  # fmt: skip
            assert (await caller.ask(bye, kamailio.sip)).status == 200
            seen = "".join(message.text for message in caller.messages)
            for hidden in ("127.0.0.2", "127.0.0.3", str(one.port)):
                assert hidden not in seen, seen
            inside = "".join(message.text for message in one.messages)
            assert f"{caller.host}:{caller.port}" not in inside


OUT = """\
trunks:
  front:
    peers: [127.0.0.1]
    prefixes: ["+4420*"]
    outbound: {{hosts: ["{inside}"], domain: "{domain}"}}
"""


@pytest.mark.parametrize("transport", ["tls", "udp"])
async def test_a_worker_calls_a_telephone(tmp_path: Path, transport: str) -> None:
    """telebot's own call, out by way of the front: TLS and SRTP where the trunk's domain says so;
    the person holds it, goes on, and hangs up."""
    port, own = free_ports(), authority(tmp_path / "callee")
    secure = transport == "tls"
    async with (
        front(tmp_path, [f"sip:{HOST}:{port}"], authority_of_carriers=own) as kamailio,
        baresip(
            tmp_path, "callee", tone(CALLER_HZ, 30),
            account=";answermode=auto" + (";mediaenc=srtp-mand" if secure else ""),
            uri=f"sip:+442079460018@{HOST};transport={transport}",
            certificate=own.both, authority=kamailio.authority.certificate,
        ) as callee,
    ):  # fmt: skip
        domain = f"{HOST}:{callee.sip + secure};transport={transport}"
        trunks = OUT.format(inside=f"{HOST}:{kamailio.inside}", domain=domain)
        async with sip_server(tmp_path, trunks=trunks, server__sip=f"{HOST}:{port}") as server:
            offer = CallOffer("sip", "", "+441632960000", "+442079460018", "echo", "outbound")
            call, token = server.admission.place(offer, 20.0)
            server.admission.dialled(call, server.server.dial(call, token, 20.0))
            await server.until(lambda: server.listeners.all or server.log.endings)
            assert server.listeners.all, (server.log.reasons(), callee.program.said()[-3000:])
            (heard,) = server.listeners.all
            await server.until(lambda: len(heard.frames) > 100)
            sound = g711.decode(b"".join(ulaw for ulaw, _ in heard.frames))
            assert strength(sound, CALLER_HZ) > PURE
            heard.wire.send_audio(g711.encode(tone(BOT_HZ, 5)))
            await hears(callee, BOT_HZ)
            assert ("RTP/SAVP" in callee.program.said()) == secure
            assert "NULL_HMAC" not in callee.program.said(), "a secret that is none"
            await callee.hang_up()
            await server.until(server.log.reasons)
            assert server.log.reasons() == ["caller_hangup"]
