from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from service_line import Line, running

from telebot.call.errors import ProviderBusy
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.local_stt import LocalSTTService
from telebot.providers.recogniser import SpeechToText, Transcript
from telebot.providers.workers import Done

pytestmark = pytest.mark.unit

SILENCE = bytes(8000)  # 0.5 s
START = 0.2
Say = Callable[[str], Awaitable[bytes]]


def bare(text: str) -> str:
    return re.sub(r"[^\w ]", "", text).lower()


async def feed(stt: LocalSTTService, pcm16: bytes) -> None:
    for at in range(0, len(pcm16), 320):
        await stt.process_audio_frame(
            InputAudioRawFrame(pcm16[at : at + 320], 8000, 1), FrameDirection.DOWNSTREAM
        )


async def started(line: Line, count: int = 1) -> None:
    await line.worker.queue_frame(VADUserStartedSpeakingFrame(start_secs=START))
    await line.sink.wait_for(VADUserStartedSpeakingFrame, count)


async def stopped(line: Line) -> None:
    await line.worker.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=0.2))


class Counting(SpeechToText):
    """The real pool of another, counting what is asked of it."""

    def __init__(self, real: SpeechToText) -> None:
        super().__init__()
        self._real = real
        self.asked: list[Future[Done[str]]] = []

    def submit(self, pcm16: bytes, rate_hz: int) -> Future[Done[str]]:
        self.asked.append(self._real.submit(pcm16, rate_hz))
        return self.asked[-1]


class Full(SpeechToText):
    def submit(self, pcm16: bytes, rate_hz: int) -> Future[Done[str]]:
        raise ProviderBusy("full")


async def test_a_stretch_of_speech_is_one_final_transcript(speech: LocalSpeech, say: Say) -> None:
    stt = LocalSTTService(speech.stt)
    words = await say("Are you open on Mondays?")
    async with running(stt) as line:
        await feed(stt, SILENCE * 4 + words[:3200])
        await started(line)
        await feed(stt, words[3200:] + SILENCE)
        await stopped(line)
        (frame,) = await line.sink.wait_for(TranscriptionFrame)
        assert (frame.text, frame.finalized) == ("Are you open on Mondays?", True)
        assert isinstance(frame.result, Transcript)
        assert frame.result.audio_s == pytest.approx(len(words[3200:]) / 16000 + 1, abs=0.03)


async def test_recognition_at_the_pause_is_used_at_the_stop(speech: LocalSpeech, say: Say) -> None:
    pool = Counting(speech.stt)
    stt = LocalSTTService(pool)
    async with running(stt) as line:
        await started(line)
        await feed(stt, await say("A table for two."))
        stt.pause()
        early = (await asyncio.wrap_future(pool.asked[0])).value
        await feed(stt, SILENCE[:3200])
        await stopped(line)
        (frame,) = await line.sink.wait_for(TranscriptionFrame)
        assert frame.text == early == "A table for two."
        assert len(pool.asked) == 1


async def test_a_caller_who_goes_on_is_heard_whole(speech: LocalSpeech, say: Say) -> None:
    pool = Counting(speech.stt)
    stt = LocalSTTService(pool)
    async with running(stt) as line:
        await started(line)
        await feed(stt, await say("A table for"))
        stt.pause()
        await feed(stt, await say("six people on Friday."))
        stt.pause()
        await feed(stt, SILENCE[:3200])
        await stopped(line)
        (frame,) = await line.sink.wait_for(TranscriptionFrame)
        assert bare(frame.text) == "a table for six people on friday"
        assert len(pool.asked) == 2


async def test_a_stale_early_result_is_not_used(speech: LocalSpeech, say: Say) -> None:
    pool = Counting(speech.stt)
    stt = LocalSTTService(pool)
    async with running(stt) as line:
        await started(line)
        await feed(stt, await say("Friday."))
        stt.pause()
        await feed(stt, await say("At seven o'clock in the evening."))
        await stopped(line)
        (frame,) = await line.sink.wait_for(TranscriptionFrame)
        assert "evening" in frame.text
        assert len(pool.asked) == 2


