"""What happens within a call over SIP: other media, keys, session timers, provisional responses."""

from __future__ import annotations

import asyncio

import pytest
from sip_phone import Dialog, Line, Message, Phone, sdp, sip_line

from telebot.sip import session_timer

pytestmark = pytest.mark.peers

SHORT_S = 2  # a session interval; the timers are real ones


@pytest.fixture
async def line(tmp_path):
    async with sip_line(tmp_path) as running:
        yield running


@pytest.fixture
async def phone(line: Line):
    return await line.phone()


@pytest.fixture
async def call(line: Line, phone: Phone):
    """A call that is up."""
    call = phone.dialog()
    await call.answered()
    await line.until(lambda: line.listeners.all)
    phone.heard.clear()
    return call


def version(message: Message) -> int:
    """Of the session description."""
    line = next(one for one in message.body.split("\r\n") if one.startswith("o="))
    return int(line.split()[2])


# --- other media -------------------------------------------------------------------------------


async def reinvite(call: Dialog, body: str) -> Message:
    call.send("INVITE", body)
    number = call.cseq
    answer = await call.phone.hear(
        lambda m: m.status >= 200 and m.header("CSeq") == f"{number} INVITE"
    )
    call.ack()
    return answer


async def test_hold_and_resume(line: Line, call: Dialog):
    held = await reinvite(call, sdp(way="sendonly", version=2))
    assert "a=recvonly" in held.body
    assert line.listeners.all[0].wire.held
    resumed = await reinvite(call, sdp(version=3))
    assert "a=sendrecv" in resumed.body
    assert version(resumed) == version(held) + 1
    assert not line.listeners.all[0].wire.held
    assert [name for name in line.events() if name in ("hold", "resume")] == ["hold", "resume"]
    assert not line.log.endings


async def test_what_comes_while_the_call_is_held_is_not_the_caller(line: Line, call: Dialog):
    await reinvite(call, sdp(way="sendonly", version=2))
    sink = next(iter(line.server.calls._live.values()))._media._sink
    await sink.audio(b"\xff" * 160, 0)
    assert not line.listeners.all[0].frames
    await reinvite(call, sdp(version=3))
    await sink.audio(b"\xff" * 160, 20)
    assert line.listeners.all[0].frames == [(b"\xff" * 160, 20)]


async def test_the_same_description_again_has_the_same_answer(call: Dialog):
    first = await reinvite(call, sdp(version=1))
    second = await reinvite(call, sdp(version=1))
    assert first.body == second.body


async def test_a_reinvite_without_a_description_gets_our_offer(line: Line, call: Dialog):
    call.send("INVITE")
    offer = await call.phone.hear(lambda m: m.status == 200 and m.header("CSeq") == "2 INVITE")
    assert "PCMA/8000" in offer.body
    call.ack(sdp(types="8", version=2))
    live = next(iter(line.server.calls._live.values()))
    await line.until(lambda: live.stream._negotiated.codec.name == "PCMA")


async def test_other_media_that_we_cannot_carry_leave_the_call_as_it_was(line: Line, call: Dialog):
    assert (await reinvite(call, sdp(types="18", version=2))).status == 488
    assert (await reinvite(call, "v=0\r\nnothing\r\n")).status == 400
    assert (await reinvite(call, sdp(version=3))).status == 200
    assert not line.log.endings


async def test_a_reinvite_that_is_cancelled_leaves_the_call_as_it_was(line: Line, call: Dialog):
    live = next(iter(line.server.calls._live.values()))
    live.offered = lambda offer: None  # takes its time
    call.send("INVITE", sdp(way="sendonly", version=2))
    branch = call.branch
    await call.phone.hear(100)
    call.send("CANCEL", cseq=2, branch=branch)
    assert (await call.phone.hear(200)).header("CSeq") == "2 CANCEL"
    assert (await call.phone.hear(487)).header("CSeq") == "2 INVITE"
    call.send("ACK", cseq=2, branch=branch)
    del live.offered
    resumed = await reinvite(call, sdp(version=3))
    assert resumed.status == 200
    assert not line.log.endings


async def test_an_update_changes_media_and_its_contact_is_where_we_go(line: Line, call: Dialog):
    other = await line.phone()
    call.phone, first = other, call.phone
    call.send("UPDATE", sdp(way="sendonly", version=2))
    answer = await other.hear(200)
    assert "a=recvonly" in answer.body
    assert answer.header("CSeq") == "2 UPDATE"
    call.send("UPDATE")
    assert not (await other.hear(200)).body
    await line.listeners.all[0].wire.close()
    call.reply(await other.hear("BYE"))
    await line.until(line.log.reasons)
    assert not [m for m in first.heard if m.method == "BYE"]


