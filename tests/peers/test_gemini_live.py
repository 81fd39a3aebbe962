"""Gemini Live through Google's own SDK and Pipecat's service, against its simulated wire."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType
from google.genai import types
from llm_line import ANSWER, Asked
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.utils.errors import ErrorCategory
from service_line import Sink, running
from simulated import simulated

from telebot.call.errors import ProviderConfigError
from telebot.providers.gemini import LIVE_MODEL, LIVE_VOICE, build_session, probe
from telebot.providers.gemini_llm import Clients
from telebot.providers.resources import Resources
from telebot.simulate.gemini_live import PATH

pytestmark = [
    pytest.mark.peers,
    # Pipecat's own way of saying how to generate
    pytest.mark.filterwarnings("ignore:Setting `LiveConnectConfig.generation_config`"),
]
RATE_HZ = 8000
PIECE = RATE_HZ // 25 * 2  # 40 ms
SETUP = {"setup": {"model": "models/gemini-3.8-live"}}
SERVICE = "telebot.providers.gemini_live:ToldGeminiLiveLLMService"


def session(resources: Resources) -> Any:
    """A session that finds the turns itself, as the vendor's own clients use it."""
    return build_session(SERVICE, {}, resources, {"model": LIVE_MODEL, "voice": LIVE_VOICE})


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["gemini"]) as server:
        yield server


@pytest.fixture
async def question(vendor):
    """What a caller says, in pieces of 40 ms."""
    said = await vendor.sim.speech.say("When are you open?", RATE_HZ)
    pcm = said.pcm16 + bytes(RATE_HZ)
    return [pcm[i : i + PIECE] for i in range(0, len(pcm), PIECE)]


