"""Plivo's signed webhooks in, XML out, without a socket."""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import suppress
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from telebot.call.errors import BadRequest, NotAuthentic
from telebot.call.model import Call, CallOffer
from telebot.carriers.fields import FORM, JSON
from telebot.carriers.plivo import PlivoCarrier, PlivoSettings
from telebot.carriers.plivo_signature import is_signed
from telebot.carriers.port import StatusUpdate, Webhook
from telebot.carriers.sentences import APOLOGY, SENTENCES

pytestmark = pytest.mark.unit

TOKEN = "a token"
URL = "https://voice.example/plivo/voice"
CALL = "12345678-1234-1234-1234-123456789abc"
OFFER = {"CallUUID": CALL, "From": "+1415", "To": "+1416", "Direction": "inbound"}


def _signature(covered: str, nonce: str = "12345", token: str = TOKEN) -> str:
    made = hmac.new(token.encode(), f"{covered}.{nonce}".encode(), hashlib.sha256).digest()
    return base64.b64encode(made).decode()


def _carrier():
    return PlivoCarrier(PlivoSettings(auth_token=TOKEN))


def _told(form):
    return "".join(name + value for name, value in sorted(form.items()))


def _signed(form, *, url=URL, nonce="12345", kind=FORM, **headers):
    base, _, query = url.partition("?")
    covered = f"{base}?{query}.{_told(form)}" if query else f"{base}?{_told(form)}"
    headers = {
        "content-type": kind,
        "x-plivo-signature-v3": _signature(covered, nonce),
        "x-plivo-signature-v3-nonce": nonce,
        **headers,
    }
    return Webhook("POST", url, headers, urlencode(form).encode(), "203.0.113.1")


@pytest.mark.parametrize(
    ("url", "posted", "covered"),
    [
        ("https://x.example/a", {}, "https://x.example/a"),
        ("https://x.example/a?", {}, "https://x.example/a"),
        ("https://x.example:8443/a?b=2&a=1", {}, "https://x.example:8443/a?a=1&b=2"),
        ("https://x.example/a?a=2&a=1", {}, "https://x.example/a?a=1&a=2"),
        ("https://x.example/a?a=", {}, "https://x.example/a?a="),
        ("https://x.example/a?a=%2B1", {}, "https://x.example/a?a=+1"),
        ("https://x.example/a", {"To": "2", "From": "1"}, "https://x.example/a?From1To2"),
        ("https://x.example/a?b=1", {"To": "2"}, "https://x.example/a?b=1.To2"),
    ],
)
def test_what_the_signature_covers(url, posted, covered):
    right = _signature(covered)
    assert is_signed(TOKEN, url, MultiDict(posted), "12345", ["wrong", right])
    assert not is_signed(TOKEN, url, MultiDict(posted), "12346", [right])
    assert not is_signed("another", url, MultiDict(posted), "12345", [right])
    assert not is_signed(TOKEN, url + "&c=1", MultiDict(posted), "12345", [right])


def test_an_offer():
    offer = _carrier().parse_offer(_signed(OFFER, url=URL + "?agent=echo"))
    assert offer == CallOffer("plivo", CALL, "+1415", "+1416", "echo")
    ours = _carrier().parse_offer(_signed({**OFFER, "Direction": "outbound"}))
    assert ours.outbound


def test_the_main_accounts_signature_is_good_too():
    webhook = _signed(OFFER)
    right = webhook.headers["x-plivo-signature-v3"]
    headers = {"x-plivo-signature-v3": "other", "x-plivo-signature-ma-v3": f"x,{right}"}
    assert _carrier().parse_offer(_signed(OFFER, **headers)).carrier_call_id == CALL


def test_a_request_is_believed_once():
    carrier = _carrier()
    carrier.parse_offer(_signed(OFFER))
    with pytest.raises(NotAuthentic, match="here before"):
        carrier.parse_offer(_signed(OFFER))
    carrier.parse_offer(_signed(OFFER, nonce="another"))


