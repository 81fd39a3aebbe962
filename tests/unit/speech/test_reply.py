"""The arithmetic of a reply's latency, and the turn it becomes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from telebot.call.model import TurnLatency
from telebot.speech.reply import Reply

pytestmark = pytest.mark.unit

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PROVIDERS = {"stt": "local", "llm": "dialog", "tts": "local"}


def answered(**changes) -> Reply:
    """Speech ends at 10.0 s of our clock and 4000 ms of the stream."""
    reply = Reply("hello", wanted_at=10.35, created_at=AT, providers=PROVIDERS)
    reply.speech_end_at, reply.speech_end_ms = 10.0, 4000.0
    reply.text_at = 10.3
    reply.first_token_at = 10.36
    reply.tts_asked_at = 10.37
    reply.first_audio_at = 10.5
    reply.first_sent_ms = 4510.0
    reply.first_played_ms = 4560.0
    for name, value in changes.items():
        setattr(reply, name, value)
    return reply


def test_the_parts_of_the_wait():
    assert answered().latency() == TurnLatency(
        heard=560.0,
        endpointing=350.0,
        stt=300.0,
        llm_first_token=10.0,
        tts_first_audio=130.0,
        transport=60.0,
    )


def test_the_parts_add_up_to_what_was_heard():
    latency = answered(first_token_at=10.35, tts_asked_at=10.35).latency()
    parts = (latency.endpointing, latency.llm_first_token, latency.tts_first_audio)
    assert sum(part or 0 for part in parts) + (latency.transport or 0) == latency.heard


def test_without_marks_our_estimate_stands_in():
    assert answered(first_played_ms=None).latency().heard == 510.0


@pytest.mark.parametrize(
    ("missing", "part"),
    [
        ("text_at", "stt"),
        ("first_token_at", "llm_first_token"),
        ("tts_asked_at", "tts_first_audio"),
        ("speech_end_ms", "heard"),
        ("speech_end_ms", "transport"),
        ("speech_end_at", "endpointing"),
    ],
)
def test_what_did_not_happen_is_none(missing, part):
    assert getattr(answered(**{missing: None}).latency(), part) is None


def test_nothing_is_ever_negative():
    early = answered(text_at=9.0, first_played_ms=3000.0, wanted_at=9.5, first_token_at=9.1)
    latency = early.latency()
    assert latency.heard == 0.0
    assert latency.stt == 0.0
    assert latency.endpointing == 0.0
    assert latency.transport == 0.0


def test_what_the_bot_says_of_its_own_accord_has_no_latency():
    assert answered(caller_text=None).latency() == TurnLatency()


def test_the_turn_of_an_interrupted_reply():
    reply = answered(interrupted=True, caller_offset_s=2.5)
    reply.script.place(0, [(0.0, 0.5, "We"), (0.5, 1.0, "are"), (1.0, 1.5, "open.")])
    turn = reply.turn(3, "We are")
    assert (turn.index, turn.bot_text, turn.bot_text_heard) == (3, "We are open.", "We are")
    assert turn.interrupted
    assert (turn.caller_text, turn.caller_offset_s, turn.bot_offset_s) == ("hello", 2.5, 4.56)
    assert turn.providers == PROVIDERS
    assert turn.started_at is AT


def test_a_reply_that_began_with_the_stream():
    assert answered(first_played_ms=0.0, first_sent_ms=7.0).turn(0, "Hi").bot_offset_s == 0.0


def test_what_was_heard_of_a_reply_that_has_not_begun():
    assert answered().heard(100, 100) == ""
