"""Anthropic through its own SDK and Pipecat's service, against its simulated wire."""

from __future__ import annotations

import json

import aiohttp
import anthropic
import pytest
from llm_line import ANSWER, BEGUN, QUESTION, asked, failure, reply
from pipecat.frames.frames import InterruptionFrame, LLMFullResponseEndFrame, LLMTextFrame
from pipecat.utils.errors import ErrorCategory
from simulated import simulated

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry

pytestmark = pytest.mark.peers
OLD = {"service": "anthropic", "model": "claude-haiku-4-5"}
GO_ON = {"role": "developer", "content": f"The caller has heard «{BEGUN}»; go on from there."}
REST = ANSWER[len(BEGUN) :].lstrip()
MODEL = "claude-haiku-5-5"


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["anthropic"]) as server:
        yield server


@pytest.fixture
async def sdk(vendor):
    async with anthropic.AsyncAnthropic(
        api_key="k", base_url=vendor.environ["ANTHROPIC_BASE_URL"], max_retries=0
    ) as client:
        yield client


async def test_calls_share_connections(vendor):
    for _ in range(3):
        await reply(registry.build_llm("anthropic", vendor.resources))
    pool = vendor.resources.kept("anthropic http", None)._transport._pool
    assert len(pool.connections) == 1


async def test_the_vendors_own_library_reads_the_stream(sdk):
    async with sdk.messages.stream(model=MODEL, max_tokens=99, messages=QUESTION) as stream:
        kinds = [event.type async for event in stream]
        message = await stream.get_final_message()
    assert message.content[0].text == ANSWER
    assert message.stop_reason == "end_turn"
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")


async def test_the_vendors_own_library_reads_a_whole_message(sdk):
    message = await sdk.messages.create(model=MODEL, max_tokens=99, messages=QUESTION)
    assert message.content[0].text == ANSWER


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
    vendor.fault(f"anthropic={status}@{point}")
    vendor.environ["ANTHROPIC_API_KEY"] = "canary"
    error, said = await failure(registry.build_llm("anthropic", vendor.resources))
    assert error.category is category
    assert "canary" not in error.error
    assert len(said.split()) == before


async def test_an_interruption_frees_the_connection(vendor):
    vendor.fault("anthropic=stall@middle")
    llm = registry.build_llm("anthropic", vendor.resources)
    async with asked(llm) as run:
        await run.line.sink.wait_for(LLMTextFrame, 12)
        await run.line.worker.queue_frame(InterruptionFrame())
        await run.line.sink.wait_for(InterruptionFrame)
        pool = vendor.resources.kept("anthropic http", None)._transport._pool
        assert not pool.connections


@pytest.mark.parametrize("spec", ["anthropic", OLD])
async def test_an_instruction_at_the_end_continues_a_reply(vendor, spec):
    begun = [*QUESTION, {"role": "assistant", "content": BEGUN}, GO_ON]
    llm = registry.build_llm(spec, vendor.resources)
    assert await reply(llm, begun) == REST


async def test_an_instruction_after_the_question_continues_a_reply(vendor):
    llm = registry.build_llm("anthropic", vendor.resources)
    assert await reply(llm, [*QUESTION, GO_ON]) == REST


async def test_an_old_model_goes_on_with_a_begun_reply(vendor):
    begun = [*QUESTION, {"role": "assistant", "content": BEGUN}]
    assert await reply(registry.build_llm(OLD, vendor.resources), begun) == REST


async def test_a_new_model_takes_a_begun_reply_for_a_whole_one(vendor):
    """Pipecat adds a caller's "." to it, so the reply is a new one: not for a failover."""
    begun = [*QUESTION, {"role": "assistant", "content": BEGUN}]
    said = await reply(registry.build_llm("anthropic", vendor.resources), begun)
    assert not said.startswith(REST)


async def test_a_setting_of_thinking_reaches_the_model(vendor):
    spec = {"service": "anthropic", "settings": {"thinking": {"type": "between_tools"}}}
    error, _ = await failure(registry.build_llm(spec, vendor.resources))
    assert error.category is ErrorCategory.INVALID_REQUEST


@pytest.mark.parametrize("spec", ["anthropic", OLD])
async def test_a_good_configuration_is_found_good(vendor, spec):
    await registry.probe("llm", spec, vendor.resources)


