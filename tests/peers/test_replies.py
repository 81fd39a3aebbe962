"""Language models for work that is no call, at every vendor: one contract against their simulated
wires."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest
from service_line import CANARY
from simulated import simulated

from telebot.call.errors import ProviderConfigError
from telebot.providers import registry
from telebot.providers.clips import ClipFailed, Use
from telebot.providers.failure import Cause
from telebot.providers.replies import Finished, Message, Question, tokens
from telebot.simulate.registry import variables

pytestmark = pytest.mark.peers

REPLYING = sorted(registry.REPLIERS)
CAUSES = {401: Cause.REFUSED, 429: Cause.RATE_LIMIT, 500: Cause.SERVER}
SIMULATED_AS = {"openai-compatible": "openai"}  # one that speaks the other's wire
MODELS = {"openai-compatible": {"model": "gpt-4.1"}}  # of those that have no usual one
QUESTION = Question(
    (
        Message("system", "You answer for a restaurant."),
        Message("user", "Hello."),
        Message("assistant", "Good evening."),
        Message("user", "Where can I park?"),
    )
)
SCHEMA = {
    "type": "object",
    "properties": {
        "intent": {"type": "string", "enum": ["parking", "booking"]},
        "people": {"type": ["integer", "null"]},
        "place": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
    "required": ["intent", "people"],
}


def wire(name: str) -> str:
    return SIMULATED_AS.get(name, name)


def replier(vendor, name, model: str | None = None, **environ):
    known = {**vendor.environ, **environ}
    known["OPENAI_COMPATIBLE_BASE_URL"] = known["OPENAI_BASE_URL"]
    known.setdefault("OPENAI_COMPATIBLE_API_KEY", known["OPENAI_API_KEY"])
    vendor.resources.environ = known
    options = {"model": model} if model else MODELS.get(name, {})
    return registry.build_replier(name, options, vendor.resources)


async def answer(replies, question: Question = QUESTION) -> tuple[str, Finished]:
    pieces = [piece async for piece in replies.reply(question)]
    assert isinstance(pieces[-1], Finished)
    return "".join(pieces[:-1]), pieces[-1]


async def failure(work) -> ClipFailed:
    with pytest.raises(ClipFailed) as raised:
        async with asyncio.timeout(60):
            await work
    assert CANARY not in f"{raised.value!r} {raised.value} {raised.value.__cause__!r}"
    return raised.value


@pytest.mark.parametrize("name", REPLYING)
async def test_a_question_is_answered_as_words_come(speech, name):
    async with simulated(speech, [wire(name)]) as vendor:
        replies = replier(vendor, name)
        pieces = [piece async for piece in replies.reply(QUESTION)]
        assert len(pieces) > 5
        text = "".join(pieces[:-1])
        assert text.startswith("There is a free car park behind the building.")
        counted = {use.unit: use.quantity for use in pieces[-1].uses}
        assert counted["tokens_in"] > 5
        assert counted["tokens_out"] == len(text.split())
        assert not pieces[-1].cut


@pytest.mark.parametrize("name", REPLYING)
async def test_an_answer_follows_its_schema(speech, name):
    async with simulated(speech, [wire(name)]) as vendor:
        replies = replier(vendor, name)
        assert "schema" in replies.abilities
        text, _ = await answer(replies, Question(QUESTION.messages, schema=SCHEMA))
        assert json.loads(text)["intent"] == "parking"
        closed = {**SCHEMA, "additionalProperties": False, "required": list(SCHEMA["properties"])}
        text, _ = await answer(replies, Question(QUESTION.messages, schema=closed))
        assert set(json.loads(text)) == set(SCHEMA["properties"])


@pytest.mark.parametrize("name", REPLYING)
async def test_temperature_and_length_are_asked_for(speech, name):
    async with simulated(speech, [wire(name)]) as vendor:
        question = Question(QUESTION.messages, most_tokens=4, temperature=0.2)
        text, end = await answer(replier(vendor, name), question)
        assert text
        if wire(name) in ("openai", "groq"):
            assert (len(text.split()), end.cut) == (4, True)


@pytest.mark.parametrize("name", REPLYING)
@pytest.mark.parametrize("status", CAUSES)
async def test_a_model_that_refuses_is_told_from_one_that_fails(speech, name, status):
    async with simulated(speech, [wire(name)]) as vendor:
        for point in ("connect", "middle"):
            vendor.fault(f"{wire(name)}.llm={status}@{point}")
            error = await failure(answer(replier(vendor, name)))
            assert error.failure.cause is CAUSES[status], point


@pytest.mark.parametrize("name", REPLYING)
@pytest.mark.parametrize("fault", ["drop@first", "drop@middle", "garbage@middle", "drop@connect"])
async def test_a_reply_that_breaks_off_says_so(speech, name, fault):
    async with simulated(speech, [wire(name)]) as vendor:
        vendor.fault(f"{wire(name)}.llm={fault}")
        await failure(answer(replier(vendor, name)))
        vendor.fault()
        assert (await answer(replier(vendor, name)))[0]


@pytest.mark.parametrize("name", REPLYING)
@pytest.mark.parametrize("by", ["closing", "cancelling"])
async def test_a_reply_that_nobody_reads_any_more_ends_at_the_vendor(speech, name, by):
    async with simulated(speech, [wire(name)]) as vendor:
        vendor.sim.answers.answer = lambda _: "word " * 300_000
        ended = asyncio.Event()
        sent, begin = 0, vendor.sim.exchange

        def exchange(*named):
            found = begin(*named)
            outputs = found.outputs

            async def counted(items):
                nonlocal sent
                try:
                    async for item in outputs(items):
                        sent += 1
                        yield item
                finally:
                    ended.set()

            found.outputs = counted
            return found

        vendor.sim.exchange = exchange
        read = asyncio.Event()

        async def reading():
            async with aclosing(replier(vendor, name).reply(QUESTION)) as pieces:
                async for _ in pieces:
                    read.set()
                    if by == "closing":
                        break

        task = asyncio.create_task(reading())
        await read.wait()
        if by == "cancelling":
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(20):
            await ended.wait()
        assert sent < 300_000


@pytest.mark.parametrize("name", REPLYING)
async def test_no_key_is_told(speech, name):
    async with simulated(speech, [wire(name)]) as vendor:
        needed = variables(wire(name), vendor.url)
        wrong = {known: CANARY for known in needed if "KEY" in known}
        error = await failure(answer(replier(vendor, name, **wrong)))
        assert error.failure.cause is Cause.REFUSED


@pytest.mark.parametrize("name", REPLYING)
async def test_a_stored_key_is_the_one_that_is_used(speech, name):
    async with simulated(speech, [wire(name)]) as vendor:
        replier(vendor, name)
        theirs = vendor.resources.with_key(name, CANARY)
        replies = registry.build_replier(name, MODELS.get(name, {}), theirs)
        assert (await failure(answer(replies))).failure.cause is Cause.REFUSED
        assert registry.account("llm", {"service": name}, theirs).startswith(CANARY)


@pytest.mark.parametrize("name", REPLYING)
async def test_a_model_that_is_not_there_is_a_bad_request(speech, name):
    async with simulated(speech, [wire(name)]) as vendor:
        error = await failure(answer(replier(vendor, name, model="no-such-model")))
        assert error.failure.cause is Cause.BAD_REQUEST


async def test_cached_tokens_are_counted_by_themselves():
    assert tokens(10, 3, 4) == (
        Use(6.0, "tokens_in"), Use(4.0, "cached_tokens_in"), Use(3.0, "tokens_out"),
    )  # fmt: skip


async def test_a_server_needs_an_address_and_a_model(speech):
    async with simulated(speech, []) as vendor:
        with pytest.raises(ProviderConfigError, match="address"):
            registry.build_replier("openai-compatible", {"model": "x"}, vendor.resources)
