"""Groq's models and Whisper through Pipecat's services and OpenAI's SDK, against its simulated
wire."""

from __future__ import annotations

import asyncio

import openai
import pytest
from pipecat.frames.frames import LLMFullResponseEndFrame, LLMTextFrame, TranscriptionFrame
from service_line import CANARY, caller, watched
from simulated import simulated

from telebot.call.errors import ProviderConfigError
from telebot.providers import registry
from telebot.providers.frames import EmptyTranscriptFrame

pytestmark = pytest.mark.peers

KINDS = {401: "authentication", 429: "rate_limit", 500: "server"}


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["groq"]) as server:
        yield server


@pytest.fixture
async def sdk(vendor):
    async with openai.AsyncOpenAI(
        api_key="k", base_url=vendor.environ["GROQ_BASE_URL"], max_retries=0
    ) as client:
        yield client


@pytest.fixture(scope="module")
def sentence(speech):
    return asyncio.run(caller(speech, "I would like to book a table for four people."))


@pytest.mark.parametrize(
    "spec", ["groq", {"service": "groq", "model": "qwen/qwen3.8-27b", "settings": {"seed": 3}}]
)
async def test_a_model_answers_a_caller(vendor, spec):
    llm = registry.build_llm(spec, vendor.resources)
    async with watched(llm) as on:
        await on.ask("When are you open?")
        await on.line.sink.wait_for(LLMFullResponseEndFrame)
        assert on.said.startswith("We are open from Tuesday")
    assert not on.errors


async def test_an_utterance_is_recognised(vendor, sentence):
    stt = registry.build_stt("groq", vendor.resources)
    async with watched(stt) as on:
        await on.hear(sentence)
        (text,) = await on.line.sink.wait_for(TranscriptionFrame)
        assert text.finalized
        assert "table for four" in text.text
    assert not on.errors


@pytest.mark.parametrize("status", [401, 429, 500])
@pytest.mark.parametrize("kind", ["llm", "stt"])
async def test_a_refusal_is_an_error_of_its_kind_at_once(vendor, sentence, kind, status):
    vendor.fault(f"groq={status}")
    service = registry.build(kind, "groq", vendor.resources)
    async with watched(service) as on:
        await (on.ask("Hello") if kind == "llm" else on.hear(sentence))
        assert await on.errors.category() == KINDS[status]
    assert len(vendor.sim.requests) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("drop@first", "connectivity"), ("drop@middle", "connectivity"), ("429@end", "rate_limit"),
     ("garbage@middle", "server")],
)  # fmt: skip
async def test_a_reply_that_breaks_off_is_an_error_of_its_kind(vendor, fault, kind):
    vendor.fault(f"groq.llm={fault}")
    llm = registry.build_llm("groq", vendor.resources)
    async with watched(llm) as on:
        await on.ask("When are you open?")
        assert await on.errors.category() == kind


@pytest.mark.parametrize("fault", ["drop@end", "garbage@connect"])
async def test_a_transcript_that_does_not_come_is_an_error(vendor, sentence, fault):
    vendor.fault(f"groq.stt={fault}")
    stt = registry.build_stt("groq", vendor.resources)
    async with watched(stt) as on:
        await on.hear(sentence)
        await on.errors.first()
        (lost,) = await on.line.sink.wait_for(EmptyTranscriptFrame)
        assert lost.failed


@pytest.mark.parametrize("kind", ["llm", "stt"])
async def test_a_vendor_that_stalls_can_be_given_up(vendor, sentence, kind):
    vendor.fault("groq=stall@first")
    service = registry.build(kind, "groq", vendor.resources)
    async with watched(service) as on:
        await (on.ask("Hello") if kind == "llm" else on.hear(sentence))
        assert not on.line.sink.of(LLMTextFrame)
    assert not on.errors


@pytest.mark.parametrize("kind", ["llm", "stt"])
async def test_no_error_shows_a_key(vendor, sentence, kind):
    vendor.environ["GROQ_API_KEY"] = CANARY
    service = registry.build(kind, "groq", vendor.resources)
    async with watched(service) as on:
        await (on.ask("Hello") if kind == "llm" else on.hear(sentence))
        assert await on.errors.category() == "authentication"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe(kind, "groq", vendor.resources)
    assert "canary" not in str(caught.value)


async def test_what_is_right_is_found_right_and_a_wrong_model_is_not(vendor):
    await registry.probe("llm", "groq", vendor.resources)
    await registry.probe("stt", "groq", vendor.resources)
    for kind, model in (("llm", "openai/gpt-oss-12b"), ("stt", "whisper-large-v3-turb")):
        with pytest.raises(ProviderConfigError, match="did you mean"):
            await registry.probe(kind, {"service": "groq", "model": model}, vendor.resources)


async def test_the_stream_names_its_request_and_counts_at_the_end(sdk):
    stream = await sdk.chat.completions.create(
        model="openai/gpt-oss-20b",
        messages=[{"role": "user", "content": "Hello"}],
        stream=True,
        reasoning_effort="low",
    )
    chunks = [chunk.model_dump() async for chunk in stream]
    assert chunks[0]["x_groq"] == {"id": "req_simulated"}
    assert chunks[-1]["x_groq"]["usage"]["completion_tokens"] > 5


@pytest.mark.parametrize(
    "asked",
    [
        {"logprobs": True},
        {"n": 2},
        {"messages": [{"role": "user", "content": "Hello", "name": "me"}]},
        {"reasoning_effort": "none"},
        {"model": "llama-2"},
    ],
)
async def test_what_it_does_not_support_is_refused(sdk, asked):
    good = {"model": "openai/gpt-oss-20b", "messages": [{"role": "user", "content": "Hello"}]}
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.chat.completions.create(**{**good, **asked})
    assert caught.value.status_code == (404 if "model" in asked else 400)
