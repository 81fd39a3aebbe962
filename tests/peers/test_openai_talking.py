"""OpenAI's speech to speech: its simulated wire through Pipecat's service and OpenAI's SDK."""

from __future__ import annotations

import asyncio
import base64
import json

import openai
import pytest
from pipecat.frames.frames import (
    LLMContextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from service_line import PIECE, caller, watched
from simulated import simulated
from websockets.exceptions import ConnectionClosed

from telebot.audio import g711

pytestmark = pytest.mark.peers

MULAW = {"type": "audio/pcmu"}
SESSION = {
    "type": "realtime",
    "audio": {
        "input": {"format": MULAW, "transcription": {"model": "gpt-transcribe"}},
        "output": {"format": MULAW, "voice": "cedar"},
    },
}
TOOL = {
    "type": "function",
    "name": "transfer_call",
    "parameters": {
        "type": "object",
        "properties": {"after": {"type": "integer"}},
        "required": ["after"],
    },
}


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai"]) as server:
        yield server


@pytest.fixture(scope="module")
def question(speech):
    return asyncio.run(caller(speech, "When are you open?")) + bytes(8000)


@pytest.fixture
async def sdk(vendor):
    async with openai.AsyncOpenAI(api_key="k", base_url=vendor.environ["OPENAI_BASE_URL"]) as made:
        yield made


@pytest.fixture
async def talk(sdk):
    """A session in mu-law, configured."""
    async with sdk.realtime.connect(model="gpt-realtime-2.1") as connection:
        assert (await connection.recv()).type == "session.created"
        await connection.session.update(session=SESSION)
        assert (await connection.recv()).session.audio.output.voice == "cedar"
        yield connection


async def until(connection, kind: str) -> list:
    async with asyncio.timeout(20):
        events = [await connection.recv()]
        while events[-1].type != kind:
            events.append(await connection.recv())
    return events


async def feed(connection, pcm16: bytes) -> None:
    for i in range(0, len(pcm16), PIECE):
        audio = base64.b64encode(g711.encode(pcm16[i : i + PIECE])).decode()
        await connection.input_audio_buffer.append(audio=audio)


async def text(connection, words: str) -> None:
    part = {"type": "input_text", "text": words}
    await connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": [part]}
    )
    await until(connection, "conversation.item.done")


def kinds(events: list) -> list[str]:
    return list(dict.fromkeys(event.type for event in events))


def spoken(events: list) -> bytes:
    deltas = [e.delta for e in events if e.type == "response.output_audio.delta"]
    return g711.decode(b"".join(base64.b64decode(delta) for delta in deltas))


async def test_pipecats_service_converses(vendor, question, speech):
    url = f"{vendor.environ['OPENAI_BASE_URL'].replace('http', 'ws')}/realtime"
    hears = AudioInput(transcription=InputAudioTranscription(model="gpt-transcribe"))
    properties = SessionProperties(audio=AudioConfiguration(input=hears))
    llm = OpenAIRealtimeLLMService(
        api_key="k",
        base_url=url,
        settings=OpenAIRealtimeLLMService.Settings(session_properties=properties),
    )
    heard = []

    async def process_audio_frame(frame, direction):
        await llm.process_frame(frame, direction)

    async def keep(frame, direction=None):
        if isinstance(frame, TranscriptionFrame):
            heard.append(frame.text)
        await push(frame, *([] if direction is None else [direction]))

    push, llm.push_frame = llm.push_frame, keep
    llm.process_audio_frame = process_audio_frame
    async with watched(llm) as on:
        context = LLMContext([{"role": "user", "content": "Bye!"}])
        await on.line.worker.queue_frame(LLMContextFrame(context))
        await on.line.sink.wait_for(TTSStoppedFrame)
        first = "".join(frame.text for frame in on.line.sink.of(TTSTextFrame))
        assert first == "Thank you for calling. Goodbye."
        await on.hear(question)
        await on.line.sink.wait_for(TTSStoppedFrame, 2)
        frames = on.line.sink.of(TTSAudioRawFrame)
    audio = b"".join(frame.audio for frame in frames)
    said = (await speech.stt.transcribe(audio, frames[0].sample_rate)).text.lower()
    assert "thank you for calling" in said
    assert "tuesday" in said
    assert "open" in heard[0].lower()
    assert not on.errors


