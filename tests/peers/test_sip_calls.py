"""Calls over SIP, by a phone that says exactly what a test wants: RFC 3261's ways of a call."""

from __future__ import annotations

import asyncio
import gc
import re
import weakref

import pytest
from prometheus_client import generate_latest
from sip_phone import Line, Phone, sdp, sip_line
from structlog.testing import capture_logs

from telebot.call.errors import ConfigError
from telebot.logs import TEXT_FIELDS, redact
from telebot.measures import measure_sip
from telebot.sip.stack import Stack
from telebot.web.metrics import Metrics

pytestmark = pytest.mark.peers


@pytest.fixture
async def line(tmp_path):
    async with sip_line(tmp_path) as running:
        yield running


@pytest.fixture
async def phone(line: Line):
    return await line.phone()


async def test_a_call_rings_is_answered_and_ends_with_the_callers_bye(line: Line, phone: Phone):
    call = phone.dialog()
    answer = await call.answered()
    assert [message.status for message in phone.heard] == [100, 180]
    ringing = phone.heard[1]
    assert ringing.header("To") == answer.header("To"), "one dialog"
    assert "m=audio" in answer.body
    assert "PCMU/8000" in answer.body
    assert answer.header("Contact") == f"<sip:127.0.0.1:{line.port}>"
    await line.until(lambda: line.listeners.all)
    assert line.log.calls[0].offer.phone_from == "+441632960001"
    assert line.log.calls[0].offer.phone_to == "100"
    assert line.log.calls[0].agent == "front-desk"
    call.send("BYE")
    assert (await phone.hear(200)).header("CSeq") == "2 BYE"
    await line.until(line.log.reasons)
    assert line.log.reasons() == ["caller_hangup"]
    assert line.listeners.all[0].over == "caller_hangup"
    assert line.events()[:3] == ["invite", "ringing", "answered"]
    assert {"bye", "rtp_stats"} <= set(line.events())


async def test_nothing_is_said_before_the_caller_knows_that_we_answered(line: Line, phone: Phone):
    call = phone.dialog()
    call.send("INVITE", sdp())
    await phone.hear(200)
    again = await phone.hear(200)  # sent again after half a second, as there was no ACK
    assert not line.listeners.all
    call.to_tag = again.header("To").partition("tag=")[2]
    call.ack()
    await line.until(lambda: line.listeners.all)


async def test_a_retransmitted_invite_is_one_call(line: Line, phone: Phone):
    call = phone.dialog()
    invite = call.request("INVITE", sdp())
    for _ in range(3):
        phone.send(invite)
    await phone.hear(200)
    assert len(line.log.calls) == 1


async def test_we_hang_up_with_a_reason(line: Line, phone: Phone):
    call = phone.dialog()
    await call.answered()
    await line.until(lambda: line.listeners.all)
    await line.listeners.all[0].wire.close()
    bye = await phone.hear("BYE")
    assert bye.header("Reason") == "Q.850; cause=16"
    assert bye.first == f"BYE sip:me@127.0.0.1:{phone.port} SIP/2.0"
    call.reply(bye)
    await line.until(line.log.reasons)
    assert line.log.reasons() == ["bot_hangup"]


async def test_a_caller_who_gives_up_is_told_487(line: Line, phone: Phone, monkeypatch):
    gate = asyncio.Event()
    opened = line.server.calls._around.open_media

    async def slowly(allowed):
        await gate.wait()
        return await opened(allowed)

    object.__setattr__(line.server.calls._around, "open_media", slowly)
    call = phone.dialog()
    call.send("INVITE", sdp())
    ringing = await phone.hear(180)
    call.send("CANCEL", cseq=1, branch=call.branch)
    assert (await phone.hear(200)).header("CSeq") == "1 CANCEL"
    gone = await phone.hear(487)
    assert gone.header("To") == ringing.header("To")
    call.to_tag = gone.header("To").partition("tag=")[2]
    call.send("ACK", cseq=1, branch=call.branch)
    gate.set()
    await line.until(line.log.reasons)
    _, ending = line.log.endings[0]
    assert (ending.result, ending.reason) == ("no_media", "caller_hangup")


