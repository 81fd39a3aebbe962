"""A chain of voices against simulated vendors: whatever fails, every word is heard once.

The local recogniser hears the audio as the caller would, so it is the audio that is judged.
"""

from __future__ import annotations

import re

import pytest
from chained import chained
from pipecat.frames.frames import (
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
)
from simulated import simulated

from telebot.providers.frames import TakeBackFrame, WordTimesFrame

pytestmark = pytest.mark.peers

TEXT = "There is a free car park behind the building, and you reach it by the small lane."
WORDS = TEXT.split()
FAULTS = ("401", "429", "500", "drop", "stall", "silence")


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai", "elevenlabs", "deepgram"]) as server:
        yield server


async def speak(chain, text=TEXT):
    """Audio (int16 8 kHz) and the words with their places, as they are known in the end."""
    before = len(chain.line.sink.frames)
    ends = len(chain.line.sink.of(LLMFullResponseEndFrame))
    for frame in (LLMFullResponseStartFrame(), LLMTextFrame(text), LLMFullResponseEndFrame()):
        await chain.line.worker.queue_frame(frame)
    await chain.line.sink.wait_for(LLMFullResponseEndFrame, ends + 1)
    new = chain.line.sink.frames[before:]
    audio = b"".join(frame.audio for frame in new if isinstance(frame, TTSAudioRawFrame))
    placed: list[tuple[float, str]] = []
    for frame in new:
        if isinstance(frame, WordTimesFrame):
            at_s = frame.at_s or 0.0
            if frame.replaces:
                placed = [word for word in placed if word[0] < at_s]
            placed += [(at_s + word.start_s, word.text) for word in frame.words]
    return audio, placed


def plain(text):
    return re.sub(r"[^a-z ]", "", text.lower()).split()


async def heard(speech, audio):
    return plain((await speech.stt.transcribe(audio, 8000)).text)


@pytest.mark.parametrize("name", ["openai", "elevenlabs", "deepgram"])
async def test_a_voice_speaks_and_its_words_are_placed(vendor, speech, name):
    async with chained(vendor, "tts", [name, "local"]) as chain:
        audio, placed = await speak(chain)
    assert chain.told.failed == []
    assert await heard(speech, audio) == plain(TEXT)
    assert [text for _, text in placed] == WORDS
    yardstick = await chain.chains._word_clock.yardstick(WORDS)
    for (at_s, _), word in zip(placed, yardstick.words, strict=True):
        assert abs(at_s - word.start_s) < 0.15, (placed, yardstick.words)
    for frame in chain.line.sink.of(WordTimesFrame):
        if frame.exactly is not None:
            for found, word in zip(await frame.exactly(), yardstick.words, strict=True):
                assert abs(found.start_s - word.start_s) < 0.15
    assert [(u, n) for u, n, _ in chain.told.used] == [(name, float(len(TEXT)))]


@pytest.mark.parametrize("point", ["connect", "first", "middle", "end"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_word_is_heard_whatever_fails_wherever(vendor, speech, fault, point):
    vendor.fault(f"openai.tts={fault}@{point}")
    async with chained(vendor, "tts", ["openai", "local"], hasty="openai") as chain:
        audio, placed = await speak(chain)
    said = [text for _, text in placed]
    repeated = len(said) - len(WORDS)
    assert 0 <= repeated <= 1, said
    assert [word for i, word in enumerate(said) if i == 0 or said[i - 1] != word] == WORDS
    assert set(plain(TEXT)) <= set(await heard(speech, audio)) | {"the", "a"}
    if point != "end":  # behind the last word a fault may pass for the end
        assert chain.told.served[-1] == "local"
        assert [name for name, _ in chain.told.failed] == ["openai"]


async def test_a_word_that_was_begun_is_taken_back_and_heard_once(vendor, speech):
    """Where the audio has somebody who can take it back, as the phone's end does."""
    vendor.fault("openai.tts=drop@middle")
    async with chained(vendor, "tts", ["openai", "local"], hasty="openai") as chain:
        taken: list[tuple[float, float]] = []

        async def take_back(_chain, frame):
            if isinstance(frame, TakeBackFrame):
                taken.append((chain.chain._sent_s, frame.at_s))
                frame.left_s = frame.at_s

        chain.chain.add_event_handler("on_before_push_frame", take_back)
        audio, placed = await speak(chain)
    [(sent_s, left_s)] = taken
    assert 0.0 < left_s < sent_s
    heard_audio = audio[: 2 * round(left_s * 8000)] + audio[2 * round(sent_s * 8000) :]
    assert await heard(speech, heard_audio) == plain(TEXT)
    assert [text for _, text in placed] == WORDS
    [rest_at] = [f.at_s for f in chain.line.sink.of(WordTimesFrame) if f.at_s and not f.replaces]
    assert rest_at == left_s


async def test_audio_that_is_too_short_is_completed_by_the_next(vendor, speech):
    vendor.fault("openai.tts=silence@middle")
    async with chained(vendor, "tts", ["openai", "local"], hasty="openai") as chain:
        audio, _ = await speak(chain)
    assert set(plain(TEXT)) <= set(await heard(speech, audio)) | {"the", "a"}
    assert chain.told.failed == [("openai", "silent")]


@pytest.mark.parametrize("text", ["Thank you for calling.", "We are closed on Mondays."])
async def test_a_short_sentence_that_ends_in_mid_word_is_completed_by_the_next(
    vendor, speech, text
):
    """The connection ends as if that were all; the few words alone could be a fast voice's."""
    vendor.fault("openai.tts=garbage@middle")
    async with chained(vendor, "tts", ["openai", "local"], hasty="openai") as chain:
        audio, _ = await speak(chain, text)
    assert chain.told.failed == [("openai", "short")]
    assert plain(text)[-1] in await heard(speech, audio)


async def test_an_interruption_hushes_the_voice_and_the_next_reply_is_whole(vendor, speech):
    vendor.fault("openai.tts=stall@middle x1")
    async with chained(vendor, "tts", ["openai", "local"]) as chain:
        for frame in (LLMFullResponseStartFrame(), LLMTextFrame(TEXT)):
            await chain.line.worker.queue_frame(frame)
        await chain.line.worker.queue_frame(LLMFullResponseEndFrame())
        await chain.line.sink.wait_for(TTSAudioRawFrame)
        await chain.line.worker.queue_frame(InterruptionFrame())
        await chain.line.sink.wait_for(InterruptionFrame)
        audio, _ = await speak(chain)
    assert await heard(speech, audio) == plain(TEXT)
    assert chain.told.served[-1] == "openai"
