"""A realtime session as its user prefers it."""

from __future__ import annotations

import pytest

from telebot.voice.defaults import UserPreferences
from telebot.voice.sessions import SessionRequest, preferred

pytestmark = pytest.mark.unit

PREFERS = UserPreferences.model_validate({
    "model": {"stt": "acme/hears", "tts": "acme", "llm": "thinks"},
    "voice": {"acme": "anna"},
    "language": "de",
})  # fmt: skip
PRIVATE = UserPreferences.model_validate({"privacy": {"data_collection": "deny"}})


def meant(prefers, **asked):
    return preferred(SessionRequest.model_validate(asked), prefers)


def test_what_the_request_does_not_say_is_as_the_user_prefers():
    session = meant(PREFERS)
    assert (session.language, session.voice) == ("de", "anna")
    assert session.named == {"stt": "acme/hears", "llm": "thinks", "tts": "acme"}


def test_what_it_says_stays():
    session = meant(PREFERS, language="en", voice="ben", model="other", provider={"stt": "mine"})
    assert (session.language, session.voice) == ("en", "ben")
    assert session.named == {"stt": "mine", "llm": "other", "tts": "acme"}
    session = meant(PREFERS, provider={"only": ["mine"]})
    assert (session.named, session.voice) == ({}, None)


def test_privacy_binds():
    session = meant(PRIVATE, provider={"data_collection": "allow", "stt": "acme"})
    assert session.provider.data_collection == "deny"
    assert "data_collection" in session.provider.model_fields_set
    assert meant(PREFERS).provider.data_collection == "allow"
