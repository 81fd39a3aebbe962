"""Telnyx's signed webhooks in, TeXML out, without a socket."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from telebot.call.errors import BadRequest, NotAuthentic
from telebot.call.model import Call, CallOffer
from telebot.carriers.fields import FORM, JSON
from telebot.carriers.port import StatusUpdate, Webhook
from telebot.carriers.sentences import APOLOGY, SENTENCES
from telebot.carriers.telnyx import TelnyxCarrier, TelnyxSettings
from telebot.settings import SettingsError, load

pytestmark = pytest.mark.unit

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
NOW = 1_700_000_000
URL = "https://voice.example/telnyx/voice"
CALL = "v3:KBnLO0ZK3DhKM5s7bE9VluaSmKsOchKht_fUYvxcp8ysbmzCCtpkmA"


def _carrier(**settings):
    return TelnyxCarrier(TelnyxSettings(public_key=PUBLIC, **settings), lambda: float(NOW))


def _signed(body, *, url=URL, kind=FORM, at=NOW, key=KEY, **headers):
    body = body if isinstance(body, bytes) else urlencode(body).encode()
    signature = base64.b64encode(key.sign(b"%d|%s" % (at, body))).decode()
    headers = {
        "content-type": kind,
        "telnyx-timestamp": str(at),
        "telnyx-signature-ed25519": signature,
        **headers,
    }
    return Webhook("POST", url, headers, body, "203.0.113.1")


OFFER = {"CallSid": CALL, "From": "+13122010094", "To": "+13122123456", "Direction": "inbound"}


def test_an_offer():
    offer = _carrier().parse_offer(_signed(OFFER, url=URL + "?agent=echo"))
    assert offer == CallOffer("telnyx", CALL, "+13122010094", "+13122123456", "echo")


@pytest.mark.parametrize("at", [NOW - 301, NOW + 301, 0])
def test_an_old_signature_is_none(at):
    with pytest.raises(NotAuthentic, match="too long ago"):
        _carrier().parse_offer(_signed(OFFER, at=at))


def test_a_request_is_believed_once():
    carrier = _carrier()
    webhook = _signed(OFFER)
    carrier.parse_offer(webhook)
    with pytest.raises(NotAuthentic, match="here before"):
        carrier.parse_offer(webhook)


@pytest.mark.parametrize(
    "headers",
    [
        {"telnyx-signature-ed25519": ""},
        {"telnyx-signature-ed25519": "Zm9v"},
        {"telnyx-signature-ed25519": "not base64"},
        {"telnyx-signature-ed25519": base64.b64encode(bytes(64)).decode()},
        {"telnyx-timestamp": ""},
        {"telnyx-timestamp": "now"},
        {"telnyx-timestamp": "-5"},
        {"telnyx-timestamp": str(NOW - 1)},
        {"telnyx-timestamp": "1" * 40},
    ],
    ids=str,
)
def test_a_wrong_signature_is_none(headers):
    with pytest.raises(NotAuthentic):
        _carrier().parse_status(_signed(OFFER, **headers))


def test_another_key_is_none():
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(NotAuthentic):
        _carrier().parse_offer(_signed(OFFER, key=other))


@given(st.integers(0, 200), st.integers(1, 255))
def test_no_changed_byte_is_authentic(at, change):
    good = _signed(OFFER)
    at %= len(good.body)
    body = good.body[:at] + bytes([good.body[at] ^ change]) + good.body[at + 1 :]
    with pytest.raises(NotAuthentic):
        _carrier().parse_status(Webhook("POST", URL, good.headers, body, ""))


@given(st.binary(max_size=200), st.sampled_from([FORM, JSON, "text/plain", ""]))
def test_any_signed_body_is_read_or_refused(body, kind):
    with suppress(BadRequest):
        _carrier().parse_status(_signed(body, kind=kind))


@pytest.mark.parametrize(
    ("status", "ended", "reason"),
    [
        ("ringing", False, ""),
        ("in-progress", False, ""),
        ("completed", True, ""),
        ("busy", True, "busy"),
        ("no-answer", True, "no_answer"),
        ("failed", True, "unreachable"),
    ],
)
def test_a_status(status, ended, reason):
    fields = {"CallSid": CALL, "CallStatus": status}
    assert _carrier().parse_status(_signed(fields)) == StatusUpdate(CALL, status, ended, reason)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [("user_busy", "busy"), ("call_rejected", "declined"), ("timeout", "no_answer")],
)
def test_a_call_that_we_dialled_tells_its_end_by_call_control(cause, reason):
    payload = {"call_control_id": CALL, "hangup_cause": cause, "sip_hangup_cause": "486"}
    body = json.dumps({"data": {"event_type": "call.hangup", "payload": payload}}).encode()
    update = _carrier().parse_status(_signed(body, url=URL + "?call=id1", kind=JSON))
    assert update == StatusUpdate(CALL, "call.hangup", True, reason)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"{}", b'{"data": 1}', b'{"data": {"payload": {}}}'], ids=str
)
def test_an_event_that_is_none(body):
    with pytest.raises(BadRequest):
        _carrier().parse_status(_signed(body, kind=JSON))


@pytest.mark.parametrize("sid", ["", "../x", "a b", "x" * 300])
def test_a_call_without_an_id_is_none(sid):
    with pytest.raises(BadRequest):
        _carrier().parse_offer(_signed({**OFFER, "CallSid": sid}))


def test_the_answer_is_a_stream_both_ways():
    call = Call("id1", CallOffer("telnyx", CALL, "", ""), "front-desk", None)
    answer = _carrier().answer(call, "a.b.c", "wss://voice.example/telnyx/media")
    root = ElementTree.fromstring(answer.body)
    assert [verb.tag for verb in root] == ["Connect", "Redirect"]
    [stream] = root[0]
    assert stream.attrib == {
        "url": "wss://voice.example/telnyx/media",
        "track": "inbound_track",
        "codec": "PCMU",
        "bidirectionalMode": "rtp",
        "bidirectionalCodec": "PCMU",
    }
    assert [child.attrib for child in stream] == [{"name": "token", "value": "a.b.c"}]
    assert root[1].text == "https://voice.example/telnyx/fallback?after=stream"


@pytest.mark.parametrize(
    ("reason", "verbs", "said"),
    [
        ("bot_hangup", ["Hangup"], None),
        ("transferred", ["Hangup"], None),
        ("capacity", ["Say", "Hangup"], SENTENCES["capacity"]),
        ("server_error", ["Say", "Hangup"], APOLOGY),
        ("duplicate", [], None),
    ],
)
def test_an_apology(reason, verbs, said):
    root = ElementTree.fromstring(_carrier().apology(reason).body)
    assert [verb.tag for verb in root] == verbs
    assert root.findtext("Say") == said


def test_it_is_off_without_its_key_and_a_wrong_key_is_told():
    assert "TELNYX_PUBLIC_KEY" in str(TelnyxCarrier(TelnyxSettings()).off())
    assert _carrier().off() is None
    der = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + bytes(32)).decode()
    assert TelnyxSettings(public_key=der).public_key == der
    with pytest.raises(SettingsError, match="portal"):
        load(environ={"TELNYX_PUBLIC_KEY": "abc"}).carrier("telnyx", TelnyxSettings)
