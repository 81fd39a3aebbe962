"""Gemini through Google's own SDK and Pipecat's service, against its simulated wire."""

from __future__ import annotations

import json

import pytest
from google.genai import Client, errors, types
from llm_line import ANSWER, BEGUN, QUESTION, asked, failure, reply
from pipecat.frames.frames import InterruptionFrame, LLMTextFrame
from pipecat.utils.errors import ErrorCategory
from simulated import simulated

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry

pytestmark = pytest.mark.peers
OLD = {"service": "gemini", "model": "gemini-3.1-flash-lite"}
GO_ON = {"role": "developer", "content": f"The caller has heard «{BEGUN}»; go on from there."}
REST = ANSWER[len(BEGUN) :].lstrip()
MODEL = "gemini-3.5-flash-lite"
WORDS = QUESTION[0]["content"]


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["gemini"]) as server:
        yield server


@pytest.fixture
async def sdk(vendor, http):
    options = types.HttpOptions(
        base_url=vendor.environ["GEMINI_BASE_URL"],
        aiohttp_client=http,
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    client = Client(api_key="k", http_options=options)
    yield client.aio.models
    await client.aio.aclose()
    client.close()


async def test_calls_share_connections(vendor):
    for _ in range(3):
        await reply(registry.build_llm("gemini", vendor.resources))
    connections = vendor.resources.http().connector._conns
    assert [len(each) for each in connections.values()] == [1]


async def test_the_vendors_own_library_reads_the_stream(sdk):
    stream = await sdk.generate_content_stream(model=MODEL, contents=WORDS)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.text or "" for chunk in chunks) == ANSWER
    assert chunks[-1].candidates[0].finish_reason is types.FinishReason.STOP


async def test_the_vendors_own_library_reads_a_whole_reply(sdk):
    answer = await sdk.generate_content(model=MODEL, contents=WORDS)
    assert answer.text == ANSWER


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, ErrorCategory.AUTHENTICATION),
        (429, ErrorCategory.RATE_LIMIT),
        (500, ErrorCategory.SERVER),
    ],
)
@pytest.mark.parametrize(
    ("point", "before"),
    [("connect", 0), ("first", 0), ("middle", 12), ("end", 23)],
)
async def test_a_refusal_says_what_kind_it_is(vendor, status, category, point, before):
    vendor.fault(f"gemini={status}@{point}")
    vendor.environ["GEMINI_API_KEY"] = "canary"
    error, said = await failure(registry.build_llm("gemini", vendor.resources))
    assert error.category is category
    assert "canary" not in error.error
    assert len(said.split()) == before


async def test_a_wrong_key_says_so_in_a_call(vendor):
    vendor.environ["GEMINI_API_KEY"] = "bad-canary"
    error, _ = await failure(registry.build_llm("gemini", vendor.resources))
    assert error.category is ErrorCategory.AUTHENTICATION
    assert "canary" not in error.error


async def test_an_interruption_frees_the_connection(vendor):
    vendor.fault("gemini=stall@middle")
    llm = registry.build_llm("gemini", vendor.resources)
    async with asked(llm) as run:
        await run.line.sink.wait_for(LLMTextFrame, 12)
        await run.line.worker.queue_frame(InterruptionFrame())
        await run.line.sink.wait_for(InterruptionFrame)
        assert not vendor.resources.http().connector._acquired


@pytest.mark.parametrize("spec", ["gemini", OLD])
async def test_an_instruction_at_the_end_continues_a_reply(vendor, spec):
    begun = [*QUESTION, {"role": "assistant", "content": BEGUN}, GO_ON]
    assert await reply(registry.build_llm(spec, vendor.resources), begun) == REST


async def test_an_instruction_after_the_question_continues_a_reply(vendor):
    llm = registry.build_llm("gemini", vendor.resources)
    assert await reply(llm, [*QUESTION, GO_ON]) == REST


async def test_an_old_model_goes_on_with_a_begun_reply(vendor):
    begun = [*QUESTION, {"role": "assistant", "content": BEGUN}]
    assert await reply(registry.build_llm(OLD, vendor.resources), begun) == REST


