"""Exotel's applets and callbacks, without a socket."""

from __future__ import annotations

import json
from contextlib import suppress
from urllib.parse import urlencode

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.call.errors import BadRequest, NotAuthentic
from telebot.call.events import Started
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Transfers
from telebot.carriers.exotel import ExotelCarrier, ExotelSettings
from telebot.carriers.port import StatusUpdate, Webhook
from telebot.settings import load

pytestmark = pytest.mark.unit

BASE = "https://voice.example/exotel"
CALL = "80bfbec2d78bbbf10fb851f4fa165211"
LOGIN = {"authorization": aiohttp.encode_basic_auth("key", "token")}


def _carrier(**settings):
    return ExotelCarrier(ExotelSettings(api_key="key", api_token="token", **settings))


def _get(path, fields, headers=LOGIN, peer="203.0.113.1"):
    return Webhook("GET", f"{BASE}/{path}?{urlencode(fields)}", headers, b"", peer)


def _post(body, kind, headers=LOGIN):
    headers = {**headers, "content-type": kind}
    return Webhook("POST", f"{BASE}/status", headers, body, "203.0.113.1")


OFFER = {"CallSid": CALL, "CallFrom": "09876543210", "CallTo": "04412345678"}


def test_an_offer():
    offer = _carrier().parse_offer(_get("voice", {**OFFER, "agent": "echo"}))
    assert offer == CallOffer("exotel", CALL, "09876543210", "04412345678", "echo")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic Zm9v"}, {"authorization": "x"}])
def test_without_the_password_nobody_comes_in(headers):
    for parse in (_carrier().parse_offer, _carrier().parse_status):
        with pytest.raises(NotAuthentic):
            parse(_get("voice", OFFER, headers))
    with pytest.raises(NotAuthentic):
        _carrier().offer(_get("media", {}, headers), Started("S", CALL, {}))


def test_a_list_of_addresses_narrows_it():
    carrier = _carrier(peers=["198.51.100.0/24"])
    carrier.parse_offer(_get("voice", OFFER, peer="198.51.100.7"))
    with pytest.raises(NotAuthentic):
        carrier.parse_offer(_get("voice", OFFER, peer="203.0.113.1"))
    listed = ExotelCarrier(ExotelSettings(peers=["198.51.100.0/24"]))
    listed.parse_offer(_get("voice", OFFER, headers={}, peer="198.51.100.7"))
    assert listed.off() is None


@pytest.mark.parametrize(
    ("status", "ended", "reason"),
    [
        ("completed", True, ""),
        ("in-progress", False, ""),
        ("busy", True, "busy"),
        ("no-answer", True, "no_answer"),
        ("failed", True, "unreachable"),
        ("canceled", True, "cancelled"),
    ],
)
def test_a_status(status, ended, reason):
    body = json.dumps({"CallSid": CALL, "Status": status, "RecordingUrl": None}).encode()
    update = _carrier().parse_status(_post(body, "application/json"))
    assert update == StatusUpdate(CALL, status, ended, reason)


def test_what_a_passthru_applet_says_in_small_letters():
    body = urlencode({"callsid": CALL, "status": "completed", "disconnectedby": "bot"}).encode()
    update = _carrier().parse_status(_post(body, "application/x-www-form-urlencoded"))
    assert (update.carrier_call_id, update.ended) == (CALL, True)


@given(
    st.binary(max_size=300),
    st.sampled_from(
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "multipart/form-data",
            "multipart/mixed; boundary=\udcff",
            "text/plain",
            "",
        ]
    ),
)
def test_any_body_is_read_or_refused(body, kind):
    with suppress(BadRequest):
        _carrier().parse_status(_post(body, kind))


@pytest.mark.parametrize("call_id", ["", "../x", "a b", "x" * 100])
def test_a_call_without_an_id_is_none(call_id):
    with pytest.raises(BadRequest):
        _carrier().parse_offer(_get("voice", {**OFFER, "CallSid": call_id}))


def test_the_answer_is_an_address_with_a_ticket_good_once():
    carrier = _carrier()
    call = Call("id1", CallOffer("exotel", CALL, "", ""), "front-desk", None)
    answer = carrier.answer(call, "a.b.c", "wss://voice.example/exotel/media")
    url = json.loads(answer.body)["url"]
    base, _, ticket = url.partition("?t=")
    assert base == "wss://voice.example/exotel/media"
    assert len(ticket) < 30
    start = {"event": "start", "stream_sid": "S", "start": {"call_sid": CALL}}
    tokens = []
    for _ in range(2):
        codec = carrier.codec(Webhook("GET", url, {}, b"", ""))
        tokens.append(codec.decode(json.dumps(start).encode()).parameters.get("token"))
    assert tokens == ["a.b.c", None]


def test_tickets_that_nobody_asks_for_are_forgotten():
    carrier = _carrier()
    for number in range(5000):
        carrier._ticket(str(number))
    assert len(carrier._tickets) == 4096


def test_an_apology_dials_nobody():
    answer = _carrier().apology("server_error")
    assert json.loads(answer.body)["destination"] == {"numbers": []}


def test_it_is_off_where_nobody_could_come_in_and_transfers_where_the_flow_can():
    assert "EXOTEL_API_TOKEN" in str(ExotelCarrier(ExotelSettings()).off())
    assert _carrier().off() is None
    assert not isinstance(_carrier(), Transfers)
    settings = load(environ={}, overrides={"carriers": {"exotel": {"connect_applet": True}}})
    assert isinstance(ExotelCarrier.from_settings(settings), Transfers)


@pytest.mark.parametrize("parameters", [{"from": "1" * 300}, {"agent": "a" * 300}])
def test_a_stream_that_says_too_much_is_refused(parameters):
    with pytest.raises(BadRequest):
        _carrier().offer(_get("media", {}), Started("S", CALL, parameters))
