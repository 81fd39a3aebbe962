"""Language models behind `/v1/voice`: whom a question goes to, what follows a failure, what is
written down."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from decimal import Decimal

import pytest
from voice_server import voice_server

from telebot.call.errors import ApiError
from telebot.providers.replies import Message, Question
from telebot.voice import replying
from telebot.voice.preferences import Preferences
from telebot.voice.replying import Asked

pytestmark = pytest.mark.peers

QUESTION = Question((Message("user", "Where can I park?"),))
ANSWER = "There is a free car park behind the building."


def asked(model: str | None = None, question: Question = QUESTION, **prefers) -> Asked:
    return Asked.of(question, model, Preferences.model_validate(prefers))


async def test_a_reply_is_counted_and_billed_to_the_billionth(speech):
    async with voice_server(speech, "openai") as server:
        replied = await replying.whole(server.voice, "me", asked("gpt-6-luna"))
        assert replied.text.startswith(ANSWER)
        (done,) = server.done
        assert (done.work, done.provider, done.key_id) == ("llm", "openai/gpt-6-luna", "me")
        counted = {use.unit: Decimal(str(use.quantity)) for use in done.uses}
        cost = (counted["tokens_in"] * 1 + counted["tokens_out"] * 5) / 10 / Decimal(10**6)
        assert done.cost.amount == cost
        assert done.first_ms is not None
        assert done.values()["tokens_out"] == len(replied.text.split())


async def test_the_usual_ones_are_asked_in_their_order_until_one_answers(speech):
    async with voice_server(speech, "openai", "anthropic", "gemini") as server:
        server.vendors.fault("openai.llm=500@connect", "anthropic.llm=429@connect")
        replied = await replying.whole(server.voice, "me", asked())
        assert replied.done.provider == "gemini/gemini-3.5-flash-lite"
        causes = [made.cause for made in replied.done.attempts]
        assert causes == ["server", "rate_limit", None]


async def test_one_that_breaks_off_is_followed_by_the_next_where_the_reply_is_wanted_whole(speech):
    async with voice_server(speech, "openai", "anthropic") as server:
        server.vendors.fault("openai.llm=drop@middle")
        replied = await replying.whole(server.voice, "me", asked())
        assert replied.text.startswith(ANSWER)
        assert replied.done.provider == "anthropic/claude-haiku-5-5"
        assert [made.cause for made in replied.done.attempts] == ["unreachable", None]
        assert len(server.done) == 1


async def test_words_that_were_passed_on_cannot_be_taken_back(speech):
    async with voice_server(speech, "openai", "anthropic") as server:
        server.vendors.fault("openai.llm=drop@middle")
        reply = await replying.begun(server.voice, "me", asked())
        async with aclosing(reply):
            with pytest.raises(ApiError) as raised:
                async for _ in reply.pieces:
                    pass
        assert (raised.value.status, raised.value.code) == (502, "all_providers_failed")
        assert reply.text.startswith("There is")
        (done,) = server.done
        assert (done.error, done.provider) == ("all_providers_failed", "openai/gpt-6-luna")
        assert done.values()["tokens_out"] > 0  # what was said is paid


async def test_a_reply_that_is_closed_early_is_written_down_as_cancelled(speech):
    async with voice_server(speech, "openai") as server:
        server.vendors.fault("openai.llm=stall@end")
        reply = await replying.begun(server.voice, "me", asked())
        async with aclosing(reply):
            await anext(reply.pieces)
        assert [(done.error, done.work) for done in server.done] == [("cancelled", "llm")]


async def test_who_goes_away_before_the_first_word_is_written_down(speech):
    async with voice_server(speech, "openai") as server:
        server.vendors.fault("openai.llm=stall@first")
        task = asyncio.create_task(replying.whole(server.voice, "me", asked()))
        await server.vendors.until(lambda: ("openai", "llm") in server.vendors.sim.requests)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [done.error for done in server.done] == ["cancelled"]


@pytest.mark.parametrize(
    ("prefers", "provider"),
    [
        ({}, "openai/gpt-6-luna"),
        ({"ignore": ["openai"]}, "anthropic/claude-haiku-5-5"),
        ({"order": ["gemini"]}, "gemini/gemini-3.5-flash-lite"),
        ({"sort": "price", "ignore": ["openai"]}, "anthropic/claude-haiku-5-5"),
        ({"max_price": {"million_output_tokens": 0.4}, "order": ["gemini"]}, None),
        ({"max_price": {"million_input_tokens": 0.2}, "order": ["gemini"]}, "openai/gpt-6-luna"),
        ({"data_collection": "deny"}, None),
    ],
)
async def test_preferences_choose_the_model(speech, prefers, provider):
    async with voice_server(speech, "openai", "anthropic", "gemini") as server:
        if provider is None:
            with pytest.raises(ApiError, match="No provider is left"):
                await replying.whole(server.voice, "me", asked(**prefers))
        else:
            replied = await replying.whole(server.voice, "me", asked(**prefers))
            assert replied.done.provider == provider


async def test_only_those_that_take_a_temperature_where_it_must_be_heard(speech):
    async with voice_server(speech, "openai", "anthropic") as server:
        warm = Question(QUESTION.messages, temperature=0.2)
        prefers = {"order": ["anthropic"], "require_parameters": True}
        replied = await replying.whole(server.voice, "me", asked(question=warm, **prefers))
        assert replied.done.provider == "openai/gpt-6-luna"


async def test_this_machine_answers_for_an_agent_alone(speech):
    async with voice_server(speech) as server:
        with pytest.raises(ApiError, match="for an agent alone"):
            await replying.whole(server.voice, "me", asked("local"))


async def test_no_option_changes_what_is_asked_or_what_it_costs(speech):
    for name in ("messages", "tools", "service_tier", "max_tokens", "http_options", "n"):
        with pytest.raises(ValueError, match="is not an option"):
            Preferences.model_validate({"options": {"openai": {name: 1}}})
    async with voice_server(speech, "openai", "gemini") as server:
        options = {"openai": {"top_p": 0.5}, "gemini": {"topP": 0.5}}
        for name in options:
            replied = await replying.whole(server.voice, "me", asked(name, options=options))
            assert replied.text.startswith(ANSWER)


async def test_a_server_of_ones_own_answers_too(speech):
    async with voice_server(speech, "openai") as vendors:
        url = vendors.vendors.environ["OPENAI_BASE_URL"]
        mine = {"base_url": url, "api_key_env": "OPENAI_API_KEY", "chat": "gpt-4.1"}
        async with voice_server(
            speech, environ=vendors.vendors.environ, servers={"mine": mine}
        ) as server:
            replied = await replying.whole(server.voice, "me", asked("mine"))
            assert replied.done.provider == "mine/gpt-4.1"
            assert replied.text.startswith(ANSWER)
            assert replied.done.cost.amount is None


async def test_models_and_providers_tell_who_answers(speech):
    async with voice_server(speech, "openai") as server:
        _, models = await server.get("/v1/voice/models?kind=llm&provider=openai-llm")
        assert "openai/gpt-6-luna" in [row["id"] for row in models["data"]]
        _, rows = await server.get("/v1/voice/providers?kind=llm")
        serving = {row["id"] for row in rows["data"] if "llm" in row["serves"]}
        assert {"local", "openai-llm", "anthropic", "gemini", "groq-llm"} <= serving
        (row,) = [row for row in rows["data"] if row["id"] == "openai-llm"]
        assert (row["available"], row["health"][0]["kind"]) == (True, "llm")
        assert row["abilities"] == {"llm": ["schema", "temperature"]}


ACME = """
from telebot.providers.replies import Finished

