"""Vonage's signed webhooks in, NCCO out, without a socket."""

from __future__ import annotations

import hashlib
import json
import uuid
from contextlib import suppress
from urllib.parse import urlencode

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.call.errors import BadRequest, NotAuthentic
from telebot.call.model import Call, CallOffer
from telebot.carriers.port import StatusUpdate, Webhook
from telebot.carriers.sentences import APOLOGY, SENTENCES
from telebot.carriers.vonage import VonageCarrier, VonageSettings
from telebot.settings import SettingsError, load

pytestmark = pytest.mark.unit

SECRET = "qwertyuiopasdfghjklzxcvbnm123456"
NOW = 1_700_000_000
URL = "https://voice.example/vonage/voice"
CALL = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
OFFER = {
    "from": "442079460000",
    "to": "447700900000",
    "uuid": CALL,
    "conversation_uuid": f"CON-{CALL}",
}


def _carrier():
    return VonageCarrier(VonageSettings(signature_secret=SECRET), lambda: float(NOW))


def _token(said, *, secret=SECRET, **claims):
    claims = {
        "iat": NOW,
        "jti": str(uuid.uuid4()),
        "payload_hash": hashlib.sha256(said).hexdigest(),
        **claims,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return "Bearer " + jwt.encode(claims, secret, algorithm="HS256")


def _signed(tree, *, url=URL, **claims):
    body = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    headers = {"content-type": "application/json", "authorization": _token(body, **claims)}
    return Webhook("POST", url, headers, body, "203.0.113.1")


def test_an_offer():
    offer = _carrier().parse_offer(_signed(OFFER, url=URL + "?agent=echo"))
    assert offer == CallOffer("vonage", CALL, "+442079460000", "+447700900000", "echo")


def test_a_caller_without_a_number_stays_what_it_is():
    offer = _carrier().parse_offer(_signed({**OFFER, "from": "unknown"}))
    assert offer.phone_from == "unknown"


def test_an_offer_by_get():
    asked = {"agent": "echo", **OFFER}
    token = _token(json.dumps(OFFER, separators=(",", ":")).encode())
    webhook = Webhook("GET", f"{URL}?{urlencode(asked)}", {"authorization": token}, b"", "")
    assert _carrier().parse_offer(webhook).agent == "echo"


def test_a_request_is_believed_once():
    carrier = _carrier()
    webhook = _signed(OFFER)
    carrier.parse_offer(webhook)
    with pytest.raises(NotAuthentic, match="here before"):
        carrier.parse_offer(webhook)
    carrier.parse_offer(_signed(OFFER))


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": NOW - 301},
        {"iat": NOW + 301},
        {"iat": None},
        {"jti": None},
        {"payload_hash": None},
        {"payload_hash": 7},
        {"payload_hash": hashlib.sha256(b"else").hexdigest()},
        {"secret": "another secret of the right length"},
    ],
    ids=str,
)
def test_a_wrong_token_is_none(claims):
    with pytest.raises(NotAuthentic):
        _carrier().parse_offer(_signed(OFFER, **claims))


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer a.b.c", "Basic YTpi", "Bearer " + "a" * 9000, "Bearer \udcff"]
)
def test_a_token_that_is_none(header):
    body = json.dumps(OFFER).encode()
    with pytest.raises(NotAuthentic):
        _carrier().parse_offer(Webhook("POST", URL, {"authorization": header}, body, ""))


def test_no_token_without_a_signature_is_good():
    body = json.dumps(OFFER).encode()
    claims = {"iat": NOW, "jti": "1", "payload_hash": hashlib.sha256(body).hexdigest()}
    token = jwt.encode(claims, "", algorithm="none")
    with pytest.raises(NotAuthentic):
        _carrier().parse_offer(Webhook("POST", URL, {"authorization": f"Bearer {token}"}, body, ""))


@given(st.binary(max_size=200) | st.text(max_size=50).map(lambda text: json.dumps(text).encode()))
def test_any_signed_body_is_read_or_refused(body):
    with suppress(BadRequest):
        _carrier().parse_status(_signed(body))


@pytest.mark.parametrize(
    ("status", "ended", "reason"),
    [
        ("started", False, ""),
        ("ringing", False, ""),
        ("answered", False, ""),
        ("completed", True, ""),
        ("busy", True, "busy"),
        ("unanswered", True, "no_answer"),
        ("timeout", True, "no_answer"),
        ("rejected", True, "declined"),
        ("failed", True, "unreachable"),
        ("cancelled", True, "cancelled"),
    ],
)
def test_a_status(status, ended, reason):
    update = _carrier().parse_status(_signed({"uuid": CALL, "status": status}))
    assert update == StatusUpdate(CALL, status, ended, reason)


@pytest.mark.parametrize(
    ("status", "goes_on"),
    [("answered", True), ("completed", True), ("disconnected", False), ("failed", False)],
)
def test_an_event_of_the_sockets_own_leg(status, goes_on):
    event = {"uuid": "bbbb", "status": status, "headers": {"call": CALL, "token": "a.b.c"}}
    update = _carrier().parse_status(_signed(event))
    assert (update.carrier_call_id, update.ended) == (CALL, False)
    if goes_on:
        assert (update.answer.status, update.answer.body) == (204, "")
    else:
        assert update.answer is None


@pytest.mark.parametrize("call_id", ["", "../x", "a b", "x" * 300, 7, None])
def test_a_call_without_an_id_is_none(call_id):
    with pytest.raises(BadRequest):
        _carrier().parse_offer(_signed({**OFFER, "uuid": call_id}))


def test_the_answer_connects_a_socket():
    call = Call("id1", CallOffer("vonage", CALL, "", ""), "front-desk", None)
    answer = _carrier().answer(call, "a.b.c", "wss://voice.example/vonage/media")
    assert answer.content_type == "application/json"
    assert json.loads(answer.body) == [
        {
            "action": "connect",
            "eventType": "synchronous",
            "eventUrl": ["https://voice.example/vonage/fallback?after=stream"],
            "eventMethod": "POST",
            "endpoint": [
                {
                    "type": "websocket",
                    "uri": "wss://voice.example/vonage/media",
                    "content-type": "audio/l16;rate=8000",
                    "headers": {"token": "a.b.c", "call": CALL},
                }
            ],
        }
    ]


@pytest.mark.parametrize(
    ("reason", "actions"),
    [
        ("bot_hangup", []),
        ("capacity", [{"action": "talk", "text": SENTENCES["capacity"]}]),
        ("server_error", [{"action": "talk", "text": APOLOGY}]),
    ],
)
def test_an_apology(reason, actions):
    assert json.loads(_carrier().apology(reason).body) == actions


@pytest.mark.parametrize("reason", ["duplicate", "transferred"])
def test_what_goes_on_is_left_alone(reason):
    assert _carrier().apology(reason).status == 204


def test_it_is_off_without_its_secret_and_reads_its_key_from_a_file(tmp_path):
    assert "VONAGE_SIGNATURE_SECRET" in str(VonageCarrier(VonageSettings()).off())
    assert _carrier().off() is None
    (tmp_path / "key").write_text("-----BEGIN PRIVATE KEY-----\nabc\n")
    environ = {"VONAGE_PRIVATE_KEY": str(tmp_path / "key")}
    settings = load(environ=environ).carrier("vonage", VonageSettings)
    assert settings.private_key.get_secret_value().startswith("-----BEGIN")
    with pytest.raises(SettingsError, match="path of its file"):
        load(environ={"VONAGE_PRIVATE_KEY": "/nowhere"}).carrier("vonage", VonageSettings)
