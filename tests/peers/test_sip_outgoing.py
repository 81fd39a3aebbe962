"""Calls that we make, answered by a phone that says exactly what a test wants."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from baresip import baresip, tone
from front import front
from program import free_ports
from sip_callee import Callee, right
from sip_phone import Line, Message, Phone, sdp, sip_line
from sipp import Answering, sipp_answers

from telebot.call.errors import Unable
from telebot.call.model import Call, CallOffer
from telebot.sip import placing

pytestmark = pytest.mark.peers

NUMBER = "+442079460018"
TRUNKS = """\
trunks:
  out:
    peers: [127.0.0.1]
    prefixes: ["+4420*"]
    outbound: {{hosts: ["127.0.0.1:{port}"{more}], user: "{user}", password_env: "{env}"}}
"""


class Dialled:
    """A line whose trunk leads to a phone, and calls over it."""

    def __init__(self, line: Line, phone: Phone | None) -> None:
        self.line, self.phone = line, phone

    def dial(self, to: str = NUMBER, within_s: float = 20.0) -> Call:
        """A call on its way."""
        admission = self.line.admission
        offer = CallOffer("sip", "", "+441632960000", to, "echo", "outbound")
        call, token = admission.place(offer, within_s)
        admission.dialled(call, self.line.server.dial(call, token, within_s))
        return call

    async def rung(self, phone: Phone | None = None) -> Callee:
        """The next INVITE that arrives."""
        phone = phone or self.phone
        return Callee(phone, await phone.hear("INVITE"))

    async def ended(self) -> str:
        await self.line.until(self.line.log.reasons)
        return self.line.log.reasons()[-1]


@asynccontextmanager
async def dialled(folder: Path, user: str = "", more: str = "", **overrides):
    phone = await Phone.open(("127.0.0.1", 1))
    env = "SECRET" if user else ""
    trunks = TRUNKS.format(port=phone.port, more=more, user=user, env=env)
    async with sip_line(folder, trunks=trunks, environ={"SECRET": "s3cret"}, **overrides) as line:
        line.phones.append(phone)
        yield Dialled(line, phone)


@pytest.fixture
async def out(tmp_path):
    async with dialled(tmp_path) as one:
        yield one


async def test_a_call_is_made_answered_and_ended_by_the_person(out: Dialled):
    call = out.dial()
    callee = await out.rung()
    invite = callee.invite
    assert invite.first == f"INVITE sip:+442079460018@127.0.0.1:{out.phone.port} SIP/2.0"
    assert re.match(r"<sip:\+441632960000@127\.0\.0\.1>;tag=\w+", invite.header("From"))
    assert "m=audio" in invite.body
    assert call.offer.carrier_call_id == invite.header("Call-ID")
    callee.respond(100)
    callee.respond(180)
    ack = await callee.answer()
    assert ack.first == f"ACK sip:me@127.0.0.1:{out.phone.port} SIP/2.0"
    await out.line.until(lambda: out.line.listeners.all)
    assert out.line.listeners.all[0].call is call
    callee.request("BYE")
    await out.phone.hear(200)
    assert await out.ended() == "caller_hangup"
    assert out.line.events()[:3] == ["invite", "ringing", "answered"]


async def test_we_end_it_by_bye_to_where_the_answer_said(out: Dialled):
    out.dial()
    callee = await out.rung()
    await callee.answer(contact=f"sip:other@127.0.0.1:{out.phone.port};transport=tcp")
    await out.line.until(lambda: out.line.listeners.all)
    await out.line.listeners.all[0].wire.close()
    bye = await out.phone.hear("BYE")
    assert bye.first.startswith("BYE sip:other@127.0.0.1")
    callee.respond(200, request=bye)
    assert await out.ended() == "bot_hangup"


async def test_a_name_in_the_answer_is_not_looked_up(out: Dialled):
    out.dial()
    callee = await out.rung()
    await callee.answer(contact="sip:me@pbx.invalid")
    await out.line.until(lambda: out.line.listeners.all)
    await out.line.listeners.all[0].wire.close()
    assert (await out.phone.hear("BYE")).first == "BYE sip:me@pbx.invalid SIP/2.0"


async def test_early_media_is_no_answer(out: Dialled):
    out.dial()
    callee = await out.rung()
    callee.respond(183, sdp(41_000))
    await out.line.until(lambda: "ringing" in out.line.events())
    assert not out.line.listeners.all
    callee.respond(200)  # without a description: that of the 183 holds
    await out.phone.hear("ACK")
    await out.line.until(lambda: out.line.listeners.all)
    live = out.line.server.calls.find(out.line.listeners.all[0].call)
    assert live.stream._negotiated.port == 41_000


@pytest.mark.parametrize(
    ("status", "extra", "reason"),
    [
        (486, {}, "busy"),
        (600, {}, "busy"),
        (603, {}, "declined"),
        (403, {}, "declined"),
        (480, {}, "no_answer"),
        (408, {}, "no_answer"),
        (404, {}, "unreachable"),
        (484, {}, "unreachable"),
        (500, {}, "unreachable"),
        (302, {}, "unreachable"),
        (488, {}, "bad_media"),
        (480, {"Reason": "Q.850;cause=17"}, "busy"),
        (500, {"Reason": 'Q.850;cause=21;text="rejected"'}, "declined"),
        (401, {}, "dial_failed"),
    ],
)
async def test_why_nobody_took_it_is_told_apart(out: Dialled, status, extra, reason):
    call = out.dial()
    callee = await out.rung()
    callee.respond(180)
    callee.respond(status, **extra)
    ack = await out.phone.hear("ACK")
    assert ack.first == callee.invite.first.replace("INVITE", "ACK")
    assert ack.header("Via") == callee.invite.header("Via")
    assert await out.ended() == reason
    assert call.termination.result in ("unanswered", "failed")


async def test_nobody_answers_in_time_and_the_phone_stops_ringing(out: Dialled):
    out.dial(within_s=0.5)
    callee = await out.rung()
    callee.respond(180)
    cancel = await out.phone.hear("CANCEL")
    assert cancel.header("CSeq").split()[0] == callee.invite.header("CSeq").split()[0]
    callee.respond(200, request=cancel)
    callee.respond(487)
    await out.phone.hear("ACK")
    assert await out.ended() == "no_answer"


async def test_given_up_while_it_rings(out: Dialled):
    call = out.dial()
    callee = await out.rung()
    callee.respond(180)
    await out.line.until(lambda: "ringing" in out.line.events())
    out.line.admission.end(call, "cancelled")
    out.line.server.calls.find(call).stop("bot_hangup")
    cancel = await out.phone.hear("CANCEL")
    callee.respond(200, request=cancel)
    # the person was quicker: answered all the same, and hung up on
    await callee.answer()
    bye = await out.phone.hear("BYE")
    callee.respond(200, request=bye)
    assert await out.ended() == "cancelled"
    assert not out.line.listeners.all


async def test_given_up_before_anybody_said_anything(out: Dialled):
    call = out.dial()
    callee = await out.rung()
    out.line.server.calls.find(call).stop("cancelled")
    assert await out.ended() == "cancelled"
    callee.respond(180)  # late: now it can be cancelled
    await out.phone.hear("CANCEL")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize(
    ("status", "asks", "shows"),
    [
        (401, "WWW-Authenticate", "Authorization"),
        (407, "Proxy-Authenticate", "Proxy-Authorization"),
    ],
)
async def test_a_challenge_is_answered(tmp_path, algorithm, status, asks, shows):
    async with dialled(tmp_path, user="alice") as out:
        out.dial()
        callee = await out.rung()
        challenge = f'Digest realm="pbx", nonce="n1", algorithm={algorithm}, qop="auth", opaque="x"'
        callee.respond(status, **{asks.replace("-", "_"): challenge})
        await out.phone.hear("ACK")
        again = await out.rung()
        assert right(again.invite, shows, "alice", "s3cret")
        assert again.invite.header("Call-ID") == callee.invite.header("Call-ID")
        await again.answer()
        await out.line.until(lambda: out.line.listeners.all)
        await out.line.listeners.all[0].wire.close()
        bye = await out.phone.hear("BYE")
        again.respond(status, request=bye, **{asks.replace("-", "_"): challenge})
        second = await out.phone.hear("BYE")
        assert right(second, shows, "alice", "s3cret")
        again.respond(200, request=second)


async def test_the_first_challenge_that_we_know_and_a_stale_nonce(tmp_path):
    async with dialled(tmp_path, user="alice") as out:
        out.dial()
        callee = await out.rung()
        asked = [
            'Digest realm="pbx", nonce="a", algorithm=SHA-512-256, qop="auth"',
            'Digest realm="pbx", nonce="b", algorithm=SHA-256, qop="auth-int,auth"',
            'Digest realm="pbx", nonce="c"',
        ]
        callee.respond(401, WWW_Authenticate=asked)
        again = await out.rung()
        assert 'nonce="b"' in again.invite.header("Authorization")
        again.respond(401, WWW_Authenticate='Digest realm="pbx", nonce="d", stale=true')
        third = await out.rung()
        assert right(third.invite, "Authorization", "alice", "s3cret", qop=False)
        third.respond(401, WWW_Authenticate='Digest realm="pbx", nonce="e"')
        assert await out.ended() == "dial_failed"


async def test_given_up_between_a_challenge_and_its_answer(tmp_path, monkeypatch):
    from telebot.sip.outgoing import Outgoing

    again = Outgoing._again

    def later(self, number, extra):  # the hang-up comes first
        self.hang_up(placing.GIVEN_UP)
        again(self, number, extra)

    monkeypatch.setattr(Outgoing, "_again", later)
    async with dialled(tmp_path, user="alice") as out:
        call = out.dial(within_s=0.5)
        callee = await out.rung()
        callee.respond(100)
        callee.respond(407, Proxy_Authenticate='Digest realm="pbx", nonce="n", qop="auth"')
        await out.phone.hear("ACK")
        assert await out.ended() == "no_answer"
        assert call.termination.result == "unanswered"
        assert not [m for m in out.phone.heard if m.method == "INVITE"]
        phone = await out.line.phone()
        phone.dialog().send("OPTIONS")
        await phone.hear(200)


async def test_wrong_credentials_are_not_tried_again(tmp_path):
    async with dialled(tmp_path, user="alice") as out:
        out.dial()
        for _ in range(2):
            callee = await out.rung()
            callee.respond(407, Proxy_Authenticate='Digest realm="pbx", nonce="n", qop="auth"')
            await out.phone.hear("ACK")
        assert await out.ended() == "dial_failed"


@pytest.mark.parametrize(
    "body", ["", "v=0\r\nthis is not it\r\n", sdp(types="18").replace("0 PCMU", "3 GSM")]
)
async def test_an_answer_that_nobody_can_talk_by_is_hung_up(out: Dialled, body: str):
    out.dial()
    callee = await out.rung()
    callee.respond(200, body)
    await out.phone.hear("ACK")
    callee.respond(200, request=await out.phone.hear("BYE"))
    assert await out.ended() == "bad_media"
    assert not out.line.listeners.all


async def test_junk_in_the_place_of_an_answer(out: Dialled):
    out.dial()
    callee = await out.rung()
    for junk in ("SIP/2.0 999 What\r\n\r\n", "SIP/2.0 two hundred\r\nVia: x\r\n\r\n" + "x" * 40):
        out.phone.transport.sendto(junk.encode(), callee.invite.source)
    callee.respond(180, tag="")
    callee.respond(200, sdp(), tag="")  # no dialog without a tag
    assert await out.ended() == "unreachable"
    phone = await out.line.phone()
    phone.dialog().send("OPTIONS")
    await phone.hear(200)


async def test_a_second_phone_that_answers_is_hung_up(out: Dialled):
    out.dial()
    callee = await out.rung()
    await callee.answer()
    await out.line.until(lambda: out.line.listeners.all)
    for _ in range(2):
        callee.respond(200, sdp(42_000), tag="second")
        ack = await out.phone.hear("ACK")
        assert "tag=second" in ack.header("To")
    bye = await out.phone.hear("BYE")
    assert "tag=second" in bye.header("To")
    callee.respond(200, request=bye)
    callee.respond(200, sdp())  # the first one's answer again: only acknowledged
    assert "tag=callee" in (await out.phone.hear("ACK")).header("To")
    assert not out.line.log.reasons()


async def test_a_route_is_kept_through_the_call(out: Dialled):
    out.dial()
    callee = await out.rung()
    here = f"127.0.0.1:{out.phone.port}"
    routes = [f"<sip:{here};lr;hop=2>", f"<sip:{here};lr;hop=1>"]
    callee.respond(200, sdp(), contact="sip:me@192.0.2.1:5080", Record_Route=routes)
    ack = await out.phone.hear("ACK")
    assert ack.first == "ACK sip:me@192.0.2.1:5080 SIP/2.0"
    assert re.findall(r"^Route: .*hop=(\d)", ack.text, re.M) == ["1", "2"]
    await out.line.until(lambda: out.line.listeners.all)
    await out.line.listeners.all[0].wire.close()
    bye = await out.phone.hear("BYE")
    assert re.findall(r"^Route: .*hop=(\d)", bye.text, re.M) == ["1", "2"]


async def test_the_person_holds_and_resumes(out: Dialled):
    out.dial()
    callee = await out.rung()
    await callee.answer()
    await out.line.until(lambda: out.line.listeners.all)
    callee.request("INVITE", sdp(way="sendonly", version=2), kind="application/sdp")
    held = await out.phone.hear(200)
    assert "a=recvonly" in held.body


async def test_the_next_target_is_tried_where_one_is_dead_or_full(tmp_path, monkeypatch):
    monkeypatch.setattr(placing, "FIRST_WORD_S", 0.3)
    second, third = await Phone.open(("127.0.0.1", 1)), await Phone.open(("127.0.0.1", 1))
    more = f', "127.0.0.1:{second.port}", "127.0.0.1:{third.port}"'
    async with dialled(tmp_path, more=more) as out:
        out.dial()
        await out.rung()  # and says nothing
        full = await out.rung(second)
        full.respond(503)
        callee = await out.rung(third)
        await callee.answer()
        await out.line.until(lambda: out.line.listeners.all)
        assert len([m for m in out.phone.heard if m.method == "INVITE"]) == 0
        out.dial()  # the silent one is known by now
        assert (await out.rung(second)).invite
        second.close()
        third.close()


@asynccontextmanager
async def to_sipp(folder: Path, peer: Answering):
    trunks = TRUNKS.format(port=peer.port, more="", user="bot", env="SECRET")
    async with sip_line(folder, trunks=trunks, environ={"SECRET": "s3cret"}) as line:
        yield Dialled(line, None)


async def test_sipp_asks_lets_ring_and_takes_the_call(tmp_path):
    async with sipp_answers(tmp_path, "takes") as peer, to_sipp(tmp_path, peer) as out:
        out.dial()
        await out.line.until(lambda: out.line.listeners.all)
        assert out.line.events().index("ringing") < out.line.events().index("answered")
        await out.line.listeners.all[0].wire.close()
        outcome = await peer.outcome()
        assert outcome.passed, str(outcome)


@pytest.mark.parametrize(
    ("status", "reason"), [(486, "busy"), (603, "declined"), (404, "unreachable")]
)
async def test_sipp_does_not_take_the_call(tmp_path, status: int, reason: str):
    async with (
        sipp_answers(tmp_path, "declines", status=status) as peer,
        to_sipp(tmp_path, peer) as out,
    ):
        out.dial()
        assert await out.ended() == reason
        outcome = await peer.outcome()
        assert outcome.passed, str(outcome)


async def test_sipp_rings_until_we_give_up(tmp_path):
    async with sipp_answers(tmp_path, "rings") as peer, to_sipp(tmp_path, peer) as out:
        out.dial(within_s=0.4)
        assert await out.ended() == "no_answer"
        outcome = await peer.outcome()
        assert outcome.passed, str(outcome)


async def test_through_the_front_to_a_telephone_that_speaks_tls_and_srtp(tmp_path):
    worker = f"127.0.0.1:{free_ports()}"
    async with (
        front(tmp_path, [f"sip:{worker}"]) as kamailio,
        baresip(
            tmp_path, "bob", tone(1000, 30), account=";answermode=auto;mediaenc=srtp-mand",
            uri="sip:bob@127.0.0.1;transport=tls", certificate=kamailio.authority.both,
        ) as bob,
    ):  # fmt: skip
        trunks = f"""
