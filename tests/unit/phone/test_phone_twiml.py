"""Reading a webhook's answer as Twilio does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.twiml.voice_response import VoiceResponse

from telebot.phone.twiml import BadTwiml, parse

pytestmark = pytest.mark.unit


def connect(url: str = "wss://bot.example/twilio/media", inner: str = "") -> bytes:
    return f'<Response><Connect><Stream url="{url}">{inner}</Stream></Connect></Response>'.encode()


def test_what_twilios_own_library_writes_is_read() -> None:
    response = VoiceResponse()
    stream = response.connect().stream(url="wss://bot.example/twilio/media")
    stream.parameter(name="token", value="a.b&c")
    response.redirect("https://bot.example/twilio/fallback?after=stream", method="POST")
    answer = parse(str(response).encode())
    assert answer.url == "wss://bot.example/twilio/media"
    assert answer.parameters == {"token": "a.b&c"}
    assert answer.after == ("Redirect",)
    assert answer.redirect == "https://bot.example/twilio/fallback?after=stream"


def test_a_refusal_is_read_with_its_words() -> None:
    answer = parse(b"<Response><Say>All lines are busy.</Say><Hangup/></Response>")
    assert answer.url is None
    assert answer.said == "All lines are busy."


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not XML"),
        (b"<html></html>", "root"),
        (b"<Response><Connect/></Response>", "exactly one"),
        (connect("https://bot.example/media"), "ws: or wss:"),
        (connect("wss:///media"), "ws: or wss:"),
        (connect("wss://[::1/media"), "cannot be read"),
        (connect("wss://bot.example/media?token=1"), "query"),
        (connect(inner='<Parameter name="token"/>'), "Parameter"),
        (connect(inner="<Say>hello</Say>"), "Parameter"),
        (connect(inner=f'<Parameter name="token" value="{"x" * 500}"/>'), "500"),
        (b'<!DOCTYPE r [<!ENTITY a "b">]><Response/>', "document type"),
        (b"<Response>" * 50, "nested"),
        (b"<Response>" + b" " * 70_000 + b"</Response>", "bytes"),
    ],
)
def test_what_twilio_would_not_carry_on_with(body: bytes, why: str) -> None:
    with pytest.raises(BadTwiml, match=why):
        parse(body)


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text("<>/\"' =&;Responscta", max_size=100)))
def test_any_bytes_are_read_or_refused(body: bytes | str) -> None:
    raw = body if isinstance(body, bytes) else body.encode()
    for candidate in (raw, b"<Response>" + raw + b"</Response>"):
        try:
            parse(candidate)
        except BadTwiml:
            continue
