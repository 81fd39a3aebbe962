"""Chains on a wide line against simulated vendors: each vendor hears and speaks above a telephone's
band, and where one fails no word is lost, nor the band with it."""

from __future__ import annotations

import asyncio
import re

import pytest
from band import above_db
from chained import chained
from pipecat.frames.frames import (
    InputAudioRawFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from simulated import simulated

from telebot.audio.line import PHONE, WIDE
from telebot.providers.frames import WordTimesFrame

pytestmark = pytest.mark.peers

TEXT = "There is a free car park behind the building, and you reach it by the small lane."
SAID = "I would like to book a table for six on Sunday, by the south side, please."
WORDS = TEXT.split()
HEARS_HZ, SPEAKS_HZ = WIDE.hears.rate_hz, WIDE.says.rate_hz
PIECE = HEARS_HZ // 25 * 2  # bytes of 40 ms
VOICES = ("azure", "cartesia", "deepgram", "elevenlabs", "google", "openai", "polly", "rime")
EARS = (
    "assemblyai", "azure", "cartesia", "deepgram", "deepgram-flux", "elevenlabs", "groq", "openai",
    "openai-whisper", "soniox", "speechmatics",
)  # fmt: skip
WIDE_DB, NARROW_DB = -30.0, -40.0


@pytest.fixture
async def vendor(speech):
    vendors = {each.partition("-")[0] for each in (*VOICES, *EARS)}
    async with simulated(speech, sorted(vendors)) as server:
        server.heard = []
        hear = server.sim.speech.hear

        async def kept(pcm16: bytes, rate_hz: int) -> str:
            server.heard.append((pcm16, rate_hz))
            return await hear(pcm16, rate_hz)

        server.sim.speech.hear = kept
        yield server


@pytest.fixture(scope="module")
def spoken(speech):
    """What a client says, with a little silence around it (int16 16 kHz)."""

    async def made():
        return [clip.pcm16 async for clip in speech.tts.stream(SAID, rate_hz=HEARS_HZ)]

    return bytes(12800) + b"".join(asyncio.run(made())) + bytes(6400)


def plain(text):
    return re.sub(r"[^a-z ]", "", text.lower()).split()


async def speak(chain, text=TEXT):
    """The frames of audio, and the words with their places as they are known in the end."""
    before = len(chain.line.sink.frames)
    for frame in (LLMFullResponseStartFrame(), LLMTextFrame(text), LLMFullResponseEndFrame()):
        await chain.line.worker.queue_frame(frame)
    await chain.line.sink.wait_for(LLMFullResponseEndFrame)
    new = chain.line.sink.frames[before:]
    placed: list[tuple[float, str]] = []
    for frame in new:
        if isinstance(frame, WordTimesFrame):
            at_s = frame.at_s or 0.0
            if frame.replaces:
                placed = [word for word in placed if word[0] < at_s]
            placed += [(at_s + word.start_s, word.text) for word in frame.words]
    return [frame for frame in new if isinstance(frame, TTSAudioRawFrame)], placed


async def understood(chain, audio):
    """What the chain makes of a client's speech."""
    queue = chain.line.worker.queue_frame
    for i in range(0, len(audio), PIECE):
        if i == 10 * PIECE:
            await queue(VADUserStartedSpeakingFrame(start_secs=0.128))
        frame = InputAudioRawFrame(audio[i : i + PIECE], HEARS_HZ, 1)
        await chain.chain.process_audio_frame(frame, FrameDirection.DOWNSTREAM)
        await asyncio.sleep(0.004)
    await queue(VADUserStoppedSpeakingFrame(stop_secs=0.2))
    texts = await chain.line.sink.wait_for(TranscriptionFrame, 1)
    return plain(texts[-1].text)


@pytest.mark.parametrize("name", VOICES)
async def test_a_vendors_voice_is_asked_for_its_whole_band(vendor, speech, name):
    async with chained(vendor, "tts", [name, "local"], at=WIDE) as chain:
        frames, placed = await speak(chain)
    assert chain.told.failed == []
    assert chain.told.served[-1] == name
    assert {frame.sample_rate for frame in frames} == {SPEAKS_HZ}
    audio = b"".join(frame.audio for frame in frames)
    assert above_db(audio, SPEAKS_HZ) > WIDE_DB
    assert plain((await speech.stt.transcribe(audio, SPEAKS_HZ)).text) == plain(TEXT)
    assert [text for _, text in placed] == WORDS
    yardstick = await chain.chains._word_clock.yardstick(WORDS)
    for (at_s, _), word in zip(placed, yardstick.words, strict=True):
        assert abs(at_s - word.start_s) < 0.15, (placed, yardstick.words)


@pytest.mark.parametrize("name", EARS)
async def test_a_vendor_hears_a_clients_whole_band(vendor, spoken, name):
    async with chained(vendor, "stt", [name, "local"], at=WIDE) as chain:
        assert await understood(chain, spoken) == plain(SAID)
    assert chain.told.failed == []
    assert chain.told.served == [name]
    heard, rate_hz = vendor.heard[-1]
    assert rate_hz >= HEARS_HZ
    assert above_db(heard, rate_hz) > WIDE_DB
    [(_, seconds, _)] = [used for used in chain.told.used if used[2] == "s"]
    assert seconds == pytest.approx(len(spoken) / 2 / HEARS_HZ, abs=1.0)


async def test_a_vendor_that_knows_telephones_alone_is_given_what_it_knows(vendor, spoken):
    async with chained(vendor, "stt", ["google", "local"], at=WIDE) as chain:
        assert await understood(chain, spoken) == plain(SAID)
    assert chain.told.served == ["google"]
    assert {rate_hz for _, rate_hz in vendor.heard} == {8000}
    vendor.heard.clear()
    google = {"service": "google", "model": "chirp_3"}
    async with chained(vendor, "stt", [google, "local"], at=WIDE) as chain:
        assert await understood(chain, spoken) == plain(SAID)
    heard, rate_hz = vendor.heard[-1]
    assert rate_hz == HEARS_HZ
    assert above_db(heard, rate_hz) > WIDE_DB


@pytest.mark.parametrize("fault", ["drop@middle", "stall@middle", "silence@middle", "500@connect"])
async def test_every_word_is_heard_at_the_whole_band_whichever_voice_fails(vendor, speech, fault):
    vendor.fault(f"deepgram.tts={fault}")
    async with chained(vendor, "tts", ["deepgram", "openai"], hasty="deepgram", at=WIDE) as chain:
        frames, placed = await speak(chain)
    assert {name for name, _ in chain.told.failed} == {"deepgram"}
    said = [text for _, text in placed]
    assert [word for i, word in enumerate(said) if i == 0 or said[i - 1] != word] == WORDS
    audio = b"".join(frame.audio for frame in frames)
    heard = plain((await speech.stt.transcribe(audio, SPEAKS_HZ)).text)
    assert set(plain(TEXT)) <= set(heard) | {"the", "a"}
    assert {frame.sample_rate for frame in frames} == {SPEAKS_HZ}
    half = len(audio) // 4 * 2
    assert above_db(audio[half:], SPEAKS_HZ) > WIDE_DB, "the one that took over speaks wide too"


@pytest.mark.parametrize("fault", ["drop@middle", "stall@end", "silence@end", "401@connect"])
async def test_what_was_said_is_understood_whichever_recogniser_fails(vendor, spoken, fault):
    vendor.fault(f"deepgram.stt={fault}")
    async with chained(vendor, "stt", ["deepgram", "soniox"], hasty="deepgram", at=WIDE) as chain:
        assert await understood(chain, spoken) == plain(SAID)
    assert [name for name, _ in chain.told.failed] == ["deepgram"]
    assert chain.told.served == ["soniox"]
    heard, rate_hz = vendor.heard[-1]
    assert rate_hz == HEARS_HZ
    assert above_db(heard, rate_hz) > WIDE_DB, "from its beginning, as it was said"


async def test_the_same_chain_of_a_telephone_call_is_a_telephones(vendor):
    async with chained(vendor, "tts", ["openai", "local"], at=PHONE) as chain:
        frames, _ = await speak(chain)
    assert {frame.sample_rate for frame in frames} == {8000}