@pytest.mark.parametrize(
    "headers",
    [
        {"x-plivo-signature-v3": ""},
        {"x-plivo-signature-v3": ","},
        {"x-plivo-signature-v3": "Zm9v"},
        {"x-plivo-signature-v3": "\udcff"},
        {"x-plivo-signature-v3-nonce": ""},
        {"x-plivo-signature-v3-nonce": "54321"},
        {"x-plivo-signature-v3-nonce": "1" * 500},
    ],
    ids=str,
)
def test_a_wrong_signature_is_none(headers):
    with pytest.raises(NotAuthentic):
        _carrier().parse_status(_signed(OFFER, **headers))


@given(
    body=st.binary(max_size=200),
    kind=st.sampled_from([FORM, JSON, "text/plain", ""]),
    url=st.sampled_from([URL, URL + "?a=%ff", "http://[", "http://x:99999/", ""]),
    method=st.sampled_from(["GET", "POST"]),
)
def test_nothing_unsigned_gets_in_and_nothing_else_is_raised(body, kind, url, method):
    headers = {
        "content-type": kind,
        "x-plivo-signature-v3": "Zm9v",
        "x-plivo-signature-v3-nonce": "1",
    }
    webhook = Webhook(method, url, headers, body, "")
    for parse in (_carrier().parse_offer, _carrier().parse_status):
        with pytest.raises((NotAuthentic, BadRequest)):
            parse(webhook)


FIELDS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=10),
    st.text(st.characters(codec="utf-8"), max_size=20),
    min_size=1,
    max_size=6,
)


@given(FIELDS)
def test_any_fields_that_plivo_signs_are_authentic(form):
    with suppress(BadRequest):
        _carrier().parse_status(_signed(form))


@pytest.mark.parametrize(
    ("status", "cause", "ended", "reason"),
    [
        ("ringing", "", False, ""),
        ("in-progress", "", False, ""),
        ("completed", "NORMAL_CLEARING", True, ""),
        ("busy", "USER_BUSY", True, "busy"),
        ("busy", "CALL_REJECTED", True, "declined"),
        ("no-answer", "NO_ANSWER", True, "no_answer"),
        ("timeout", "", True, "no_answer"),
        ("cancel", "", True, "cancelled"),
        ("failed", "", True, "unreachable"),
    ],
)
def test_a_status(status, cause, ended, reason):
    form = {"CallUUID": CALL, "CallStatus": status, "HangupCause": cause}
    assert _carrier().parse_status(_signed(form)) == StatusUpdate(CALL, status, ended, reason)


@pytest.mark.parametrize("call_id", ["", "../x", "a b", "x" * 300])
def test_a_call_without_an_id_is_none(call_id):
    with pytest.raises(BadRequest):
        _carrier().parse_offer(_signed({**OFFER, "CallUUID": call_id}))


def test_the_answer_is_a_stream_both_ways():
    call = Call("id1", CallOffer("plivo", CALL, "", ""), "front-desk", None)
    root = ElementTree.fromstring(
        _carrier().answer(call, "a.b.c", "wss://voice.example/plivo/media").body
    )
    stream, redirect = root
    assert (stream.tag, stream.text) == ("Stream", "wss://voice.example/plivo/media")
    assert stream.attrib == {
        "bidirectional": "true",
        "keepCallAlive": "true",
        "contentType": "audio/x-mulaw;rate=8000",
        "extraHeaders": "token=a.b.c",
    }
    assert redirect.tag == "Redirect"
    assert redirect.text == "https://voice.example/plivo/fallback?after=stream"


@pytest.mark.parametrize(
    ("reason", "verbs", "said"),
    [
        ("bot_hangup", ["Hangup"], None),
        ("capacity", ["Speak", "Hangup"], SENTENCES["capacity"]),
        ("server_error", ["Speak", "Hangup"], APOLOGY),
        ("duplicate", [], None),
    ],
)
def test_an_apology(reason, verbs, said):
    root = ElementTree.fromstring(_carrier().apology(reason).body)
    assert [verb.tag for verb in root] == verbs
    assert root.findtext("Speak") == said


def test_it_is_off_without_its_token():
    assert "PLIVO_AUTH_TOKEN" in str(PlivoCarrier(PlivoSettings()).off())
    assert _carrier().off() is None
