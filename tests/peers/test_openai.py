"""OpenAI's models and voices through its own SDK and Pipecat's services, against its simulated
wire."""

from __future__ import annotations

import json
from datetime import date

import aiohttp
import openai
import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    LLMFullResponseEndFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from service_line import CANARY, watched
from simulated import simulated

from telebot.call.errors import ProviderConfigError
from telebot.providers import registry
from telebot.providers.probing import still_there

pytestmark = pytest.mark.peers

HOURS = "We are open from Tuesday to Sunday"
KINDS = {401: "authentication", 429: "rate_limit", 500: "server"}
TRANSFER = {
    "name": "transfer_call",
    "description": "Put the caller through",
    "parameters": {
        "type": "object",
        "properties": {"to": {"type": "string"}, "after": {"type": "integer"}},
        "required": ["to", "after"],
    },
}


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai"]) as server:
        yield server


@pytest.fixture
async def sdk(vendor):
    async with openai.AsyncOpenAI(
        api_key="k", base_url=vendor.environ["OPENAI_BASE_URL"], max_retries=0
    ) as client:
        yield client


# --- language models ---------------------------------------------------------------------------


async def test_a_model_answers_a_caller(vendor):
    llm = registry.build_llm("openai", vendor.resources)
    async with watched(llm) as on:
        await on.ask("When are you open?")
        await on.line.sink.wait_for(LLMFullResponseEndFrame)
        assert on.said.startswith(HOURS)
    assert not on.errors


async def test_a_model_calls_a_function(vendor, monkeypatch):
    llm = registry.build_llm("openai", vendor.resources)
    called = []

    async def keep(calls):
        called.extend((call.function_name, dict(call.arguments)) for call in calls)

    monkeypatch.setattr(llm, "run_function_calls", keep)
    schema = FunctionSchema(
        name="transfer_call",
        description="Put the caller through",
        properties=TRANSFER["parameters"]["properties"],
        required=["to", "after"],
    )
    async with watched(llm) as on:
        await on.ask("Transfer my call in 5 minutes", ToolsSchema(standard_tools=[schema]))
        await on.line.sink.wait_for(LLMFullResponseEndFrame)
    assert called == [("transfer_call", {"to": "Transfer my call in 5 minutes", "after": 5})]
    assert not on.errors


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_a_refused_request_is_an_error_of_its_kind_at_once(vendor, status):
    vendor.fault(f"openai={status}")
    llm = registry.build_llm("openai", vendor.resources)
    async with watched(llm) as on:
        await on.ask("Hello")
        assert await on.errors.category() == KINDS[status]
    assert len(vendor.sim.requests) == 1


@pytest.mark.parametrize("point", ["first", "middle", "end"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [("401", "authentication"), ("429", "rate_limit"), ("500", "server"), ("drop", "connectivity"),
     ("garbage", "server")],
)  # fmt: skip
async def test_a_reply_that_breaks_off_is_an_error_of_its_kind(vendor, fault, kind, point):
    vendor.fault(f"openai.llm={fault}@{point}")
    llm = registry.build_llm("openai", vendor.resources)
    async with watched(llm) as on:
        await on.ask("When are you open?")
        assert await on.errors.category() == kind
        words = len(on.line.sink.of(LLMTextFrame))
    assert words == 0 if point == "first" else words > 3


@pytest.mark.parametrize("fault", ["stall@connect", "stall@middle", "silence@first"])
async def test_a_reply_that_stalls_can_be_given_up(vendor, fault):
    vendor.fault(f"openai.llm={fault}")
    llm = registry.build_llm("openai", vendor.resources)
    async with watched(llm) as on:
        await on.ask("When are you open?")
        if "middle" in fault:
            await on.line.sink.wait_for(LLMTextFrame, 3)
    assert not on.errors


async def test_a_vendor_that_is_not_there_is_a_fault_of_the_connection(vendor):
    vendor.environ["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    llm = registry.build_llm("openai", vendor.resources)
    async with watched(llm) as on:
        await on.ask("Hello")
        assert await on.errors.category() == "connectivity"


async def test_the_sdk_gets_whole_answers(sdk):
    answer = await sdk.chat.completions.create(
        model="gpt-4.1", messages=[{"role": "user", "content": "Where can I park?"}]
    )
    assert answer.choices[0].message.content.startswith("There is a free car park")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_the_sdk_gets_short_answers_and_calls_of_functions(sdk):
    messages = [{"role": "user", "content": "Please transfer my call to 12"}]
    tools = [{"type": "function", "function": TRANSFER}]
    short = await sdk.chat.completions.create(model="gpt-4.1", messages=messages, max_tokens=3)
    assert short.choices[0].finish_reason == "length"
    called = await sdk.chat.completions.create(model="gpt-4.1", messages=messages, tools=tools)
    assert called.choices[0].finish_reason == "tool_calls"
    call = called.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments)["after"] == 12
    messages += [called.choices[0].message.model_dump(exclude_none=True)]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "done"}]
    spoken = await sdk.chat.completions.create(model="gpt-4.1", messages=messages, tools=tools)
    assert spoken.choices[0].finish_reason == "stop"


