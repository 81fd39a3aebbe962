"""Who may offer a call where nobody signs."""

from __future__ import annotations

from base64 import b64encode

import pytest

from telebot.call.errors import BadRequest, NotAuthentic
from telebot.carriers.dialplan import DialplanCarrier
from telebot.carriers.door import Door
from telebot.carriers.port import Webhook

pytestmark = pytest.mark.unit

URL = "https://bot.example/pbx/media"


def request(peer: str = "127.0.0.1", *, forwarded: bool = False, body: bytes = b"", **headers):
    return Webhook("GET", URL, headers, body, peer, forwarded)


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_alone_where_nothing_is_set(peer):
    Door("", "").check(request(peer))
    with pytest.raises(NotAuthentic):
        Door("", "").check(request(peer, forwarded=True))


@pytest.mark.parametrize(
    "peer", ["192.0.2.1", "", "localhost", "::ffff:192.0.2.1", "127.0.0.1.evil"]
)
def test_nobody_else(peer):
    with pytest.raises(NotAuthentic):
        Door("", "").check(request(peer))


def test_a_list_of_peers():
    door = Door("", "", ("192.0.2.0/28", "2001:db8::/32"))
    for peer in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::7"):
        door.check(request(peer))
        door.check(request(peer, forwarded=True))  # a trusted proxy names them
    for peer in ("192.0.2.16", "127.0.0.1", "2001:db9::1"):
        with pytest.raises(NotAuthentic):
            door.check(request(peer))


def test_credentials_from_anywhere():
    door = Door("pbx", "pass:word")
    door.check(request("192.0.2.1", authorization=basic("pbx:pass:word")))
    for header in (
        "",
        "Basic",
        "Basic ***",
        "Bearer " + b64encode(b"pbx:pass:word").decode(),
        basic("pbx:pass"),
        basic(":pass:word"),
        "x" * 10_000,
    ):
        with pytest.raises(NotAuthentic):
            door.check(request("127.0.0.1", authorization=header))


def test_credentials_and_peers():
    door = Door("pbx", "password", ("192.0.2.1",))
    good = basic("pbx:password")
    door.check(request("192.0.2.1", authorization=good))
    for peer, header in (("192.0.2.2", good), ("192.0.2.1", "")):
        with pytest.raises(NotAuthentic):
            door.check(request(peer, authorization=header))


@pytest.mark.parametrize(
    "origin", ["https://bot.example", "http://bot.example:8080", "bot.example"]
)
def test_a_client_that_names_us_as_its_origin(origin):
    Door("", "").check(request(origin=origin))


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "file://", "http://[", "//"])
def test_a_page_of_somebody_else(origin):
    with pytest.raises(NotAuthentic, match="web page"):
        Door("", "").check(request(origin=origin))


class Pbx(DialplanCarrier):
    name = "pbx"


@pytest.mark.parametrize(
    ("status", "ended", "reason"),
    [
        ("BUSY", True, "busy"),
        ("NOANSWER", True, "no_answer"),
        ("CHANUNAVAIL", True, "unreachable"),
        ("CALL_REJECTED", True, "declined"),
        ("USER_BUSY", True, "busy"),
        ("ANSWER", True, ""),
        ("NORMAL_CLEARING", True, ""),
        ("RINGING", False, ""),
        ("", False, ""),
    ],
)
def test_a_dialplans_words_for_what_became_of_a_call(status, ended, reason):
    told = Pbx(Door("", "")).parse_status(request(body=f"id=1.1&status={status}".encode()))
    assert (told.carrier_call_id, told.ended, told.reason) == ("1.1", ended, reason)


@pytest.mark.parametrize("body", [b"id=%ff&\xff", b"id=1&" + b"a=1&" * 100, b"id=" + b"1" * 129])
def test_a_form_that_is_none(body):
    with pytest.raises(BadRequest):
        Pbx(Door("", "")).parse_offer(request(body=body))


def test_a_url_that_is_too_long():
    with pytest.raises(BadRequest):
        Pbx(Door("", "")).parse_offer(Webhook("POST", URL + "?" + "a" * 9000, {}, b"", "::1"))