async def test_a_late_offer_is_ours_and_their_answer_comes_with_the_ack(line: Line, phone: Phone):
    call = phone.dialog()
    call.send("INVITE")
    offer = await phone.hear(200)
    assert "PCMU/8000" in offer.body
    assert "PCMA/8000" in offer.body
    call.to_tag = offer.header("To").partition("tag=")[2]
    call.ack(sdp(types="8"))
    await line.until(lambda: line.listeners.all)
    live = next(iter(line.server.calls._live.values()))
    assert live.stream._negotiated.codec.name == "PCMA"


async def test_no_common_codec_is_488_and_no_description_is_400(line: Line, phone: Phone):
    call = phone.dialog()
    call.send("INVITE", sdp(types="18").replace("a=rtpmap:0 PCMU/8000\r\n", ""))
    await phone.hear(488)
    call = phone.dialog()
    call.send("INVITE", "v=0\r\nthis is not it\r\n")
    await phone.hear(400)
    assert len(line.log.reasons()) == 2


async def test_an_unknown_number_is_404_and_a_full_house_503(tmp_path):
    async with sip_line(tmp_path, max_calls=1) as line:
        phone = await line.phone()
        phone.dialog("999").send("INVITE", sdp())
        await phone.hear(404)
        await phone.dialog().answered()
        phone.dialog().send("INVITE", sdp())
        assert (await phone.hear(503)).header("Retry-After")
        line.admission.draining = True
        phone.dialog().send("INVITE", sdp())
        assert (await phone.hear(503)).header("Retry-After")


async def test_going_down_hangs_up_and_waits_for_the_answer(tmp_path):
    async with sip_line(tmp_path) as line:
        phone = await line.phone()
        call = phone.dialog()
        await call.answered()
        await line.until(lambda: line.listeners.all)
        closing = asyncio.create_task(line.server.close())
        bye = await phone.hear("BYE")
        again = await phone.hear("BYE")  # the first got lost
        assert bye.text == again.text
        call.reply(again)
        await closing
        assert line.log.reasons() == ["drained"]


async def test_options_is_a_health_check(phone: Phone):
    phone.dialog().send("OPTIONS")
    answer = await phone.hear(200)
    assert "INVITE" in answer.header("Allow")
    assert answer.header("Accept") == "application/sdp"


@pytest.mark.parametrize(
    ("asserted", "privacy", "caller"),
    [
        ('"A" <sip:+441632960009@pbx;user=phone>', "none", "+441632960009"),
        ("<tel:+441632960009>", "", "+441632960009"),
        ("<sip:+441632960009@pbx>", "id;critical", "anonymous"),
        ("nonsense", "", "anonymous"),
        ("", "", "anonymous"),
    ],
)
async def test_a_trunk_may_say_who_calls(line: Line, phone: Phone, asserted, privacy, caller):
    call = phone.dialog()
    text = call.request("INVITE", sdp(), P_Asserted_Identity=asserted, Privacy=privacy)
    phone.send(text.replace("sip:+441632960001@", "sip:anonymous@"))
    await phone.hear(200)
    assert line.log.calls[0].offer.phone_from == caller


@pytest.mark.parametrize(
    ("method", "status"), [("REGISTER", 405), ("SUBSCRIBE", 489), ("NONSENSE", 501)]
)
async def test_what_we_do_not_do_is_refused(phone: Phone, method: str, status: int):
    phone.dialog().send(method)
    await phone.hear(status)


async def test_a_request_of_a_call_that_is_none_is_481(phone: Phone):
    call = phone.dialog()
    call.to_tag = "nobody"
    for method in ("BYE", "INVITE", "INFO", "OPTIONS"):
        call.send(method)
        assert method in (await phone.hear(481)).header("CSeq")