async def test_a_wrong_model_is_found_by_asking(vendor):
    spec = {"service": "anthropic", "model": "claude-haiku-55"}
    with pytest.raises(ProviderConfigError, match="did you mean 'claude-haiku-5-5'"):
        await registry.probe("llm", spec, vendor.resources)


async def test_a_wrong_key_is_found_by_asking(vendor):
    vendor.environ["ANTHROPIC_API_KEY"] = "bad-canary"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe("llm", "anthropic", vendor.resources)
    assert "canary" not in str(caught.value)


async def test_a_missing_key_is_found_at_once(vendor):
    del vendor.environ["ANTHROPIC_API_KEY"]
    with pytest.raises(ProviderConfigError, match="set ANTHROPIC_API_KEY"):
        registry.build_llm("anthropic", vendor.resources)


async def test_nobody_to_ask_is_no_fault_of_the_configuration(vendor):
    vendor.environ["ANTHROPIC_BASE_URL"] = "http://127.0.0.1:1"
    with pytest.raises(ProviderError, match="cannot be asked"):
        await registry.probe("llm", "anthropic", vendor.resources)


USER = {"role": "user", "content": "Hello"}
BOT = {"role": "assistant", "content": "Good day"}
SYSTEM = {"role": "system", "content": "Be brief."}


def body(*messages: object, **more: object) -> dict[str, object]:
    return {"model": MODEL, "max_tokens": 9, "messages": list(messages), **more}


MALFORMED = {
    "no JSON": ("{", 400, "valid JSON"),
    "no object": ("[]", 400, "object"),
    "no model": ({"max_tokens": 9, "messages": [USER]}, 400, "model: Field required"),
    "no length": ({"model": MODEL, "messages": [USER]}, 400, "max_tokens: Field required"),
    "no messages": (body(), 400, "at least one message"),
    "unknown model": (body(USER, model="claude-9"), 404, "claude-9"),
    "length of nothing": (body(USER, max_tokens=0), 400, "max_tokens"),
    "unknown role": (body({"role": "tool", "content": "x"}), 400, "Unexpected role"),
    "empty content": (body({"role": "user", "content": ""}), 400, "non-empty"),
    "empty block": (
        body({"role": "user", "content": [{"type": "text", "text": ""}]}),
        400,
        "non-empty",
    ),
    "begun reply": (body(USER, BOT), 400, "prefill"),
    "trailing space": (
        body(USER, {**BOT, "content": "Good "}, model="claude-haiku-4-5"),
        400,
        "trailing whitespace",
    ),
    "instruction for an old model": (
        body(USER, SYSTEM, model="claude-haiku-4-5"),
        400,
        "'system' is not supported",
    ),
    "instruction after the bot": (body(USER, BOT, SYSTEM), 400, "follow a user message"),
    "temperature": (body(USER, temperature=0.5), 400, "temperature"),
}


@pytest.mark.parametrize(("sent", "status", "says"), MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request_is_refused(vendor, http, sent, status, says):
    url = f"{vendor.environ['ANTHROPIC_BASE_URL']}/v1/messages"
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    data = sent if isinstance(sent, str) else json.dumps(sent)
    async with http.post(url, data=data, headers=headers) as answer:
        assert answer.status == status
        told = await answer.json()
    assert told["type"] == "error"
    assert says in told["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer k", "anthropic-version": "2023-06-01"}, 401),
        ({"x-api-key": "k"}, 400),
    ],
)
async def test_a_stranger_is_refused(vendor, http: aiohttp.ClientSession, headers, status):
    url = f"{vendor.environ['ANTHROPIC_BASE_URL']}/v1/messages"
    async with http.post(url, json=body(USER), headers=headers) as answer:
        assert answer.status == status


async def test_an_instruction_after_the_question_is_taken_by_the_wire(sdk):
    message = await sdk.messages.create(
        model=MODEL, max_tokens=9, messages=[*QUESTION, {**GO_ON, "role": "system"}]
    )
    assert message.content[0].text == REST


async def test_a_reply_ends_once(vendor):
    llm = registry.build_llm("anthropic", vendor.resources)
    async with asked(llm) as run:
        await run.line.sink.wait_for(LLMFullResponseEndFrame)
    assert len(run.line.sink.of(LLMFullResponseEndFrame)) == 1
