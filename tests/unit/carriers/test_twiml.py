"""Signed webhooks in, TwiML out, without a socket."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from telebot.call.ending import termination
from telebot.call.errors import BadRequest, NotAuthentic
from telebot.call.model import Call, CallOffer, Result
from telebot.carriers.fields import FORM
from telebot.carriers.port import Webhook
from telebot.carriers.sentences import APOLOGY, SENTENCES
from telebot.carriers.twilio import TwilioCarrier, TwilioSettings

pytestmark = pytest.mark.unit

TOKEN = "a token"
URL = "https://voice.example/twilio/voice"
CARRIER = TwilioCarrier(TwilioSettings(auth_token=TOKEN))


def _webhook(body=b"", url=URL, kind=FORM, signature="", **headers):
    headers = {"content-type": kind, "x-twilio-signature": signature, **headers}
    return Webhook("POST", url, headers, body, "203.0.113.1")


def _signed(pairs, url=URL):
    signature = RequestValidator(TOKEN).compute_signature(url, MultiDict(pairs))
    return _webhook(urlencode(pairs).encode(), url, signature=signature)


OFFER = [("CallSid", "CA" + "1" * 32), ("From", "+441632960001"), ("To", "+441632960000")]


def test_an_offer():
    offer = CARRIER.parse_offer(_signed([*OFFER, ("Direction", "outbound-api")], URL + "?agent=a"))
    assert offer == CallOffer(
        "twilio", "CA" + "1" * 32, "+441632960001", "+441632960000", "a", "outbound"
    )
    assert CARRIER.parse_offer(_signed(OFFER)).agent is None
    assert CARRIER.parse_offer(_signed(OFFER[:1])).phone_from == ""


@pytest.mark.parametrize("query", ["?agent=a&agent=b", "?agent=" + "a" * 300])
def test_an_agent_that_is_none(query):
    with pytest.raises(BadRequest):
        CARRIER.parse_offer(_signed(OFFER, URL + query))


@pytest.mark.parametrize(
    ("status", "ended"),
    [("ringing", False), ("in-progress", False), ("completed", True), ("canceled", True)],
)
def test_a_status(status, ended):
    update = CARRIER.parse_status(_signed([*OFFER, ("CallStatus", status)]))
    assert (update.carrier_call_id, update.status, update.ended) == (OFFER[0][1], status, ended)


FIELDS = st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=8).filter(
    lambda pairs: not any(ord(c) in range(0xD800, 0xE000) for pair in pairs for c in "".join(pair))
)


@given(FIELDS)
@example([("a", ""), ("a", "b"), ("", "x")])
def test_any_fields_that_twilio_signs_are_authentic(pairs):
    CARRIER.parse_status(_signed(pairs))  # raises on a wrong signature


@given(FIELDS, st.integers(0, 200))
def test_no_changed_byte_is(pairs, at):
    good = _signed([*pairs, *OFFER])
    at %= len(good.body)
    body = good.body[:at] + bytes([good.body[at] ^ 1]) + good.body[at + 1 :]
    try:
        CARRIER.parse_status(_webhook(body, signature=good.headers["x-twilio-signature"]))
    except (NotAuthentic, BadRequest):
        return
    # `+` and `%20`, or two names of one value, can be changed without changing a field
    again = _webhook(body, signature=good.headers["x-twilio-signature"])
    assert CARRIER.parse_status(again) == CARRIER.parse_status(good)


@given(
    body=st.binary(max_size=200),
    kind=st.sampled_from([FORM, "application/json", "text/plain", "", "multipart/form-data"]),
    url=st.sampled_from([URL, URL + "?", URL + "?bodySHA256=", "http://[", "http://x:99999/", ""]),
    signature=st.text(max_size=40),
)
def test_nothing_unsigned_gets_in_and_nothing_else_is_raised(body, kind, url, signature):
    for parse in (CARRIER.parse_offer, CARRIER.parse_status):
        with pytest.raises((NotAuthentic, BadRequest)):
            parse(_webhook(body, url, kind, signature))


@given(
    body=st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_body_signed_by_its_hash_is_read_or_refused(body):
    url = f"{URL}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator(TOKEN).compute_signature(url, {})
    with suppress(BadRequest):
        CARRIER.parse_status(_webhook(body, url, "application/json", signature))


def _call():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Call("id1", CallOffer("twilio", "CA1", "", ""), "front-desk", now)


def test_the_answer_connects_and_then_asks():
    answer = CARRIER.answer(_call(), "a.b.c", "wss://voice.example/base/twilio/media")
    root = ElementTree.fromstring(answer.body)
    assert (answer.status, answer.content_type) == (200, "text/xml")
    assert root.find("Connect/Stream").attrib == {"url": "wss://voice.example/base/twilio/media"}
    assert root.find("Connect/Stream/Parameter").attrib == {"name": "token", "value": "a.b.c"}
    redirect = root.find("Redirect")
    assert redirect.text == "https://voice.example/base/twilio/fallback?after=stream"
    assert redirect.attrib == {"method": "POST"}
    plain = CARRIER.answer(_call(), "a.b.c", "ws://127.0.0.1:8080/local/media")
    assert ElementTree.fromstring(plain.body).findtext("Redirect").startswith("http://127.0.0.1")


@pytest.mark.parametrize(
    "reason",
    [*SENTENCES, "server_error", "stream_lost", "no_media", "caller_hangup",
     "bot_hangup", "transferred", "drained"],
)  # fmt: skip
def test_an_apology_says_what_is_the_matter_and_hangs_up(reason):
    root = ElementTree.fromstring(CARRIER.apology(reason).body)
    assert root[-1].tag == "Hangup"
    proper = termination(reason).result in (Result.COMPLETED, Result.TRANSFERRED)
    said = [verb.text for verb in root[:-1]]
    assert said == ([] if proper else [SENTENCES.get(reason, APOLOGY)])


def test_a_webhook_delivered_again_is_answered_without_a_word_or_deed():
    answer = CARRIER.apology("duplicate")
    assert (answer.status, answer.content_type) == (200, "text/xml")
    assert list(ElementTree.fromstring(answer.body)) == []