@pytest.mark.parametrize(
    "broken",
    [
        "INVITE sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\n\r\n",
        "INVITE sip:100@127.0.0.1:port SIP/2.0\r\n{via}{rest}\r\n",
        "INVITE tel:+44 SIP/2.0\r\n{via}{rest}\r\n",
        "INVITE sip:100@127.0.0.1 SIP/2.0\r\n{via}{rest}Content-Length: 99\r\n\r\nshort",
        "INVITE sip:100@127.0.0.1 SIP/2.0\r\n{via}{rest}Content-Length: many\r\n\r\n",
        "INVITE sip:100@127.0.0.1 SIP/2.0\r\n{via}{rest}Max-Forwards: \xff\r\n\r\n",
    ],
)
async def test_what_cannot_be_read_is_400_and_the_server_lives(phone: Phone, broken: str):
    via = f"Via: SIP/2.0/UDP 127.0.0.1:{phone.port};branch=z9hG4bKbroken\r\n"
    rest = "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
    phone.send(broken.format(via=via, rest=rest).encode("latin-1"))
    await phone.hear(400)
    phone.dialog().send("OPTIONS")
    await phone.hear(200)


async def test_bytes_that_are_no_sip_are_no_matter(phone: Phone):
    for junk in (b"\r\n\r\n", b"\x00" * 100, bytes(range(256)), b"SIP/2.0 200 OK\r\n\r\n" * 4):
        phone.send(junk)
    phone.dialog().send("OPTIONS")
    await phone.hear(200)


async def test_an_address_that_is_taken_is_said(line: Line, tmp_path, monkeypatch):
    monkeypatch.setattr(Stack, "_open_one", None)
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match="address already in use; name another by --sip"):
        async with sip_line(tmp_path / "other", server__sip=f"127.0.0.1:{line.port}"):
            pass


async def test_what_is_counted(tmp_path):
    async with sip_line(tmp_path) as line:
        metrics = Metrics()
        measure_sip(metrics, line.server)
        phone = await line.phone()
        await phone.dialog().answered()
        stranger = await line.phone("127.0.0.2")
        stranger.dialog().send("INVITE", sdp())
        await stranger.hear(403)
        text = generate_latest(metrics.registry).decode()
        assert 'telebot_sip_invites_refused_total{status="403"} 1.0' in text
        assert 'telebot_sip_calls{trunk="this-machine"} 1.0' in text
        assert "telebot_sip_digests_wrong_total 0.0" in text
        received = re.search(r"telebot_sip_messages_received_total (\d+)", text)
        assert received
        assert int(received.group(1)) >= 2


async def test_each_message_is_shown_at_debug_and_its_numbers_are_masked(
    tmp_path, line: Line, phone: Phone
):
    with capture_logs() as shown:
        await phone.dialog().answered()
        await line.until(lambda: line.listeners.all)
    lines = [one for one in shown if one["event"] in "<>"]
    assert [(one["event"], one["message"]) for one in lines[:4]] == [
        ("<", "INVITE"),
        (">", "100 Trying"),
        (">", "180 Ringing"),
        (">", "200 OK"),
    ]
    assert {one["peer"] for one in lines} == {f"udp:127.0.0.1:{phone.port}"}
    for one in lines:
        bare = {name: value for name, value in one.items() if name not in TEXT_FIELDS}
        assert "1632960001" not in str(bare)
        assert "1632960001" not in str(redact(None, "debug", dict(one)))


async def test_a_call_whose_ack_never_came_is_hung_up_as_we_go_down(tmp_path):
    async with sip_line(tmp_path) as line:
        phone = await line.phone()
        call = phone.dialog()
        call.send("INVITE", sdp())
        await phone.hear(200)
        closing = asyncio.create_task(line.server.close())
        call.reply(await phone.hear("BYE"))
        await closing
        assert line.log.reasons() == ["drained"]


async def test_a_call_that_is_over_is_forgotten_at_once(line: Line, phone: Phone, monkeypatch):
    """No cycle keeps it until the next full collection, which a server makes seldom."""
    from telebot.sip.dialog import Dialog

    monkeypatch.setattr(Dialog, "godead_timeout", 0.05)
    call = phone.dialog()
    gc.disable()
    try:
        await call.answered(None, Supported="timer")
        await line.until(lambda: line.listeners.all)
        live = next(iter(line.server.calls._live.values()))
        known = [weakref.ref(one) for one in (live, live.leg, live.leg._dialog)]
        del live
        call.send("BYE")
        await line.until(line.log.reasons)
        line.listeners.all.clear()
        await line.until(lambda: [one() for one in known] == [None] * 3)
    finally:
        gc.enable()
