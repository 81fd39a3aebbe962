from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    InputAudioRawFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from service_line import running

from telebot.audio import levels
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.scripted import (
    TRANSCRIPT,
    ScriptedLLMService,
    ScriptedSTTService,
    ScriptedTTSService,
)
from telebot.providers.scripted_audio import RATE_HZ, SPEECH_S, TEXT, pieces, recorded

pytestmark = pytest.mark.unit


async def test_stt_answers_each_stop_with_the_same_final_transcript() -> None:
    stt = ScriptedSTTService(delay_s=0)
    async with running(stt) as line:
        await stt.process_audio_frame(
            InputAudioRawFrame(b"\0\0" * 160, 8000, 1), FrameDirection.DOWNSTREAM
        )
        for _ in range(2):
            await line.worker.queue_frame(VADUserStartedSpeakingFrame(start_secs=0.2))
            await line.worker.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        frames = await line.sink.wait_for(TranscriptionFrame, 2)
        assert [(f.text, f.finalized) for f in frames] == [(TRANSCRIPT, True)] * 2
        assert stt.audio_bytes == 320


async def test_llm_gives_twenty_tokens_for_a_context() -> None:
    async with running(ScriptedLLMService()) as line:
        await line.worker.queue_frame(LLMContextFrame(LLMContext([])))
        await line.sink.wait_for(LLMFullResponseEndFrame)
        assert len(line.sink.of(LLMTextFrame)) == 20


async def test_tts_says_three_seconds_in_pieces_of_20_ms(speech: LocalSpeech) -> None:
    async with running(ScriptedTTSService(speech.scripted)) as line:
        await line.worker.queue_frame(TTSSpeakFrame("Hello."))
        await line.sink.wait_for(TTSStoppedFrame)
        audio = [frame.audio for frame in line.sink.of(TTSAudioRawFrame)]
        assert [len(a) for a in audio] == [320] * 150
        assert levels.level_dbfs(b"".join(audio)) > -30


async def test_the_recorded_speech_is_what_the_local_voice_says(speech: LocalSpeech) -> None:
    """Where the voice has changed: write g711.encode of its first three seconds to `FILE`."""
    said = b"".join([clip.pcm16 async for clip in speech.tts.stream(TEXT)])
    kept = b"".join(recorded())
    assert len(kept) == SPEECH_S * RATE_HZ * 2
    now, then = (np.frombuffer(pcm16, "<i2").astype(float) for pcm16 in (said, kept))
    assert np.corrcoef(now[: len(then)], then)[0, 1] > 0.99


def test_the_recorded_speech_is_there_before_any_model() -> None:
    assert LocalSpeech().scripted == recorded()


@given(st.binary(max_size=5000))
def test_audio_of_any_size_is_cut_into_pieces(pcm16: bytes) -> None:
    cut = pieces(pcm16)
    assert b"".join(cut) == pcm16
    assert all(len(piece) == 320 for piece in cut[:-1])
