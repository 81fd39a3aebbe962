"""Messages and packets with something wrong in them, by a seeded hand: whatever comes, the server
stays up, answers OPTIONS, says 500 to nobody, and keeps the call that is up."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rtp_line import RtpLine, rtp_line
from sip_line import Request, SipLine, respond, sdp, sip_line
from sip_phone import Line
from sip_phone import sip_line as sip_server

pytestmark = pytest.mark.peers

TORTURE = Path(__file__).with_name("sip_peers") / "torture"
MESSAGES = 800
PACKETS = 1500
DIALOG_MESSAGES = 300
METHODS = (
    "INVITE",
    "UPDATE",
    "INFO",
    "OPTIONS",
    "NOTIFY",
    "REFER",
    "MESSAGE",
    "PRACK",
    "ACK",
    "NEW",
)
SEED = 4475
AWKWARD = (
    b"", b"\x00", b"\xff\xfe", b"%00", b"4294967296", b"-1", b"9" * 40, b"A" * 5000, b"\r\n\r\n",
    b"<", b'"', b";;;", b"sip:", b"[::1", b"0", b"\xc3\x28", b"999.999.999.999:99999", b"*",
)  # fmt: skip


def requests(line: SipLine, port: int) -> list[bytes]:
    """What is changed: good requests of every method, in and out of a dialog, and the torture."""
    good = []
    for method in ("INVITE", "OPTIONS", "BYE", "CANCEL", "ACK", "INFO", "UPDATE", "PRACK", "REFER"):
        for tag in ("", "made-up"):
            body = sdp(20_000) if method in ("INVITE", "UPDATE") else ""
            good.append(line.request(method, port, "100", body=body, to_tag=tag).text().encode())
    return good + [path.read_bytes() for path in sorted(TORTURE.glob("*.sip"))]


def spoilt(good: bytes, rng: random.Random) -> bytes:
    """One to four things wrong."""
    data = bytearray(good)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(7):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + rng.randrange(40)]
            case 2:
                data[at:at] = rng.choice(AWKWARD)
            case 3:
                data = data[:at]
            case 4 | 5:
                data = bytearray(_line_spoilt(bytes(data), rng))
            case 6:
                data[at:at] = data[rng.randrange(len(data) + 1) :][: rng.randrange(200)]
        data = data or bytearray(b"x")
    return bytes(data)


def _line_spoilt(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\r\n")
    at = rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines.insert(rng.randrange(len(lines)), lines[at])
        case 1:
            del lines[at]
        case 2:
            name, colon, _ = lines[at].partition(b":")
            lines[at] = name + colon + rng.choice(AWKWARD)
        case 3:
            lines[at] = re.sub(rb"\d+", lambda _: rng.choice(AWKWARD), lines[at])
    return b"\r\n".join(lines)


async def alive(line: SipLine, port: int) -> None:
    answer = await line.ask(line.request("OPTIONS", port, "100"), port, 20)
    assert answer.status == 200, answer.text


def wrong_answers(line: SipLine) -> Iterator[str]:
    """A 500 is right where a request of a dialog came out of order (RFC 3261 section 12.2.2), and
    with Retry-After where it came while another was being answered (14.2, RFC 3311 section 5.2)."""
    highest = 0
    for message in line.messages:
        if message.status < 200:
            continue
        number = int((re.match(r"\d+", message.header("CSeq")) or ["0"])[0])
        early = number <= highest or bool(message.header("Retry-After"))
        overtaken = message.status == 500 and early
        highest = max(highest, number if message.status != 400 else 0)
        if 500 <= message.status < 600 and message.status not in (501, 503, 505) and not overtaken:
            yield message.text


async def test_spoilt_messages_leave_the_server_up(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    async with sip_server(tmp_path, max_calls=5) as server, sip_line() as line:
        good = requests(line, server.port)
        for number in range(MESSAGES):
            line.send(spoilt(rng.choice(good), rng), ("127.0.0.1", server.port))
            if number % 100 == 99:
                await alive(line, server.port)
        await alive(line, server.port)
        assert list(wrong_answers(line)) == []


async def calling(line: SipLine, rtp: RtpLine, server: Line) -> Request:
    """A call that is up, its media going to `rtp.peer`; its INVITE, with the tag of its dialog."""
    invite = line.request("INVITE", server.port, "100", body=sdp(rtp.port))
    answer = await line.ask(invite, server.port)
    assert answer.status == 200, answer.text
    line.send(line.ack(invite, answer), answer.source)
    rtp.peer = ("127.0.0.1", answer.media_port)
    await server.until(lambda: server.listeners.all)
    return replace(invite, to_tag=answer.header("To").partition(";tag=")[2])


async def test_spoilt_messages_inside_a_call_leave_it_up(tmp_path: Path) -> None:
    """None of them is a BYE by accident: what is said is judged by what is answered."""
    rng = random.Random(SEED)
    async with sip_server(tmp_path) as server, sip_line() as line, rtp_line() as rtp:
        line.answer = lambda message: respond(message, 200, "OK") if message.method != "ACK" else ""
        dialog = await calling(line, rtp, server)
        for number in range(DIALOG_MESSAGES):
            method = rng.choice(METHODS)
            request = line.request(method, server.port, "100")
            inside = replace(
                dialog, method=method, branch=request.branch, cseq=number + 2, headers=(),
                body=sdp(rtp.port) if method in ("INVITE", "UPDATE") else "",
            ).text().encode()  # fmt: skip
            whole = rng.random() < 0.3
            line.send(inside if whole else spoilt(inside, rng), ("127.0.0.1", server.port))
            if number % 50 == 49:
                await alive(line, server.port)
        await alive(line, server.port)
        assert list(wrong_answers(line)) == []
        await rtp.speak(bytes(160) * 25)
        (heard,) = server.listeners.all
        await server.until(lambda: heard.frames)
        assert server.log.reasons() == []


async def test_an_address_that_cannot_be(tmp_path: Path) -> None:
    """In Via, Contact and Record-Route: what would be sent there is not, and nothing else fails."""
    async with sip_server(tmp_path) as server, sip_line() as line:
        for where in (
            "127.0.0.1:99999",
            "127.0.0.1:0",
            "[::1",
            "999.1.1.1",
            "no.such.host.invalid",
        ):
            contact = f"Contact: <sip:me@{where}>"
            for request in (
                line.request("OPTIONS", server.port, "100", via=where),
                line.request("INVITE", server.port, "100", body=sdp(20_000), headers=(contact,)),
                line.request("INVITE", server.port, "100", body=sdp(20_000), via=where),
            ):
                text = request.text().replace(";rport", "")
                if contact in text:  # in the place of its own
                    text = text.replace(f"Contact: <sip:test@{request.via}>\r\n", "")
                line.send(text, ("127.0.0.1", server.port))
            await alive(line, server.port)
        for call in [*server.listeners.all]:
            await call.wire.close()
        await alive(line, server.port)


async def test_spoilt_packets_leave_the_call_up(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    async with sip_server(tmp_path) as server, sip_line() as line, rtp_line() as rtp:
        await calling(line, rtp, server)
        await rtp.speak(bytes(160) * 10)
        (heard,) = server.listeners.all
        await server.until(lambda: heard.frames)
        control = (rtp.peer[0], rtp.peer[1] + 1)
        for number in range(PACKETS):
            size = rng.choice((0, 1, 11, 12, 13, 28, 172, 1400))
            junk = bytearray(rng.randbytes(size))
            if junk and rng.random() < 0.8:
                junk[0] = rng.choice((0x80, 0x80, 0x81, 0x90, 0xA0, 0xBF))
            if len(junk) > 1 and rng.random() < 0.8:
                junk[1] = rng.choice((0, 8, 101, 127, 200, 201, 202, 203, 204, 255))
            rtp.raw(bytes(junk), control if number % 2 else rtp.peer)
            if number % 50 == 49:
                await asyncio.sleep(0)
        count = len(heard.frames)
        await rtp.speak(bytes(160) * 25)
        await server.until(lambda: len(heard.frames) > count)
        assert server.log.reasons() == []
        await alive(line, server.port)


async def test_media_from_elsewhere_is_not_believed_and_nothing_goes_there(tmp_path: Path) -> None:
    """RTP Bleed: whoever finds the port must neither hear the call nor be heard in it."""
    async with (
        sip_server(tmp_path) as server,
        sip_line() as line,
        rtp_line() as rtp,
        rtp_line() as thief,
    ):
        await calling(line, rtp, server)
        await rtp.speak(b"\x10" * 160 * 20)
        (heard,) = server.listeners.all
        await server.until(lambda: len(heard.frames) > 10)
        thief.peer = rtp.peer
        stealing = asyncio.create_task(thief.speak(b"\x99" * 160 * 40))
        heard.wire.send_audio(b"\x22" * 160 * 30)
        await rtp.speak(b"\x10" * 160 * 40)
        await stealing
        assert thief.packets == []
        assert b"\x99" * 20 not in b"".join(ulaw for ulaw, _ in heard.frames)


async def test_a_body_that_describes_no_session_changes_nothing(tmp_path: Path) -> None:
    async with sip_server(tmp_path) as server, sip_line() as line, rtp_line() as rtp:
        dialog = await calling(line, rtp, server)
        for number, status in ((2, 415), (3, 415), (4, 200)):
            new = line.request("INVITE", server.port, "100")
            again = replace(dialog, cseq=number, branch=new.branch)
            text = again.text()
            if status == 415:
                text = text.replace("application/sdp", "text/plain")
            line.send(text, ("127.0.0.1", server.port))
            answer = await line.final(dialog.call_id, "INVITE", number)
            assert answer.status == status, answer.text
            line.send(line.ack(again, answer), ("127.0.0.1", server.port))
        assert server.log.reasons() == []