async def test_the_sdk_streams_with_counts_at_the_end(sdk):
    stream = await sdk.chat.completions.create(
        model="gpt-6-luna",
        messages=[{"role": "user", "content": "When are you open?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens > 5
    assert not chunks[-1].choices
    assert all(chunk.usage is None for chunk in chunks[:-1])


GOOD = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}
CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
MALFORMED_CHATS = {
    "no json": (b"{", 400, None),
    "no model": ({**GOOD, "model": None}, 400, "missing_required_parameter"),
    "unknown model": ({**GOOD, "model": "gpt-0"}, 404, "model_not_found"),
    "a voice's model": ({**GOOD, "model": "tts-1"}, 404, "model_not_found"),
    "no messages": ({"model": "gpt-4.1"}, 400, "missing_required_parameter"),
    "empty messages": ({**GOOD, "messages": []}, 400, "empty_array"),
    "unknown role": ({**GOOD, "messages": [{"role": "x", "content": ""}]}, 400, None),
    "answer to no call": (
        {**GOOD, "messages": [{"role": "tool", "tool_call_id": "c", "content": ""}]}, 400, None),
    "call without answer": (
        {**GOOD, "messages": [{"role": "assistant", "tool_calls": CALLS}]}, 400, None),
    "too warm": ({**GOOD, "temperature": 3}, 400, "invalid_value"),
    "effort of one that does not think": (
        {**GOOD, "reasoning_effort": "none"}, 400, "unsupported_parameter"),
    "thinking with functions": (
        {**GOOD, "model": "gpt-6-luna", "tools": [{"type": "function", "function": TRANSFER}]},
        400, "unsupported_parameter"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED_CHATS)
async def test_a_malformed_chat_is_refused(vendor, case):
    asked, status, code = MALFORMED_CHATS[case]
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    url = f"{vendor.environ['OPENAI_BASE_URL']}/chat/completions"
    headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=body, headers=headers) as answer,
    ):
        assert answer.status == status
        error = (await answer.json())["error"]
        assert error["code"] == code
        assert error["type"] == "invalid_request_error"


# --- voices ------------------------------------------------------------------------------------


async def test_a_voice_speaks(vendor, speech):
    tts = registry.build_tts("openai", vendor.resources)
    async with watched(tts) as on:
        await on.speak("The car park is behind the building.")
        await on.line.sink.wait_for(TTSStoppedFrame)
        audio, rate_hz = on.audio, on.rate_hz
    heard = await speech.stt.transcribe(audio, rate_hz)
    assert "car park is behind the building" in heard.text.lower()
    assert not on.errors


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_a_refused_voice_is_an_error_of_its_kind_at_once(vendor, status):
    vendor.fault(f"openai.tts={status}")
    tts = registry.build_tts("openai", vendor.resources)
    async with watched(tts) as on:
        await on.speak("Hello")
        assert await on.errors.category() == KINDS[status]
    assert len(vendor.sim.requests) == 1


@pytest.mark.parametrize("fault", ["drop@first", "drop@middle", "500@end"])
async def test_speech_that_breaks_off_is_a_fault_of_the_connection(vendor, fault):
    vendor.fault(f"openai.tts={fault}")
    tts = registry.build_tts("openai", vendor.resources)
    async with watched(tts) as on:
        await on.speak("The car park is behind the building.")
        assert await on.errors.category() == "connectivity"
        await on.line.sink.wait_for(TTSStoppedFrame) if "first" not in fault else None


async def test_speech_that_stalls_can_be_given_up(vendor):
    vendor.fault("openai.tts=stall@middle")
    tts = registry.build_tts("openai", vendor.resources)
    async with watched(tts) as on:
        await on.speak("The car park is behind the building.")
        await on.line.sink.wait_for(TTSAudioRawFrame)
    assert not on.errors


async def test_the_sdk_gets_speech_as_a_file_and_as_events(sdk, speech):
    asked = {"model": "tts-1", "voice": "nova", "input": "Goodbye and thank you."}
    whole = await sdk.audio.speech.create(**asked, response_format="wav")
    assert whole.content[:4] == b"RIFF"
    heard = await speech.stt.transcribe(whole.content[44:], 24000)
    assert "thank you" in heard.text.lower()
    async with sdk.audio.speech.with_streaming_response.create(
        **asked, response_format="pcm", stream_format="sse"
    ) as answer:
        kinds = [json.loads(row[6:])["type"] async for row in answer.iter_lines() if row]
    assert kinds[-1] == "speech.audio.done"
    assert kinds[0] == "speech.audio.delta"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"model": "tts-9"}, 404),
        ({"voice": "aloy"}, 400),
        ({"input": ""}, 400),
        ({"input": "a" * 5000}, 400),
        ({"response_format": "tape"}, 400),
        ({"speed": 9}, 400),
        ({"voice": None}, 400),
    ],
)
async def test_a_malformed_speech_is_refused(sdk, asked, status):
    good = {"model": "tts-1", "voice": "nova", "input": "Hello", "response_format": "pcm"}
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.post("/audio/speech", cast_to=object, body={**good, **asked})
    assert caught.value.status_code == status