trunks:
  outside:
    peers: [127.0.0.1]
    prefixes: ["bob"]
    outbound:
      hosts: ["127.0.0.1:{kamailio.inside}"]
      domain: 127.0.0.1:{bob.sip + 1};transport=tls
"""
        async with sip_line(tmp_path, trunks=trunks, server__sip=worker) as line:
            Dialled(line, None).dial("bob")
            await line.until(lambda: line.listeners.all and line.listeners.all[0].frames)
            await bob.event("CALL_ESTABLISHED")
            await line.listeners.all[0].wire.close()
            await bob.event("CALL_CLOSED")
            assert "RTP/SAVP" in bob.program.said()


async def test_only_what_the_trunk_may_dial(out: Dialled):
    for number in ("+4915112345", "+44", "sip:+442079460018@elsewhere.example"):
        with pytest.raises(Unable, match="may dial this number"):
            out.dial(number)


async def test_the_server_goes_down_while_it_rings(out: Dialled):
    out.dial()
    callee = await out.rung()
    callee.respond(180)
    await out.line.until(lambda: "ringing" in out.line.events())
    closing = asyncio.create_task(out.line.server.close())
    cancel: Message = await out.phone.hear("CANCEL")
    callee.respond(200, request=cancel)
    callee.respond(487)
    await closing
    assert out.line.log.reasons() == ["drained"]
