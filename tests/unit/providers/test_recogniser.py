"""The real model: is the text right, is nothing invented, does no caller get another's words?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from words_heard import bare, word_errors

from telebot.audio import g711
from telebot.call.errors import ProviderError
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.moonshine import read_tokens
from telebot.providers.recogniser import SpeechToText, normalise
from telebot.providers.voicing import find_speech, quiet_point, to_float

pytestmark = pytest.mark.unit

Say = Callable[[str], Awaitable[bytes]]
RATE_HZ = 8000
PHRASES = (
    "Are you open on Mondays?",
    "I would like to book a table for four people.",
    "Friday at half past seven, please.",
    "The name is Johnson.",
    "Is there anywhere to park the car?",
    "Can I speak to a person?",
    "No, actually make it five.",
    "What is your address?",
    "I want to cancel my booking for tomorrow.",
    "Could you repeat that?",
    "Thank you very much.",
    "Goodbye.",
)


def pcm(samples: np.ndarray, peak: float = 0.3) -> bytes:
    """A signal as the phone line gives it, with 0.3 s of silence around it."""
    scaled = samples * peak / max(1e-9, float(np.abs(samples).max()))
    padded = np.concatenate([np.zeros(2400), scaled, np.zeros(2400)])
    return g711.decode(g711.encode((padded * 32767).astype("<i2").tobytes()))


def noise(seconds: float, fall: float, seed: int) -> np.ndarray:
    """Noise whose spectrum falls with frequency to the power `fall`."""
    size = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(size))
    return np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(size, 1 / RATE_HZ), 20) ** fall, size)


def cough(seed: int) -> np.ndarray:
    """A burst of noise that falls away, with a short hoarse end."""
    random = np.random.default_rng(seed)
    burst = noise(0.25, 0.4, seed) * np.exp(-np.arange(2000) / random.uniform(300, 900))
    t = np.arange(1000) / RATE_HZ
    voice = sum(np.sin(2 * np.pi * random.uniform(150, 250) * h * t) / h for h in range(1, 6))
    end = (noise(0.125, 0.4, seed + 1) * 8 + voice * 0.1) * np.hanning(1000)
    return np.concatenate([burst / np.abs(burst).max(), end / np.abs(end).max() * 0.3])


def tones(*hz: float, seconds: float = 0.4) -> np.ndarray:
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return sum((np.sin(2 * np.pi * f * t) for f in hz), start=np.zeros_like(t))


async def test_a_dozen_phrases_through_mulaw(speech: LocalSpeech, say: Say) -> None:
    errors = words = 0
    for phrase in PHRASES:
        heard = (await speech.stt.transcribe(await say(phrase), RATE_HZ)).text
        errors += word_errors(bare(phrase), bare(heard))
        words += len(bare(phrase))
    assert errors / words < 0.06


async def test_eight_callers_at_once_get_their_own_words(speech: LocalSpeech, say: Say) -> None:
    calls = [await say(phrase) for phrase in PHRASES[:8]]
    alone = [(await speech.stt.transcribe(call, RATE_HZ)).text for call in calls]
    for _ in range(3):
        together = await asyncio.gather(*(speech.stt.transcribe(c, RATE_HZ) for c in calls))
        assert [t.text for t in together] == alone
        assert together[-1].queue_ms > together[0].queue_ms
    stats = speech.stt.stats()
    assert stats is not None
    assert stats.waiting_most >= 7


async def test_a_long_utterance_is_heard_whole(speech: LocalSpeech, say: Say) -> None:
    """Over ten seconds, where the decoder needs its mask by sample."""
    text = " ".join(PHRASES[:9])
    pcm16 = await say(text)
    assert len(pcm16) > 12 * 2 * RATE_HZ
    heard = (await speech.stt.transcribe(pcm16, RATE_HZ)).text
    assert word_errors(bare(text), bare(heard)) / len(bare(text)) < 0.1


async def test_two_threads_side_by_side_agree_with_one(speech: LocalSpeech, say: Say) -> None:
    calls = [await say(phrase) for phrase in PHRASES[:4]]
    alone = [(await speech.stt.transcribe(call, RATE_HZ)).text for call in calls]
    two = SpeechToText(threads=2)
    await asyncio.to_thread(two.load)
    try:
        together = await asyncio.gather(*(two.transcribe(call, RATE_HZ) for call in calls * 2))
        assert [t.text for t in together] == alone * 2
    finally:
        two.close()
    with pytest.raises(ProviderError):
        await two.transcribe(calls[0], RATE_HZ)


NO_WORDS = {
    "silence": np.zeros(8000),
    "white noise": noise(2, 0, 1),
    "pink noise": noise(2, 0.5, 2),
    "rumble": noise(2, 1, 3),
    "key": tones(770, 1336),
    "dial tone": tones(350, 440, seconds=2),
    "ringing": tones(440, 480, seconds=2),
    "click": np.array([0.9, -0.9]),
    **{f"cough {seed}": cough(seed) for seed in range(6)},
}


@pytest.mark.parametrize("name", NO_WORDS)
async def test_sound_without_words_is_no_text(name: str, speech: LocalSpeech) -> None:
    for peak in (0.02, 0.3):
        heard = await speech.stt.transcribe(pcm(NO_WORDS[name], peak), RATE_HZ)
        assert heard.text == ""


@pytest.mark.parametrize(
    "word", ["Yes.", "No.", "Two.", "Six.", "Eight.", "Me.", "Noon.", "Oh.", "Friday.", "Stop."]
)
async def test_the_shortest_words_are_speech(word: str, say: Say) -> None:
    clean = to_float(await say(word))
    noisy = clean + np.float32(0.005) * np.random.default_rng(1).standard_normal(len(clean))
    assert find_speech(clean, RATE_HZ)
    assert find_speech(noisy.astype(np.float32), RATE_HZ)


async def test_speech_in_noise_is_speech(say: Say) -> None:
    clean = to_float(await say("Are you open on Mondays?"))
    hiss = noise(len(clean) / RATE_HZ, 0, 5)[: len(clean)]
    hiss *= np.sqrt((clean**2).mean() / (hiss**2).mean()) * 10 ** (-10 / 20)
    assert find_speech((clean[: len(hiss)] + hiss).astype(np.float32), RATE_HZ)


def test_silence_around_speech_is_cut_off(speech: LocalSpeech) -> None:
    voice = to_float(b"".join(speech.scripted))[:12000]
    around = np.concatenate([np.zeros(16000, np.float32), voice, np.zeros(16000, np.float32)])
    found = find_speech(around, RATE_HZ)
    assert found
    assert len(found.samples) < 12000 + 0.3 * RATE_HZ


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=6001), st.sampled_from([8000, 16000, 24000, 48000]))
def test_bytes_of_any_size_are_speech_or_not(pcm16: bytes, rate_hz: int) -> None:
    found = find_speech(to_float(pcm16), rate_hz)
    assert found is None or 0 < len(found.samples) <= len(pcm16) // 2


@given(st.binary(max_size=2001))
@settings(max_examples=30, deadline=None)
async def test_the_recogniser_takes_pieces_of_any_size(speech: LocalSpeech, pcm16: bytes) -> None:
    assert isinstance((await speech.stt.transcribe(pcm16 * 3, RATE_HZ)).text, str)


async def test_more_than_a_minute_at_once_is_refused(speech: LocalSpeech) -> None:
    with pytest.raises(ProviderError, match="at most 60 s"):
        await speech.stt.transcribe(bytes(2 * RATE_HZ * 61), RATE_HZ)


async def test_before_loading_nothing_is_recognised() -> None:
    with pytest.raises(ProviderError, match="not loaded"):
        await SpeechToText().transcribe(bytes(3200), RATE_HZ)


@pytest.mark.parametrize(
    ("model_says", "text"),
    [
        ("See you to-morrow.", "See you tomorrow."),
        ("Good-bye. Good-by.", "Goodbye. Goodbye."),
        ("At half-past  seven", "At half past seven"),
        ("You", ""),
        ("Thank you", ""),
        ("Thank you.", "Thank you."),
        ("♪♪♪", ""),
        ("Mama.", "Mm-hmm."),
        ("Aha!", "Uh-huh."),
        ("\"'I'm sorry, that's all.", "I'm sorry, that's all."),
        ("'A table for four.'", "A table for four."),
        ('He said "yes" to it.', "He said yes to it."),
        ("“No, thanks,” she said.", "No, thanks, she said."),
        ("It’s the kids' table", "It's the kids' table"),
        ("'til ten o'clock'", "'til ten o'clock"),
        ('"You"', ""),
        ("\"'", ""),
        ("", ""),
    ],
)
def test_spelling(model_says: str, text: str) -> None:
    assert normalise(model_says) == text


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_the_tokenizer_file_is_read_back(tokens: list[bytes]) -> None:
    content = b"".join(
        (bytes([n]) if (n := len(t)) < 128 else bytes([128 + n % 128, n // 128])) + t
        for t in tokens
    )
    assert read_tokens(content) == tokens
    if content:
        with pytest.raises(ProviderError):
            read_tokens(content + b"\x05abc")


@given(st.binary(max_size=600))
def test_any_tokenizer_file_is_read_or_refused(content: bytes) -> None:
    try:
        tokens = read_tokens(content)
    except ProviderError:
        return
    assert sum(len(token) for token in tokens) <= len(content)


@given(st.integers(0, 9000), st.floats(0.01, 3), st.sampled_from([8000, 16000]))
def test_the_point_to_cut_lies_in_the_tail(size: int, back_s: float, rate_hz: int) -> None:
    samples = np.linspace(-1, 1, size, dtype=np.float32)
    point = quiet_point(samples, rate_hz, back_s)
    assert max(0, size - round(back_s * rate_hz)) <= point <= size


@given(st.text() | st.text(st.sampled_from("'\"’“” tilem.,-♪oday")))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