async def until(holds: Callable[[], bool]) -> None:
    """Pipecat tells nobody when a session is ready."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def talking(vendor, messages=()) -> AsyncIterator[Asked]:
    """A running pipeline with a session that is ready to listen."""
    errors, llm = Sink(), session(vendor.resources)
    async with running(errors, llm) as line:
        await line.worker.queue_frame(LLMContextFrame(LLMContext(list(messages))))
        await until(lambda: llm._ready_for_realtime_input)
        yield Asked(line, errors)


async def ask(run: Asked, pieces: list[bytes]) -> None:
    for piece in pieces:
        await run.line.worker.queue_frame(InputAudioRawFrame(piece, RATE_HZ, 1))


async def test_a_spoken_question_is_answered_aloud(vendor, speech, question):
    async with talking(vendor) as run:
        await ask(run, question)
        await run.line.sink.wait_for(TTSStoppedFrame)
        heard = "".join(frame.text for frame in run.errors.of(TranscriptionFrame))
        audio = b"".join(frame.audio for frame in run.line.sink.of(TTSAudioRawFrame))
        said = run.said
    assert "open" in heard.lower()
    assert said == ANSWER
    aloud = (await speech.stt.transcribe(audio, 24000)).text.lower()
    assert "tuesday to sunday" in aloud


async def test_a_second_question_is_answered_too(vendor, question):
    async with talking(vendor) as run:
        for turn in (1, 2):
            await ask(run, question)
            await run.line.sink.wait_for(LLMFullResponseEndFrame, turn)
    assert run.said == ANSWER * 2


async def test_the_conversation_so_far_is_told(vendor):
    messages = [{"role": "user", "content": "Where can I park?"}]
    async with talking(vendor, messages) as run:
        await run.line.sink.wait_for(LLMFullResponseEndFrame)
    assert run.said.startswith("There is a free car park")


async def test_a_caller_who_breaks_in_is_heard(vendor, question):
    vendor.fault("gemini.realtime=stall@middle x1")
    async with talking(vendor) as run:
        await ask(run, question)
        await run.line.sink.wait_for(TTSAudioRawFrame, 10)
        await ask(run, question)
        await run.line.sink.wait_for(InterruptionFrame)
        await run.line.sink.wait_for(LLMFullResponseEndFrame, 2)
    assert run.said.endswith(ANSWER)


@asynccontextmanager
async def broken(vendor) -> AsyncIterator[Sink]:
    """A pipeline with a session that cannot begin."""
    errors, llm = Sink(), session(vendor.resources)
    async with running(errors, llm):
        yield errors


@pytest.mark.parametrize(
    ("fault", "category"),
    [
        ("401", ErrorCategory.AUTHENTICATION),
        ("429", ErrorCategory.RATE_LIMIT),
        ("500", ErrorCategory.SERVER),
        ("drop", ErrorCategory.CONNECTIVITY),
    ],
)
async def test_a_session_that_cannot_begin_is_an_error(vendor, fault, category):
    vendor.environ["GEMINI_API_KEY"] = "canary"
    vendor.fault(f"gemini.realtime={fault}")
    async with broken(vendor) as errors:
        (error,) = await errors.wait_for(ErrorFrame)
    assert error.category is category
    assert "canary" not in error.error


async def test_a_wrong_key_is_an_error(vendor):
    vendor.environ["GEMINI_API_KEY"] = "bad-canary"
    async with broken(vendor) as errors:
        (error,) = await errors.wait_for(ErrorFrame)
    assert error.category is ErrorCategory.AUTHENTICATION
    assert "canary" not in error.error


async def test_nobody_there_is_an_error(vendor):
    vendor.environ["GEMINI_BASE_URL"] = "http://127.0.0.1:1"
    async with broken(vendor) as errors:
        (error,) = await errors.wait_for(ErrorFrame)
    assert error.category is ErrorCategory.CONNECTIVITY


@pytest.mark.parametrize(
    ("fault", "category"),
    [
        ("401@middle", ErrorCategory.AUTHENTICATION),
        ("429@middle", ErrorCategory.RATE_LIMIT),
        ("garbage@middle", ErrorCategory.SERVER),
        ("500@first", ErrorCategory.SERVER),
        ("500@middle", ErrorCategory.SERVER),
        ("500@end", ErrorCategory.SERVER),
        ("drop@first", ErrorCategory.CONNECTIVITY),
        ("drop@end", ErrorCategory.CONNECTIVITY),
    ],
)
async def test_a_lost_session_ends_its_reply(vendor, question, fault, category):
    vendor.fault(f"gemini.realtime={fault} x1")
    async with talking(vendor) as run:
        await ask(run, question)
        (error, *_) = await run.errors.wait_for(ErrorFrame)
        if not fault.endswith("first"):
            await run.line.sink.wait_for(LLMFullResponseEndFrame)
    assert error.category is category
    assert ANSWER.startswith(run.said)


async def test_a_dropped_session_is_resumed(vendor, question):
    vendor.fault("gemini.realtime=drop@middle x1")
    async with talking(vendor) as run:
        await ask(run, question)
        await run.line.sink.wait_for(LLMFullResponseEndFrame)
        await until(lambda: vendor.sim.requests.count(("gemini", "realtime")) == 2)
        await until(lambda: run.line.sink.previous._ready_for_realtime_input)
        await ask(run, question)
        await run.line.sink.wait_for(LLMFullResponseEndFrame, 2)
    assert run.said.endswith(ANSWER)


@pytest.mark.parametrize("fault", ["stall@connect", "stall@middle", "silence@first"])
async def test_a_silent_vendor_holds_nobody_up(vendor, question, fault):
    vendor.fault(f"gemini.realtime={fault}")
    if fault.endswith("connect"):
        async with broken(vendor):
            pass
        return
    async with talking(vendor) as run:
        await ask(run, question)
        if "middle" in fault:
            await run.line.sink.wait_for(LLMTextFrame)


async def test_the_vendors_own_library_talks(vendor, http, question):
    # one whose sockets are plain, as the simulator's
    client = Clients(http).client("k", vendor.environ["GEMINI_BASE_URL"])
    config = types.LiveConnectConfig(response_modalities=["AUDIO"], output_audio_transcription={})
    async with client.aio.live.connect(model="gemini-3.8-live", config=config) as session:
        for piece in question:
            blob = types.Blob(data=piece, mime_type="audio/pcm;rate=8000")
            await session.send_realtime_input(audio=blob)
        told = [each async for each in session.receive()]
    words = [each.server_content.output_transcription for each in told if each.server_content]
    assert "".join(each.text for each in words if each) == ANSWER
    assert told[-1].server_content.turn_complete
    assert told[-1].usage_metadata.response_token_count


@pytest.mark.parametrize("model", ["gemini-3.8-live", "models/gemini-3.8-live"])
async def test_a_good_configuration_is_found_good(vendor, model):
    await probe("realtime", {"model": model}, vendor.resources)


async def test_a_model_that_does_not_talk_is_found_by_asking(vendor):
    with pytest.raises(ProviderConfigError, match="has no model"):
        await probe("realtime", {"model": "gemini-3.8-flash"}, vendor.resources)


def setup(**more: object) -> dict[str, object]:
    return {"setup": {**SETUP["setup"], **more}}


def voice(name: str) -> dict[str, object]:
    return {"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}}


NOISE = base64.b64encode(bytes(320)).decode()
MALFORMED = {
    "no JSON": (["{"], 1007, "Invalid JSON"),
    "two kinds": ([{**SETUP, "realtimeInput": {}}], 1007, "invalid argument"),
    "unknown kind": ([{"hello": {}}], 1007, 'Unknown name "hello"'),
    "no setup": ([{"realtimeInput": {"text": "Hello"}}], 1007, "setup must be the first"),
    "unknown model": ([setup(model="models/gemini-9")], 1008, "not found"),
    "model that does not talk": ([setup(model="models/gemini-3.8-flash")], 1008, "not supported"),
    "unknown voice": ([setup(generationConfig=voice("Karen"))], 1007, "Karen"),
    "unknown handle": ([setup(sessionResumption={"handle": "h"})], 1007, "invalid argument"),
    "no PCM": (
        [SETUP, {"realtimeInput": {"audio": {"mimeType": "audio/ogg", "data": NOISE}}}],
        1007,
        "MIME type",
    ),
    "unknown role": (
        [SETUP, {"clientContent": {"turns": [{"role": "bot", "parts": []}]}}],
        1007,
        "valid role",
    ),
}


@pytest.mark.parametrize(("sent", "code", "says"), MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_message_ends_the_session(vendor, http, sent, code, says):
    async with http.ws_connect(f"{vendor.url}{PATH}?key=k") as socket:
        for message in sent:
            await socket.send_str(message if isinstance(message, str) else json.dumps(message))
        told = await socket.receive()
        while told.type is WSMsgType.BINARY:
            told = await socket.receive()
    assert told.type is WSMsgType.CLOSE
    assert told.data == code
    assert says in told.extra