async def test_speech_again_in_the_same_turn_is_a_new_stretch(
    speech: LocalSpeech, say: Say
) -> None:
    stt = LocalSTTService(speech.stt)
    async with running(stt) as line:
        for number, text in enumerate(("Yes, please.", "For six people."), 1):
            await started(line, number)
            await feed(stt, await say(text) + SILENCE)
            await stopped(line)
            await line.sink.wait_for(VADUserStoppedSpeakingFrame, number)
        frames = await line.sink.wait_for(TranscriptionFrame, 2)
        assert [bare(frame.text) for frame in frames] == ["yes please", "for six people"]


async def test_sound_without_words_says_so_at_once(speech: LocalSpeech) -> None:
    stt = LocalSTTService(speech.stt)
    async with running(stt) as line:
        await started(line)
        await feed(stt, SILENCE)
        await stopped(line)
        (frame,) = await line.sink.wait_for(EmptyTranscriptFrame)
        assert (frame.speech_s, frame.failed) == (0.5, False)
        assert not line.sink.of(TranscriptionFrame)


async def test_an_endless_utterance_is_heard_in_pieces(speech: LocalSpeech, say: Say) -> None:
    """Cut in its pauses, so that no word is lost or split."""
    pool = Counting(speech.stt)
    stt = LocalSTTService(pool, longest_s=4.0)
    text = (
        "We are six people on Friday. We would like to sit outside. "
        "There's a dog with us. My name is Johnson. We will come at seven."
    )
    async with running(stt) as line:
        await started(line)
        await feed(stt, await say(text))
        await stopped(line)
        (frame,) = await line.sink.wait_for(TranscriptionFrame)
        assert bare(frame.text) == bare(text)
        assert len(pool.asked) >= 3


async def test_a_full_queue_is_an_error_and_an_answer_that_failed() -> None:
    stt = LocalSTTService(Full())
    errors: list[ErrorFrame] = []
    async with running(stt) as line:

        async def on_error(_stt: LocalSTTService, frame: ErrorFrame) -> None:
            errors.append(frame)

        stt.add_event_handler("on_error", on_error)
        await started(line)
        await feed(stt, SILENCE)
        stt.pause()
        await stopped(line)
        (frame,) = await line.sink.wait_for(EmptyTranscriptFrame)
        assert frame.failed
    assert "full" in errors[0].error


async def test_a_hang_up_while_recognising_leaves_nothing(speech: LocalSpeech, say: Say) -> None:
    pool = Counting(speech.stt)
    stt = LocalSTTService(pool)
    release = threading.Event()

    def hold(_model: object) -> str:
        release.wait(20)
        return ""

    assert speech.stt._pool is not None
    busy = speech.stt._pool.submit(hold)  # the model is taken, so the caller's job waits
    before = speech.stt.stats()
    async with running(stt) as line:  # asserts that no task stays
        await started(line)
        await feed(stt, await say("Goodbye."))
        await stopped(line)
        await line.sink.wait_for(VADUserStoppedSpeakingFrame)
    release.set()
    await asyncio.wrap_future(busy)
    (asked,) = pool.asked
    assert asked.cancelled()
    after = speech.stt.stats()
    assert before is not None
    assert after is not None
    assert (after.waiting, after.skipped) == (0, before.skipped + 1)


async def test_audio_outside_speech_is_kept_for_half_a_second_only(speech: LocalSpeech) -> None:
    stt = LocalSTTService(speech.stt)
    async with running(stt):
        await feed(stt, SILENCE * 20)
        assert len(stt._sound) == 8000
        stt.pause()
        assert stt._early is None


@given(st.lists(st.binary(min_size=1, max_size=700), max_size=30), st.booleans())
async def test_pieces_of_any_size_are_buffered_within_bounds(
    chunks: list[bytes], speaking: bool
) -> None:
    stt = LocalSTTService(Full(), longest_s=0.2)  # 3200 bytes
    stt._in_speech = speaking
    for chunk in chunks:
        async for _ in stt.run_stt(chunk):
            pass
    assert len(stt._sound) <= (3200 + 700 if speaking else 8000)
