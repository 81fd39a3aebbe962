"""What is wrong with a request, and raw answers: messages of RFC 4475 and others like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.sip import bodies, checks, raw

pytestmark = pytest.mark.unit

GOOD = {
    "Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa",
    "From": '"A, B" <sip:a@example.com>;tag=1',
    "To": "<sip:b@example.com>",
    "Call-ID": "x@192.0.2.1",
    "CSeq": "1 INVITE",
    "Max-Forwards": "70",
    "Contact": "<sip:a@192.0.2.1>",
}


START = "INVITE sip:b@example.com SIP/2.0"


def message(start: str = START, body: str = "", **changed: str | None) -> bytes:
    named = {name.replace("_", "-").lower(): value for name, value in changed.items()}
    lines = [start]
    for name, usual in GOOD.items():
        value = named.pop(name.lower(), usual)
        if value is not None:
            lines.append(f"{name}: {value}")
    lines += [f"{name}: {value}" for name, value in named.items()]
    return ("\r\n".join([*lines, "", body])).encode("latin-1")


def test_a_good_one_has_no_fault() -> None:
    assert checks.fault(message()) is None
    assert checks.fault(message("OPTIONS tel:+44 SIP/2.0", CSeq="9 OPTIONS")) is None
    assert checks.fault(message(body="v=0\r\n", content_length="5")) is None
    assert checks.fault(message(body="v=0\r\n", content_length="3")) is None, "the rest is none"
    assert checks.fault(message(Call_ID=None, i="compact")) is None


@pytest.mark.parametrize(
    ("start", "changed", "status"),
    [
        ("INVITE sip:b@example.com SIP/7.0", {}, 505),
        ("INVITE sip:b@example.com; lr SIP/2.0", {}, 400),
        ("INVITE  sip:b@example.com SIP/2.0", {}, 400),
        ("INVITE <sip:b@example.com> SIP/2.0", {}, 400),
        ("INVITE sip:b@example.com SIP/2.0 ", {}, 400),
        ("INVITE nobodyKnowsThisScheme:x SIP/2.0", {}, 416),
        ("INVITE soap.beep://192.0.2.103:3002 SIP/2.0", {}, 416),
        ("INVITE example SIP/2.0", {}, 400),
        ("", {"CSeq": "1 OPTIONS"}, 400),
        ("NEWMETHOD sip:b@example.com SIP/2.0", {"CSeq": "1 INVITE"}, 501),
        ("", {"CSeq": "36893488147419103232 INVITE"}, 400),
        ("", {"CSeq": "2147483648 INVITE"}, 400),
        ("", {"CSeq": "-1 INVITE"}, 400),
        ("", {"CSeq": "INVITE"}, 400),
        ("", {"Max_Forwards": "300"}, 400),
        ("", {"Max_Forwards": "many"}, 400),
        ("", {"content_length": "-999"}, 400),
        ("", {"content_length": "9999"}, 400),
        ("", {"content_length": "1\r\nl: 2"}, 400),
        ("", {"To": '"Mr. J. User <sip:j@example.com>'}, 400),
        ("", {"From": "<sip:j@example.com;tag=1"}, 400),
        ("", {"Contact": '"" <sip:j@example.com>>'}, 400),
        ("", {"Call_ID": "a\r\nCall-ID: b"}, 400),
        ("", {"Call_ID": "x" * 300}, 400),
        ("", {"Call_ID": ""}, 400),
        ("", {"To": "<sip:a@b>\r\nt: <sip:c@d>"}, 400),
        ("", {"Via": None}, 400),
        ("", {"From": None}, 400),
        ("", {"To": None}, 400),
        ("", {"Call_ID": None}, 400),
        ("", {"CSeq": None}, 400),
    ],
)
def test_a_fault_has_its_answer(start: str, changed: dict, status: int) -> None:
    data = message(start or START, **changed)
    found = checks.fault(data)
    assert found is not None
    assert found.status == status
    answer = raw.reply(data, status, "Whatever")
    assert (answer is None) == (changed.get("Via", "") is None)


@given(st.binary(max_size=400))
def test_any_bytes_are_judged(data: bytes) -> None:
    for whole in (data, message()[:60] + data, message() + data, data.join([message(), b""])):
        checks.fault(whole)
        raw.reply(whole, 400, "Bad Request")
        raw.in_dialog(whole)


def test_an_answer_is_made_of_the_requests_own_lines() -> None:
    data = message(v="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKb").replace(
        b"To: <sip:b", b"To:\r\n  <sip:b"
    )
    answer = raw.reply(data, 503, "Service Unavailable", (("Retry-After", "5"),))
    assert answer is not None
    lines = answer.decode().split("\r\n")
    assert lines[0] == "SIP/2.0 503 Service Unavailable"
    assert lines[1:3] == [
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKb",
    ]
    assert lines[3] == 'From: "A, B" <sip:a@example.com>;tag=1'
    assert lines[4].startswith("To: <sip:b@example.com>;tag=")
    assert lines[5:] == [
        "Call-ID: x@192.0.2.1",
        "CSeq: 1 INVITE",
        "Retry-After: 5",
        "Content-Length: 0",
        "",
        "",
    ]
    assert answer == raw.reply(data, 503, "Service Unavailable", (("Retry-After", "5"),))


def test_a_tag_that_is_there_stays() -> None:
    data = message(To="<sip:b@example.com>;tag=theirs")
    assert raw.in_dialog(data)
    assert not raw.in_dialog(message())
    assert b"To: <sip:b@example.com>;tag=theirs\r\n" in (raw.reply(data, 481, "None") or b"")


@pytest.mark.parametrize(
    "data", [b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n", b"ACK sip:a SIP/2.0\r\n\r\n", b""]
)
def test_some_have_no_answer(data: bytes) -> None:
    assert raw.reply(data, 400, "Bad Request") is None


# --- bodies ------------------------------------------------------------------------------------

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n"


def test_a_description_alone_or_among_parts() -> None:
    assert bodies.session_description("application/sdp", SDP) == SDP
    assert bodies.session_description("Application/SDP ;x=y", SDP) == SDP
    assert bodies.session_description("text/plain", b"") is None
    mixed = (
        b"--b1\r\nContent-Type: application/isup;version=itu-t\r\n\r\n\x01\x02\r\n"
        b"--b1\r\nContent-Type: application/sdp\r\nContent-Disposition: session\r\n\r\n"
        + SDP
        + b"--b1--\r\n"
    )
    assert bodies.session_description('multipart/mixed;boundary="b1"', mixed) == SDP
    assert bodies.session_description("multipart/mixed; boundary=b1", mixed) == SDP


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"hello"),
        ("multipart/mixed", b"--b\r\n"),
        ("multipart/mixed;boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--"),
    ],
)
def test_other_bodies_are_not_supported(content_type: str, body: bytes) -> None:
    with pytest.raises(bodies.Unsupported):
        bodies.session_description(content_type, body)


@given(st.text(max_size=80), st.binary(max_size=200))
def test_any_body_is_read_or_refused(content_type: str, body: bytes) -> None:
    for kind in (content_type, "multipart/mixed;boundary=" + content_type):
        try:
            found = bodies.session_description(kind, body)
        except bodies.Unsupported:
            continue
        assert found is None or isinstance(found, bytes)


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160", "5"),
        ("application/dtmf-relay;x=y", b"Duration=1\nsignal = 11\n", "#"),
        ("application/dtmf-relay", b"Signal=!", ""),
        ("application/dtmf-relay", b"Signal=99", None),
        ("application/dtmf", b" 0\r\n", "0"),
        ("application/dtmf", b"a", "A"),
        ("application/dtmf", b"", None),
        ("application/dtmf", b"\xff", None),
    ],
)
def test_a_key_of_an_info(kind: str, body: bytes, key: str | None) -> None:
    assert bodies.key(kind, body) == key
