"""Fixed sentences of a vendor's voice, kept: paid once, whole, and only what may be kept."""

from __future__ import annotations

import re
import time

import pytest
from chained import Told
from pipecat.frames.frames import (
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
)
from service_line import running
from simulated import simulated

from telebot.agent_settings import AgentSpeech
from telebot.providers.frames import WordTimesFrame
from telebot.providers.kept_voice import KeptVoice
from telebot.speech.chains import Chains, plans

pytestmark = pytest.mark.peers

FIXED = "There is a free car park behind the building."
OTHER = "A table for two, under the name Mary."


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai", "elevenlabs"]) as server:
        yield server


class Voices:
    """Calls to one agent, one after another, in one process."""

    def __init__(self, vendor, kept, links):
        self.vendor = vendor
        self.kept = kept
        self.chains = Chains(vendor.resources, time.monotonic, kept)
        self.plans = plans("tts", AgentSpeech(tts=links), vendor.resources, "")

    async def call(self, text, interrupted=False):
        told = Told()
        chain = self.chains.of(self.plans, told, fixed=frozenset({FIXED}))
        async with running(chain) as line:
            for frame in (LLMFullResponseStartFrame(), LLMTextFrame(text)):
                await line.worker.queue_frame(frame)
            await line.worker.queue_frame(LLMFullResponseEndFrame())
            if interrupted:
                await line.sink.wait_for(TTSAudioRawFrame)
                await line.worker.queue_frame(InterruptionFrame())
                await line.sink.wait_for(InterruptionFrame)
            else:
                await line.sink.wait_for(LLMFullResponseEndFrame)
            audio = b"".join(frame.audio for frame in line.sink.of(TTSAudioRawFrame))
            words: list[str] = []
            for frame in line.sink.of(WordTimesFrame):
                words = [] if frame.replaces and not frame.at_s else words
                words += [word.text for word in frame.words]
        while self.kept._kept._work:  # beside the call
            await self.vendor.until(lambda: not self.kept._kept._work)
        return told, audio, words


async def heard(speech, audio):
    text = (await speech.stt.transcribe(audio, 8000)).text
    return re.sub(r"[^a-z ]", "", text.lower())


async def opened(folder):
    kept = KeptVoice(folder, memory_bytes=1 << 20, disk_bytes=1 << 20)
    await kept.open()
    return kept


@pytest.mark.parametrize("name", ["openai", "elevenlabs"])
async def test_a_vendor_is_paid_once_for_a_fixed_sentence(vendor, speech, tmp_path, name):
    kept = await opened(tmp_path)
    voices = Voices(vendor, kept, [name, "local"])
    first, audio, words = await voices.call(FIXED)
    assert first.used[0][1] == len(FIXED)
    asked = len(vendor.sim.requests)
    again, same, placed = await voices.call(FIXED)
    assert (again.used, again.served) == ([(name, 0.0, "characters")], [name])
    assert await heard(speech, same) == await heard(speech, audio)
    assert placed == words == FIXED.split()
    await kept.close()
    restarted = await opened(tmp_path)
    later, *_ = await Voices(vendor, restarted, [name, "local"]).call(FIXED)
    assert later.used == [(name, 0.0, "characters")]
    if name == "openai":  # the other one connects, and says nothing
        assert vendor.sim.requests[asked:] == []
    await restarted.close()


async def test_what_holds_a_value_is_not_kept(vendor, tmp_path):
    kept = await opened(tmp_path)
    voices = Voices(vendor, kept, ["openai", "local"])
    for _ in range(2):
        told, *_ = await voices.call(OTHER)
        assert told.used[0][1] == len(OTHER)
    assert kept.stats().entries == 0


@pytest.mark.parametrize("fault", ["drop", "stall", "silence", "500"])
@pytest.mark.parametrize("point", ["first", "middle", "end"])
async def test_audio_that_failed_half_way_is_not_kept(vendor, speech, tmp_path, fault, point):
    kept = await opened(tmp_path)
    vendor.fault(f"openai.tts={fault}@{point} x1")
    voices = Voices(vendor, kept, ["openai", "local"])
    await voices.call(FIXED)
    for _ in range(2):
        _, audio, words = await voices.call(FIXED)
        assert words == FIXED.split()
        said = (await heard(speech, audio)).split()
        assert set(said) >= {"free", "car", "park", "behind"}
        assert said[-1] == "building"
    await kept.close()


async def test_what_was_interrupted_is_not_kept(vendor, tmp_path):
    kept = await opened(tmp_path)
    vendor.fault("openai.tts=stall@middle")
    await Voices(vendor, kept, ["openai", "local"]).call(FIXED, interrupted=True)
    assert kept.stats().entries == 0
    await kept.close()


async def test_a_voice_that_is_out_is_still_heard_in_its_fixed_sentences(vendor, tmp_path):
    kept = await opened(tmp_path)
    voices = Voices(vendor, kept, ["openai", "local"])
    await voices.call(FIXED)
    vendor.fault("openai.tts=401")
    told, *_ = await voices.call(OTHER)
    assert told.served == ["local"]
    told, *_ = await voices.call(FIXED)
    assert (told.served, told.failed) == (["openai"], [])
    await kept.close()


async def test_another_voice_model_or_setting_is_another_sound(vendor, tmp_path):
    kept = await opened(tmp_path)
    for spec in (
        "openai",
        {"service": "openai", "voice": "nova"},
        {"service": "openai", "settings": {"instructions": "Speak softly."}},
    ):
        told, *_ = await Voices(vendor, kept, [spec, "local"]).call(FIXED)
        assert told.used[0][1] == len(FIXED), spec
    assert kept.stats().entries == 3
    await kept.close()
