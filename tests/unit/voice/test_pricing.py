"""What work costs: forty cases over the catalogue's verified prices, worked out by hand.

Each amount is written down as it follows from the price beside it, not computed here.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from telebot.providers.catalogue import shipped
from telebot.providers.clips import Use
from telebot.voice.pricing import cost_of

pytestmark = pytest.mark.unit

CASES = [
    # a minute at 0.0048
    ("stt", "deepgram/nova-3", [(60, "s")], "0.0048"),
    ("stt", "deepgram/nova-3", [(5, "s")], "0.0004"),
    ("stt", "deepgram/nova-3", [(1, "s")], "0.00008"),
    ("stt", "deepgram/nova-3", [(3600, "s")], "0.288"),
    # a minute at 0.0078
    ("stt", "deepgram-flux/flux-general-multi", [(30, "s")], "0.0039"),
    ("stt", "deepgram/flux-general-multi", [(90, "s")], "0.0117"),
    # an hour of an open socket at 0.45
    ("stt", "assemblyai/universal-3-6-pro", [(3600, "socket_s")], "0.45"),
    ("stt", "assemblyai/universal-3-6-pro", [(8, "socket_s")], "0.001"),
    # an hour at 0.21, at 0.15
    ("stt", "assemblyai/universal-3.5-pro", [(60, "s")], "0.0035"),
    ("stt", "assemblyai/universal-2", [(24, "s")], "0.001"),
    # a minute at 0.0045; it counts tokens too and bills none
    ("stt", "openai/gpt-transcribe", [(60, "s")], "0.0045"),
    ("stt", "openai/gpt-transcribe", [(600, "tokens_in"), (20, "tokens_out"), (60, "s")], "0.0045"),
    ("stt", "openai/gpt-live-transcribe", [(15, "s")], "0.00425"),
    ("stt", "openai/gpt-4o-transcribe", [(5, "s")], "0.0005"),
    ("stt", "openai/gpt-4o-mini-transcribe", [(5, "s")], "0.00025"),
    ("stt", "openai/gpt-4o-transcribe-diarize", [(120, "s")], "0.012"),
    ("stt", "openai/whisper-1", [(10, "s")], "0.001"),
    ("stt", "openai-whisper/whisper-1", [(7, "s")], "0.0007"),
    # a minute at 0.016
    ("stt", "google/latest_long", [(15, "s")], "0.004"),
    ("stt", "google/telephony", [(3, "s")], "0.0008"),
    ("stt", "google/chirp_3", [(7, "s")], "0.001866667"),  # 0.0018666… to the billionth
    # an hour at 1.00
    ("stt", "azure/real-time", [(36, "s")], "0.01"),
    ("stt", "azure/anything", [(1, "s")], "0.000277778"),  # 0.00027777…
    ("stt", "amazon-transcribe/batch", [(15, "s")], "0.0015"),
    # an hour at 0.111, at 0.04
    ("stt", "groq/whisper-large-v3", [(100, "s")], "0.003083333"),  # 11.1 / 3600
    ("stt", "groq/whisper-large-v3-turbo", [(90, "s")], "0.001"),
    ("stt", "gladia/solaria-1 (realtime)", [(48, "s")], "0.01"),
    ("stt", "gladia/solaria-1", [(3600, "s")], "0.61"),
    ("stt", "soniox/stt-rt-v5", [(30, "s")], "0.001"),
    ("stt", "soniox/stt-async-v5", [(36, "s")], "0.001"),
    ("stt", "elevenlabs/scribe_v2", [(1800, "s")], "0.11"),
    # a million characters at 30, 15, 4, 16, 30, 100
    ("tts", "google/en-US-Chirp3-HD-Aoede", [(200, "characters")], "0.006"),
    ("tts", "azure/en-US-JennyNeural", [(200, "characters")], "0.003"),
    ("tts", "polly/standard", [(1, "characters")], "0.000004"),
    ("tts", "polly/neural", [(200, "characters")], "0.0032"),
    ("tts", "polly/generative", [(33, "characters")], "0.00099"),
    ("tts", "polly/long-form", [(7, "characters")], "0.0007"),
    ("tts", "murf/GEN2", [(1000, "characters")], "0.03"),
    ("tts", "openai/tts-1", [(200, "characters")], "0.003"),
    ("tts", "openai/tts-1-hd", [(4096, "characters")], "0.12288"),
    # a million tokens: text in at 0.6, sound out at 12
    ("tts", "openai/gpt-4o-mini-tts", [(50, "tokens_in"), (250, "tokens_out")], "0.00303"),
    # text in at 1.0, text out at 5.0
    ("llm", "openai/gpt-6.1-terra", [(1200, "tokens_in"), (80, "tokens_out")], "0.0016"),
    ("llm", "anthropic/claude-haiku-5-5", [(1000, "tokens_in"), (100, "tokens_out")], "0.00015"),
    (
        "realtime",
        "openai/gpt-realtime-2.1",
        [(100, "text_tokens_in"), (200, "audio_tokens_in"), (300, "audio_tokens_out")],
        "0.026",
    ),
]


@pytest.mark.parametrize(("kind", "provider", "uses", "amount"), CASES)
def test_a_verified_price_is_exact_to_the_smallest_unit(kind, provider, uses, amount):
    cost = cost_of(shipped(), kind, provider, [Use(*use) for use in uses], "USD")
    assert cost.amount == Decimal(amount)
    assert cost.nanos == int(Decimal(amount) * 1_000_000_000)
    assert cost.verified
    assert cost.sources
    assert cost.as_of is not None


def test_there_are_forty_cases():
    assert len(CASES) >= 40


def test_a_price_that_was_not_verified_says_so():
    cost = cost_of(shipped(), "stt", "rev-ai/reverb", [Use(36, "s")], "USD")
    assert (cost.amount, cost.verified) == (Decimal("0.002"), False)


def test_tokens_that_nobody_tells_are_assumed_and_say_so():
    # a character is about 0.25 tokens at 0.60 and 1.34 tokens at 12.00 a million: 16.23 a million
    cost = cost_of(shipped(), "tts", "openai/gpt-4o-mini-tts", [Use(200, "characters")], "USD")
    assert (cost.amount, cost.verified) == (Decimal("0.003246"), False)
    told = [Use(200, "characters"), Use(50, "text_tokens_in"), Use(300, "audio_tokens_out")]
    cost = cost_of(shipped(), "tts", "openai/gpt-4o-mini-tts", told, "USD")
    assert (cost.amount, cost.verified) == (Decimal("0.00363"), True)


@pytest.mark.parametrize(
    ("kind", "provider", "uses"),
    [
        ("stt", "nobody/none", [Use(60, "s")]),
        ("stt", "gladia/solaria-3", [Use(60, "s")]),  # the model is known, its price is not
        ("stt", "speechmatics/enhanced", [Use(60, "s")]),
        ("realtime", "openai/gpt-realtime-2.1", [Use(10, "tokens_in")]),  # of text or of sound?
        ("stt", "deepgram/nova-3", []),
    ],
)
def test_what_is_not_known_is_none_and_never_nothing(kind, provider, uses):
    assert cost_of(shipped(), kind, provider, uses, "USD").amount is None


def test_another_currency_is_not_known():
    assert cost_of(shipped(), "stt", "deepgram/nova-3", [Use(60, "s")], "EUR").amount is None


@pytest.mark.parametrize("provider", ["local", "dialog", "faster-whisper"])
def test_what_runs_here_costs_nothing(provider):
    cost = cost_of(shipped(), "stt", provider, [Use(60, "s")], "EUR")
    assert (cost.amount, cost.verified) == (Decimal(0), True)
