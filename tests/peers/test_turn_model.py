"""The turn model in its real process, on real speech: what it says, and when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telebot.audio import g711
from telebot.audio.line import PCM_16K
from telebot.audio.resample import resample
from telebot.providers.synthesiser import TextToSpeech
from telebot.speech.turn_model import TurnModelProcess

pytestmark = pytest.mark.peers

WHOLE = (
    "Are you open on Mondays?",
    "A table for four on Friday at half past seven, please.",
    "That is all, thank you very much.",
)
CUT = (  # the same voice, stopped inside a sentence
    ("I would like to book a table for six people tomorrow.", "six"),
    ("My telephone number is five five five one two three.", "five"),
    ("Could you please tell me whether you are open tomorrow?", "whether"),
)
TIMEOUT_S = 60.0  # this machine may be busy; nobody waits for it here
PAUSE = g711.SILENCE * 1600


@pytest.fixture(scope="module")
def voice():
    tts = TextToSpeech()
    tts.load()
    yield tts
    tts.close()


@pytest.fixture
async def model() -> AsyncIterator[TurnModelProcess]:
    process = TurnModelProcess()
    await process.start()
    try:
        assert process.alive
        yield process
    finally:
        await process.close()


async def said(voice: TextToSpeech, text: str, until: str = "") -> bytes:
    """Mu-law of `text`, cut where the word `until` begins."""
    clips = [clip async for clip in voice.stream(text)]
    pcm16 = b"".join(clip.pcm16 for clip in clips)
    if until:
        starts = [word.start_s for word in clips[0].spoken.words if word.text.startswith(until)]
        pcm16 = pcm16[: round(starts[0] * g711.RATE_HZ) * 2]
    return g711.encode(pcm16) + PAUSE


def running(pid: int) -> bool:
    """False for a process that is gone or only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(true, within_s: float = TIMEOUT_S) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  (another process: there is no event of it)
            await asyncio.sleep(0.02)


async def test_a_whole_sentence_is_likelier_over_than_a_cut_one(model, voice):
    whole = [await model.probability(await said(voice, text), TIMEOUT_S) for text in WHOLE]
    cut = [await model.probability(await said(voice, *pair), TIMEOUT_S) for pair in CUT]
    assert all(value is not None and 0 <= value <= 1 for value in whole + cut)
    assert min(whole) > max(cut)
    assert min(whole) > 0.9
    assert min(cut) < 0.5
    assert sum(whole) / len(whole) > sum(cut) / len(cut) + 0.2


async def test_a_wide_line_is_judged_as_a_telephones_is(model, voice):
    clips = [await said(voice, text) for text in WHOLE] + [await said(voice, *p) for p in CUT]
    wide = [resample(g711.decode(clip), 8000, 16_000) for clip in clips]
    narrow = [await model.probability(clip, TIMEOUT_S) for clip in clips]
    asked = (model.probability(clip, TIMEOUT_S, PCM_16K) for clip in wide)
    assert await asyncio.gather(*asked) == pytest.approx(narrow, abs=0.1)


async def test_answers_belong_to_their_questions(model, voice):
    """Many calls ask at once: batches, and nobody gets another's answer."""
    clips = [await said(voice, text) for text in WHOLE[:2]]
    clips += [await said(voice, *pair) for pair in CUT[:2]]
    alone = [await model.probability(clip, TIMEOUT_S) for clip in clips]
    order = [n % len(clips) for n in range(12)]
    asked = [model.probability(clips[n], TIMEOUT_S) for n in order]
    answers = await asyncio.gather(*asked)
    assert answers == pytest.approx([alone[n] for n in order], abs=0.02)
    assert model.asked == 16
    assert model.late == 0


@pytest.mark.parametrize("size", [1, 159, 8000, 64_000, 64_001, 200_000])
async def test_any_length_has_an_answer(model, size):
    answer = await model.probability(g711.SILENCE * size, TIMEOUT_S)
    assert answer is not None
    assert 0 <= answer <= 1


async def test_no_audio_at_all_does_not_kill_the_worker(model):
    pid = model.pid
    await model.probability(b"", TIMEOUT_S / 10)
    assert await model.probability(PAUSE, TIMEOUT_S) is not None
    assert model.pid == pid


async def test_an_answer_that_is_late_is_none_and_disturbs_nobody(model, voice):
    clip = await said(voice, WHOLE[0])
    assert await model.probability(clip, 0.0) is None
    assert model.late == 1
    assert await model.probability(clip, TIMEOUT_S) > 0.5
    assert not model._waiting


async def test_a_worker_that_is_killed_is_started_again(model, voice):
    clip = await said(voice, WHOLE[0])
    first = model.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)  # a question that it will never answer
    waiting = asyncio.create_task(model.probability(clip, 1.0))
    await asyncio.sleep(0)
    os.kill(first, signal.SIGKILL)
    await until(lambda: not model.alive)
    assert await model.probability(clip, TIMEOUT_S) is None, "not asked while nobody is there"
    assert await waiting is None
    await until(lambda: model.alive)
    assert model.pid != first
    assert model.restarts == 1
    assert await model.probability(clip, TIMEOUT_S) > 0.5
    assert not running(first)


async def test_a_worker_that_hangs_makes_nobody_wait(model):
    pid = model.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        answers = await asyncio.gather(*[model.probability(PAUSE, 0.05) for _ in range(30)])
        assert set(answers) == {None}
        assert not model._waiting
        await until(lambda: model.pid not in (None, pid) and model.alive)
        assert await model.probability(PAUSE, TIMEOUT_S) is not None, "another one answers"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_a_worker_that_hangs_does_not_fill_the_memory(model):
    pid = model.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(40):
            asks = [model.probability(g711.SILENCE * 64_000, 0.001) for _ in range(20)]
            await asyncio.gather(*asks)
            writer = model._writer
            unread = writer.transport.get_write_buffer_size() if writer else 0
            assert unread <= 64 * 64_008
        await until(lambda: model.pid != pid)  # given up, and nothing waits for it any more
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_a_worker_that_ended_by_itself_may_be_given_up_all_the_same(model):
    process = model._process
    assert process is not None
    process.kill()
    await process.wait()
    model._kill()  # its transport is closed: there is nobody to signal


async def test_closing_leaves_no_process_and_no_task(voice):
    before = asyncio.all_tasks()
    model = TurnModelProcess()
    await model.start()
    pid = model.pid
    assert pid is not None
    assert running(pid)
    asking = asyncio.create_task(model.probability(await said(voice, WHOLE[0]), 0.2))
    await asyncio.sleep(0)
    await model.close()
    await model.close()
    assert not running(pid)
    assert model.pid is None
    assert not model.alive
    await asking
    assert await model.probability(PAUSE, 1.0) is None
    assert asyncio.all_tasks() == before


async def test_closing_while_it_starts_leaves_no_process():
    model = TurnModelProcess()
    starting = asyncio.create_task(model.start())
    await until(lambda: model.pid is not None)
    pid = model.pid
    assert pid is not None
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await model.close()
    assert not running(pid)


async def test_the_worker_ends_with_its_server(model):
    """Its socket closes, even where nobody could terminate it."""
    pid = model.pid
    assert pid is not None
    model._writer.transport.abort()
    await until(lambda: not running(pid))
    await until(lambda: model.pid != pid)
