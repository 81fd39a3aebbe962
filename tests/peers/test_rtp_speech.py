"""The real voice through a bad network to the real recogniser: it must still be understood."""

from __future__ import annotations

import asyncio
import random

import pytest
from rtp_network import Line, packets, through
from words_heard import bare, word_errors

from telebot.audio import g711
from telebot.audio.dtmf_tones import ToneKeys, tones
from telebot.providers.recogniser import normalise

pytestmark = pytest.mark.peers

SENTENCES = (
    "I would like to book a table for four people tomorrow at half past seven.",
    "Could you tell me whether there is a car park behind the building?",
    "We are six adults and two children, and one of us cannot eat nuts.",
    "I need to cancel the booking that I made last week for Friday evening.",
    "What time do you close on Sunday, and do you serve food all day?",
    "Please put me through to somebody who can help me with an invoice.",
    "No, that is not right, I said fifteen people and not fifty.",
    "Thank you very much for your help, I will see you on Saturday then.",
)
PAUSE = g711.SILENCE * 2400


@pytest.fixture(scope="module")
def said(speech):
    """Each sentence as a caller's line carries it."""

    async def spoken(text: str) -> bytes:
        clips = [g711.encode(clip.pcm16) async for clip in speech.tts.stream(text)]
        return PAUSE + b"".join(clips) + PAUSE

    async def every() -> dict[str, bytes]:
        return {text: await spoken(text) for text in SENTENCES}

    return asyncio.run(every())


def carried(audio: bytes, seed: int, lost: float, spread_s: float, ptime_ms: int = 20) -> bytes:
    rng, line = random.Random(seed), Line()

    def delay(one) -> float | None:
        if one.number == 0:
            return 0.0
        return None if rng.random() < lost else max(0.0, rng.gauss(0.1, spread_s))

    through(line, packets(audio, ptime_ms), delay)
    return line.heard


@pytest.mark.parametrize(("lost", "ptime_ms"), [(0.03, 20), (0.03, 60), (0.1, 20)])
async def test_speech_through_loss_and_40_ms_of_jitter_is_understood_as_on_a_clean_line(
    speech, said, lost, ptime_ms
):
    words = clean = bad = 0
    for seed, (text, audio) in enumerate(said.items()):
        spoken = bare(normalise(text))
        for errors, line in (("clean", audio), ("bad", carried(audio, seed, lost, 0.04, ptime_ms))):
            heard = await speech.stt.transcribe(g711.decode(line), g711.RATE_HZ)
            missed = word_errors(spoken, bare(heard.text))
            clean, bad = clean + missed * (errors == "clean"), bad + missed * (errors == "bad")
        words += len(spoken)
    assert clean / words < 0.05
    assert (bad - clean) / words < (0.03 if lost < 0.05 else 0.08)


def test_speech_is_never_taken_for_keys(said):
    for gain in (0.5, 1, 2, 4):
        for text, audio in said.items():
            pcm = memoryview(g711.decode(audio)).cast("h")
            loud = b"".join(
                max(-32768, min(32767, round(sample * gain))).to_bytes(2, "little", signed=True)
                for sample in pcm
            )
            assert ToneKeys().feed(g711.encode(loud)) == "", text


def test_keys_over_loss_are_still_heard():
    audio = b"".join(tones(key) for key in "0123456789*#")
    assert ToneKeys().feed(carried(audio, 1, 0.03, 0.0)) == "0123456789*#"