# --- asking first ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("llm", {"service": "openai", "model": "gpt-4.1-mni"}, "did you mean 'gpt-4.1-mini'"),
        ("tts", {"service": "openai", "voice": "aloy"}, "did you mean 'alloy'"),
        (
            "stt",
            {"service": "openai", "model": "gpt-live-transcrib"},
            "did you mean 'gpt-live-transcribe'",
        ),
        ("stt", {"service": "openai-whisper", "model": "whisper1"}, "did you mean 'whisper-1'"),
    ],
)
async def test_a_wrong_name_is_found_by_asking(vendor, kind, spec, says):
    with pytest.raises(ProviderConfigError, match=says):
        await registry.probe(kind, spec, vendor.resources)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [("llm", "openai"), ("tts", "openai"), ("stt", "openai"), ("stt", "openai-whisper")],
)
async def test_what_is_right_is_found_right(vendor, kind, spec):
    await registry.probe(kind, spec, vendor.resources)


async def test_a_wrong_key_is_found_by_asking(vendor):
    vendor.environ["OPENAI_API_KEY"] = CANARY
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe("llm", "openai", vendor.resources)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("kind", "spec"), [("llm", "openai"), ("tts", "openai")])
async def test_no_error_shows_a_key(vendor, kind, spec):
    vendor.environ["OPENAI_API_KEY"] = CANARY
    service = registry.build(kind, spec, vendor.resources)
    async with watched(service) as on:
        await (on.ask if kind == "llm" else on.speak)("Hello")
        assert await on.errors.category() == "authentication"


def test_a_model_that_was_shut_down_says_so():
    still_there("v", "model", "m", None)
    still_there("v", "model", "m", "2027-01-14", today=date(2027, 1, 13))
    with pytest.raises(ProviderConfigError, match="shut the model 'm' down on 2027-01-14"):
        still_there("v", "model", "m", "2027-01-14", today=date(2027, 1, 14))