async def test_a_new_model_takes_a_begun_reply_for_a_whole_one(vendor):
    """Pipecat adds a caller's "." to it, so the reply is a new one: not for a failover."""
    begun = [*QUESTION, {"role": "assistant", "content": BEGUN}]
    said = await reply(registry.build_llm("gemini", vendor.resources), begun)
    assert not said.startswith(REST)


async def test_a_setting_of_thinking_reaches_the_model(vendor):
    spec = {"service": "gemini", "settings": {"thinking": {"thinking_level": "low"}}}
    assert await reply(registry.build_llm(spec, vendor.resources)) == ANSWER


async def test_googles_name_of_the_key_will_do(vendor):
    vendor.environ["GOOGLE_API_KEY"] = vendor.environ.pop("GEMINI_API_KEY")
    assert await reply(registry.build_llm("gemini", vendor.resources)) == ANSWER
    await registry.probe("llm", "gemini", vendor.resources)


@pytest.mark.parametrize("spec", ["gemini", {**OLD, "model": "models/gemini-3.1-flash-lite"}])
async def test_a_good_configuration_is_found_good(vendor, spec):
    await registry.probe("llm", spec, vendor.resources)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("gemini-3.5-flash-light", "did you mean 'gemini-3.5-flash-lite'"),
        ("gemini-3.8-live", "has no model"),
    ],
)
async def test_a_wrong_model_is_found_by_asking(vendor, model, says):
    with pytest.raises(ProviderConfigError, match=says):
        await registry.probe("llm", {"service": "gemini", "model": model}, vendor.resources)


async def test_a_wrong_key_is_found_by_asking(vendor):
    vendor.environ["GEMINI_API_KEY"] = "bad-canary"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe("llm", "gemini", vendor.resources)
    assert "canary" not in str(caught.value)


async def test_a_missing_key_is_found_at_once(vendor):
    del vendor.environ["GEMINI_API_KEY"], vendor.environ["GOOGLE_API_KEY"]
    with pytest.raises(ProviderConfigError, match="set GEMINI_API_KEY"):
        registry.build_llm("gemini", vendor.resources)


async def test_nobody_to_ask_is_no_fault_of_the_configuration(vendor):
    vendor.environ["GEMINI_BASE_URL"] = "http://127.0.0.1:1"
    with pytest.raises(ProviderError, match="cannot be asked"):
        await registry.probe("llm", "gemini", vendor.resources)


def content(role: str = "user", *parts: object) -> dict[str, object]:
    return {"role": role, "parts": list(parts or ({"text": "Hello"},))}


MALFORMED = {
    "no JSON": ("{", "Invalid JSON"),
    "no object": ("[]", "Invalid JSON"),
    "no contents": ({}, "contents is not specified"),
    "unknown field": ({"contents": [content()], "messages": []}, 'Unknown name "messages"'),
    "unknown role": ({"contents": [content("assistant")]}, "valid role: user, model"),
    "no parts": ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
    "empty part": ({"contents": [content("user", {})]}, "oneof field 'data'"),
    "begun reply": ({"contents": [content(), content("model")]}, "ending with a model turn"),
}


@pytest.mark.parametrize(("sent", "says"), MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request_is_refused(vendor, http, sent, says):
    url = f"{vendor.environ['GEMINI_BASE_URL']}/v1beta/models/{MODEL}:streamGenerateContent"
    data = sent if isinstance(sent, str) else json.dumps(sent)
    async with http.post(url, data=data, headers={"x-goog-api-key": "k"}) as answer:
        assert answer.status == 400
        told = await answer.json()
    assert told["error"]["status"] == "INVALID_ARGUMENT"
    assert says in told["error"]["message"]


async def test_an_unknown_model_is_refused(sdk):
    with pytest.raises(errors.ClientError) as caught:
        await sdk.generate_content(model="gemini-9", contents=WORDS)
    assert caught.value.status == "NOT_FOUND"


async def test_a_stranger_is_refused(vendor, http):
    url = f"{vendor.environ['GEMINI_BASE_URL']}/v1beta/models"
    async with http.get(url) as answer:
        assert answer.status == 403
        assert (await answer.json())["error"]["status"] == "PERMISSION_DENIED"
