"""What a chat takes over of an agent's file."""

from __future__ import annotations

import pytest

from telebot.dialog.actions import EndCall, Record, Transfer
from telebot.voice.chat_agents import asked_by, told, voices_of

pytestmark = pytest.mark.unit

KNOWN = {"openai", "deepgram", "local", "openai-compatible"}.__contains__


def test_what_only_a_call_can_use_is_left_out():
    specs = [
        "openai",
        {"service": "openai", "model": "gpt-4.1", "settings": {"system_instruction": "x"}},
        {"service": "openai", "settings": {"model": "gpt-6-luna", "temperature": 0.2}},
        {"service": "openai-compatible", "base_url": "http://here/v1", "model": "m", "hedge_s": 1},
        {"service": "pipecat.services.acme.llm:AcmeLLMService", "api_key_env": "ACME"},
        "scripted",
        "dialog",
    ]
    assert asked_by(specs, KNOWN) == (
        {"service": "openai"},
        {"service": "openai", "model": "gpt-4.1"},
        {"service": "openai", "model": "gpt-6-luna"},
        {"service": "openai-compatible", "model": "m", "base_url": "http://here/v1"},
        "local",
    )
    assert asked_by(["scripted"], KNOWN) == ()


def test_the_voice_of_each_provider_is_the_one_that_the_file_names_first():
    specs = [
        "local",
        {"service": "openai", "voice": "nova"},
        {"service": "openai", "voice": "alloy"},
        {"service": "elevenlabs", "settings": {"voice": "abc"}},
        {"service": "deepgram", "model": "aura-2-thalia-en"},
    ]
    assert voices_of(specs) == {"openai": "nova", "elevenlabs": "abc"}


def test_what_a_brain_asks_for_is_told_to_the_program():
    actions = [
        EndCall("goodbye"),
        Transfer("+441632960000", warm=True),
        Record("booking", {"people": 4}, replaces=True),
    ]
    assert told(actions) == [
        {"type": "end_call", "reason": "goodbye"},
        {"type": "transfer", "to": "+441632960000", "warm": True},
        {"type": "record", "kind": "booking", "fields": {"people": 4}, "replaces": True},
    ]