async def test_a_caller_is_answered_in_the_phones_own_sound(talk, question, speech):
    await feed(talk, question)
    events = await until(talk, "response.done")
    assert kinds(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    done = events[-1].response
    assert done.status == "completed"
    assert done.usage.output_token_details.audio_tokens > 10
    assert "tuesday" in (await speech.stt.transcribe(spoken(events), 8000)).text.lower()
    words = [e.delta for e in events if e.type == "response.output_audio_transcript.delta"]
    assert "".join(words) == done.output[0].content[0].transcript


async def test_speaking_interrupts_and_what_was_not_heard_is_forgotten(talk, question):
    await text(talk, "When are you open?")
    await talk.response.create()
    begun = (await until(talk, "response.output_audio.delta"))[-1]
    await feed(talk, question[:16000])
    events = await until(talk, "response.done")
    assert events[-1].response.status == "cancelled"
    assert events[-1].response.status_details.reason == "turn_detected"
    await talk.conversation.item.truncate(item_id=begun.item_id, content_index=0, audio_end_ms=50)
    assert (await until(talk, "conversation.item.truncated"))[-1].audio_end_ms == 50
    await talk.conversation.item.truncate(
        item_id=begun.item_id, content_index=0, audio_end_ms=10**6
    )
    assert (await until(talk, "error"))[-1].error.param == "audio_end_ms"


async def test_a_response_can_be_cancelled_once_and_is_alone(talk):
    await text(talk, "When are you open?")
    await talk.response.create()
    await until(talk, "response.output_audio.delta")
    await talk.response.create()
    busy = (await until(talk, "error"))[-1].error
    assert busy.code == "conversation_already_has_active_response"
    await talk.response.cancel()
    done = (await until(talk, "response.done"))[-1].response
    assert done.status_details.reason == "client_cancelled"
    assert done.output[0].status == "incomplete"
    await talk.response.cancel()
    assert (await until(talk, "error"))[-1].error.code == "response_cancel_not_active"


async def test_a_function_is_called_and_answered(talk):
    await talk.session.update(session={"type": "realtime", "tools": [TOOL]})
    await until(talk, "session.updated")
    await text(talk, "Please transfer the call in 5 minutes")
    await talk.response.create()
    events = await until(talk, "response.done")
    call = events[-1].response.output[0]
    assert (call.name, json.loads(call.arguments)) == ("transfer_call", {"after": 5})
    assert "response.function_call_arguments.done" in kinds(events)
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "done"}
    await talk.conversation.item.create(item=output)
    await until(talk, "conversation.item.done")
    await talk.response.create(response={"output_modalities": ["text"]})
    events = await until(talk, "response.done")
    assert "response.output_text.delta" in kinds(events)
    assert events[-1].response.output[0].content[0].text.startswith("I am happy to help")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"type": "response.create", "response": {"output_modalities": ["audio", "text"]}},
         "invalid_value"),
        ({"type": "conversation.item.create", "item": {"type": "song"}}, "invalid_value"),
        ({"type": "conversation.item.create",
          "item": {"type": "function_call_output", "call_id": "x", "output": ""}}, "invalid_value"),
        ({"type": "conversation.item.retrieve", "item_id": "x"},
         "item_retrieve_invalid_item_id"),
        ({"type": "conversation.item.delete", "item_id": "x"}, "item_delete_invalid_item_id"),
        ({"type": "conversation.item.truncate", "item_id": "x"},
         "item_truncate_invalid_item_id"),
        ({"type": "session.update", "session": {"type": "realtime", "model": "gpt-realtime"}},
         "invalid_value"),
        ({"type": "session.update", "session": {"type": "realtime", "voice": "x"}},
         "unknown_parameter"),
        ({"type": "session.update",
          "session": {"type": "realtime", "audio": {"output": {"voice": "x"}}}}, "invalid_value"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty"),
    ],
)  # fmt: skip
async def test_a_malformed_event_is_refused_and_the_session_stays(talk, asked, code):
    await talk.send(asked)
    assert (await until(talk, "error"))[-1].error.code == code
    await talk.input_audio_buffer.clear()
    await until(talk, "input_audio_buffer.cleared")


@pytest.mark.parametrize(
    ("fault", "code"), [("429@first", "rate_limit_exceeded"), ("500@middle", None)]
)
async def test_a_response_that_fails_says_why(vendor, talk, fault, code):
    vendor.fault(f"openai.realtime={fault}")
    await text(talk, "When are you open?")
    await talk.response.create()
    done = (await until(talk, "response.done"))[-1].response
    assert done.status == "failed"
    assert done.status_details.error.code == code


@pytest.mark.parametrize("fault", ["drop@middle", "401@middle"])
async def test_a_session_that_breaks_is_closed(vendor, talk, fault):
    vendor.fault(f"openai.realtime={fault}")
    await text(talk, "When are you open?")
    await talk.response.create()
    with pytest.raises(ConnectionClosed):
        await until(talk, "response.done")


@pytest.mark.parametrize("fault", ["401", "429", "drop"])
async def test_pipecats_service_is_told_at_the_start(vendor, fault):
    vendor.fault(f"openai.realtime={fault}")
    url = f"{vendor.environ['OPENAI_BASE_URL'].replace('http', 'ws')}/realtime"
    llm = OpenAIRealtimeLLMService(api_key="k", base_url=url)
    async with watched(llm) as on:
        await on.errors.first()