async def test_an_update_that_we_cannot_is_refused(call: Dialog):
    call.send("UPDATE", sdp(types="18", version=2))
    assert (await call.phone.hear(488)).header("CSeq") == "2 UPDATE"
    call.send("UPDATE", "hello", kind="text/plain")
    await call.phone.hear(415)
    call.send("UPDATE", sdp(version=3))
    await call.phone.hear(200)


# --- keys and other requests -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", "Signal= #\r\nDuration= 250\r\n", "#"),
        ("application/dtmf-relay", "signal=10\r\n", "*"),
        ("application/dtmf", "7", "7"),
        ("application/dtmf", "d\r\n", "D"),
    ],
)
async def test_keys_come_by_info(line: Line, call: Dialog, kind: str, body: str, digit: str):
    call.send("INFO", body, kind=kind)
    await call.phone.hear(200)
    await line.until(lambda: line.listeners.all[0].digits)
    assert line.listeners.all[0].digits == [digit]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/dtmf-relay", "Duration=160\r\n", 400),
        ("application/dtmf", "hello", 400),
        ("application/dtmf-relay", "Signal=16\r\n", 200),
        ("application/media_control+xml", "<x/>", 415),
    ],
)
async def test_an_info_that_is_no_key(line: Line, call: Dialog, kind: str, body: str, status: int):
    call.send("INFO", body, kind=kind)
    await call.phone.hear(status)
    assert not line.listeners.all[0].digits


@pytest.mark.parametrize(
    ("method", "extra", "status"),
    [
        ("OPTIONS", {}, 200),
        ("INFO", {}, 200),
        ("INFO", {"Info_Package": "x"}, 469),
        ("REFER", {"Refer_To": "<sip:a@127.0.0.1>"}, 603),
        ("MESSAGE", {}, 405),
        ("PRACK", {"RAck": "1 1 INVITE"}, 481),
        ("WHATEVER", {}, 501),
        ("OPTIONS", {"Require": "magic"}, 420),
        ("INVITE", {"Require": "magic"}, 420),
    ],
)
async def test_every_request_of_a_call_has_an_answer(
    line: Line, call: Dialog, method: str, extra: dict, status: int
):
    call.send(method, **extra)
    answer = await call.phone.hear(status)
    assert answer.header("CSeq").endswith(method)
    assert answer.header("To").endswith(f"tag={call.to_tag}")
    assert not line.log.endings


async def test_a_request_out_of_order_is_refused_and_the_call_goes_on(line: Line, call: Dialog):
    call.send("INFO")
    await call.phone.hear(200)
    call.send("INFO", cseq=1, branch="z9hG4bKlate")
    await call.phone.hear(500)
    assert not line.log.endings


async def test_a_call_that_is_over_is_481(line: Line, call: Dialog):
    call.send("BYE")
    await call.phone.hear(200)
    call.send("INFO")
    await call.phone.hear(481)
    call.send("BYE")
    await call.phone.hear(200)


async def test_a_caller_may_end_it_by_bye_before_the_answer(line: Line, phone: Phone):
    gate, around = asyncio.Event(), line.server.calls._around
    opened = around.open_media

    async def slowly(allowed):
        await gate.wait()
        return await opened(allowed)

    object.__setattr__(around, "open_media", slowly)
    call = phone.dialog()
    call.send("INVITE", sdp())
    ringing = await phone.hear(180)
    call.to_tag = ringing.header("To").partition("tag=")[2]
    call.send("BYE")
    assert (await phone.hear(200)).header("CSeq") == "2 BYE"
    assert (await phone.hear(487)).header("CSeq") == "1 INVITE"
    gate.set()
    await line.until(line.log.reasons)
    assert line.log.reasons() == ["caller_hangup"]


@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ('Q.850;cause=16;text="Normal"', "caller_hangup"),
        ('SIP;cause=200;text="Call completed elsewhere"', "carrier_ended"),
        ("Q.850;cause=38", "carrier_ended"),
        ("nonsense", "caller_hangup"),
        ("Q.850;cause=many", "caller_hangup"),
    ],
)
async def test_why_a_call_ended(line: Line, call: Dialog, reason: str, ended: str):
    call.send("BYE", Reason=reason)
    await call.phone.hear(200)
    await line.until(line.log.reasons)
    assert line.log.reasons() == [ended]


# --- provisional responses ---------------------------------------------------------------------


