from __future__ import annotations

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
from telebot.providers.scripted_audio import exactly, pieces, speech_like

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


def test_without_a_model_the_speech_is_synthetic() -> None:
    assert LocalSpeech().scripted == pieces(speech_like())
    assert -30 < levels.level_dbfs(speech_like()) < -10


@given(st.binary(max_size=5000), st.floats(0.02, 4))
def test_audio_of_any_size_becomes_exactly_as_long(pcm16: bytes, seconds: float) -> None:
    cut = pieces(exactly(pcm16, seconds))
    assert len(b"".join(cut)) == round(seconds * 8000) * 2
    assert all(len(piece) == 320 for piece in cut[:-1])