class Acme:
    model, abilities = "one", frozenset()
    async def reply(self, question):
        yield f"acme read {question.messages[-1].text}"
        yield Finished(None)

def build(options, resources):
    return Acme()
"""


async def test_a_package_of_the_users_own_answers(speech, installed):
    installed("acme_replies", ACME, "[telebot.repliers]\nacme = acme_replies:build\n")
    async with voice_server(speech) as server:
        replied = await replying.whole(server.voice, "me", asked("acme"))
        assert (replied.text, replied.done.provider) == ("acme read Where can I park?", "acme/one")
        assert replied.done.values()["tokens_out"] > 0  # an estimate: it does not say


@pytest.mark.parametrize(
    "wrong", ["raise OSError(5, 'away')", "return", "yield 'half of it'; return"]
)
async def test_a_package_that_fails_is_followed_by_the_next(speech, installed, wrong):
    source = ACME.replace('yield f"acme', f'{wrong}\n        yield f"acme')
    installed("failing_replies", source, "[telebot.repliers]\nfailing = failing_replies:build\n")
    async with voice_server(speech, "openai") as server:
        replied = await replying.whole(server.voice, "me", asked(order=["failing", "openai"]))
        assert replied.done.provider == "openai/gpt-6-luna"
        assert replied.done.attempts[0].cause is not None