async def test_a_peer_that_requires_it_acknowledges_our_ringing(line: Line, phone: Phone):
    call = phone.dialog(Require="100rel")
    call.send("INVITE", sdp())
    first = await phone.hear(180)
    again = await phone.hear(180)  # until its PRACK
    assert first.text == again.text
    assert first.header("Require") == "100rel"
    assert not [m for m in phone.heard if m.status == 200]
    call.to_tag = first.header("To").partition("tag=")[2]
    call.headers = {}
    call.send("PRACK", RAck=f"{first.header('RSeq')} 1 INVITE")
    assert (await phone.hear(200)).header("CSeq") == "2 PRACK"
    assert (await phone.hear(200)).header("CSeq") == "1 INVITE"
    call.send("ACK", cseq=1)
    await line.until(lambda: line.listeners.all)


# --- session timers ----------------------------------------------------------------------------


async def test_an_interval_that_is_too_small_is_422(phone: Phone):
    phone.dialog().send("INVITE", sdp(), Supported="timer", Session_Expires="60")
    assert (await phone.hear(422)).header("Min-SE") == "90"
    phone.dialog().send("INVITE", sdp(), Supported="timer", Session_Expires="soon")
    await phone.hear(400)


@pytest.mark.parametrize(
    ("asked", "told", "required"),
    [
        ({"Supported": "timer"}, "1800;refresher=uac", "timer"),
        ({"Supported": "timer", "Session_Expires": "600"}, "600;refresher=uac", "timer"),
        ({"k": "timer", "x": "600;refresher=uas"}, "600;refresher=uas", ""),
        ({"Session_Expires": "600"}, "600;refresher=uas", ""),
        ({"Supported": "timer", "Session_Expires": "7200", "Min_SE": "3600"}, "3600", "timer"),
        ({}, "", ""),
    ],
)
async def test_what_we_agree_on(phone: Phone, asked: dict, told: str, required: str):
    call = phone.dialog()
    answer = await call.answered(None, **asked)
    assert answer.header("Session-Expires").startswith(told)
    assert bool(answer.header("Session-Expires")) == bool(told)
    assert answer.header("Require") == required


@pytest.fixture
def short(monkeypatch):
    """Intervals of seconds."""
    monkeypatch.setattr(session_timer, "LEAST_S", 1)
    monkeypatch.setattr(session_timer.Asked, "__init__", short_asked(session_timer.Asked.__init__))


def short_asked(init):
    def asked(self, interval_s=None, refresher="", least_s=1, supported=False):
        init(self, interval_s, refresher, 1, supported)

    return asked


@pytest.mark.parametrize("allow", ["INVITE, UPDATE", "INVITE"])
async def test_we_refresh_by_what_the_peer_knows(line: Line, phone: Phone, short, allow: str):
    call = phone.dialog()
    asked = {"Supported": "timer", "Session_Expires": f"{SHORT_S};refresher=uas", "Allow": allow}
    await call.answered(None, **asked)
    method = "UPDATE" if "UPDATE" in allow else "INVITE"
    for _ in range(2):
        refresh = await phone.hear(method)
        assert refresh.header("Session-Expires") == f"{SHORT_S};refresher=uac"
        answer = sdp(version=1) if method == "INVITE" else ""
        call.reply(refresh, 200, answer, Session_Expires=f"{SHORT_S};refresher=uac")
    if method == "INVITE":
        assert "m=audio" in refresh.body
        await phone.hear("ACK")
    assert not line.log.endings
    call.reply(await phone.hear(method), 481)
    await line.until(line.log.reasons)
    assert line.log.reasons() == ["session_expired"]


async def test_an_update_that_is_not_known_after_all_becomes_a_reinvite(phone: Phone, short):
    call = phone.dialog()
    asked = {"Supported": "timer", "Session_Expires": f"{SHORT_S};refresher=uas"}
    await call.answered(None, Allow="INVITE, UPDATE", **asked)
    call.reply(await phone.hear("UPDATE"), 501)
    call.reply(await phone.hear("INVITE"), 200, sdp())
    await phone.hear("ACK")


async def test_a_peer_that_does_not_refresh_is_gone(line: Line, phone: Phone, short):
    call = phone.dialog()
    await call.answered(None, Supported="timer", Session_Expires=f"{SHORT_S};refresher=uac")
    await line.until(lambda: line.listeners.all)
    call.send("UPDATE", Supported="timer", Session_Expires=f"{SHORT_S};refresher=uac")
    assert (await phone.hear(lambda m: m.header("CSeq") == "2 UPDATE")).status == 200
    assert not line.log.endings
    bye = await phone.hear("BYE")
    assert "cause=102" in bye.header("Reason")
    await line.until(line.log.reasons)
    assert line.log.reasons() == ["session_expired"]
