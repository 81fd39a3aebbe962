"""An agent as one session wants it: whom its links come to, by whose keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from telebot.agent_settings import AgentSettings, AgentSpeech
from telebot.call.errors import ProviderConfigError
from telebot.dialog.brain import Brain
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources
from telebot.simulate.registry import variables
from telebot.speech.agents import Agent
from telebot.speech.chains import Chains, plans
from telebot.speech.whom import UNKNOWN, Whom
from telebot.speech.wishes import Market, Wishes, realtime_plans, varied
from telebot.voice.permits import ANY, Permit
from telebot.voice.routing import KeySource

pytestmark = pytest.mark.unit

VENDORS = ("deepgram", "openai", "elevenlabs")


MADE: list[Resources] = []


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    yield
    for each in MADE:
        await each.close()
    MADE.clear()


@dataclass
class Costs:
    """A minute costs so much, by provider."""

    def of_minute(self, kind: str, name: str) -> float:
        known = {"openai": 1.0, "deepgram": 2.0, "soniox": UNKNOWN}
        return known.get(name.partition("/")[0], 3.0)

    def of_one(self, kind: str, name: str, unit: str) -> float | None:
        minute = self.of_minute(kind, name)
        return None if minute == UNKNOWN else minute / 450


def resources(*vendors: str) -> Resources:
    environ: dict[str, str] = {}
    for vendor in vendors:
        environ |= variables(vendor, "http://127.0.0.1:1")
    MADE.append(Resources(cast("LocalSpeech", SimpleNamespace(stt=None, tts=None)), environ))
    return MADE[-1]


def agent(house: Resources, **speech: Any) -> Agent:
    given = AgentSpeech.model_validate({"stt": "local", "llm": "dialog", "tts": "local", **speech})
    settings = AgentSettings.model_construct(
        agent=SimpleNamespace(language="en", name="desk"), speech=given, path=Path()
    )
    planned = {
        kind: plans(kind, given, house, given.prompt) for kind in ("realtime", "stt", "llm", "tts")
    }
    brain = cast("Brain", SimpleNamespace())
    chains = Chains(house, lambda: 0.0)
    return Agent(settings, brain, {}, chains, cast("Any", planned), ZoneInfo("Europe/London"))


def vendor(name: str) -> str:
    return name.partition("/")[0]


def names(one: Agent, kind: str) -> list[str]:
    return [plan.name for plan in one.plans[cast("Any", kind)]]


async def wished(
    *vendors: str,
    speech: dict[str, Any] | None = None,
    sources: list[KeySource] | None = None,
    permit: Permit = ANY,
    **wishes: Any,
) -> Agent:
    house = resources(*vendors)
    market = Market(sources or [KeySource(house, permit=permit)], Costs())
    named = wishes.pop("named", {})
    of = {name: wishes.pop(name) for name in Whom.__dataclass_fields__ if name in wishes}
    whole = replace(Wishes(named, whom=Whom(**of)), **wishes)
    return varied(agent(house, **(speech or {})), whole, market)


async def test_who_is_named_goes_first_and_the_agents_own_stay_behind() -> None:
    one = await wished(*VENDORS, named={"stt": "deepgram/nova-3", "llm": "openai"})
    assert names(one, "stt") == ["deepgram/nova-3", "local"]
    assert names(one, "llm")[1:] == ["dialog"]
    assert names(one, "llm")[0].startswith("openai/")
    assert names(one, "tts") == ["local"]
    one = await wished(*VENDORS, named={"stt": "nova-3"}, allow_fallbacks=False)
    assert names(one, "stt") == ["deepgram/nova-3"], "a model's bare name"


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"stt": "nobody"}, "nobody called 'nobody' does stt"),
        ({"tts": "deepgram/nova-3"}, "deepgram"),
        ({"stt": "soniox"}, "SONIOX_API_KEY"),
    ],
)
async def test_who_is_named_must_be_there(named: dict[str, str], why: str) -> None:
    with pytest.raises(ProviderConfigError, match=why):
        await wished("openai", named=named)


async def test_another_language_leaves_out_what_speaks_english() -> None:
    one = await wished(*VENDORS, language="de-DE", speech={"llm": "openai", "prompt": "Hello."})
    for kind in ("stt", "tts"):
        assert "local" not in names(one, kind)
        assert all(cast("Any", p.spec)["language"] == "de-DE" for p in one.plans[cast("Any", kind)])
    said = cast("Any", one.plans["llm"][0].spec)["settings"]["system_instruction"]
    assert said.startswith("Hello.")
    assert "de-DE" in said
    with pytest.raises(ProviderConfigError, match="nobody is left for"):
        await wished(language="de-DE")
    assert names(await wished(language="en-GB"), "stt") == ["local"]


async def test_instructions_are_for_a_model() -> None:
    one = await wished("openai", instructions="Be a pirate.")
    assert names(one, "llm")[0].startswith("openai/")
    with pytest.raises(ProviderConfigError, match="takes no instructions"):
        await wished(instructions="Be a pirate.")


async def test_only_ignore_deny_and_sort() -> None:
    one = await wished(*VENDORS, order=("openai", "deepgram"), ignore=("local",))
    assert [name.partition("/")[0] for name in names(one, "stt")] == ["openai", "deepgram"]
    with pytest.raises(ProviderConfigError, match="nobody is left for llm"):
        await wished(*VENDORS, only=("deepgram", "local"))  # the dialog is none of these
    own = {"stt": ["deepgram", "openai", "local"]}
    one = await wished(*VENDORS, speech=own, sort="price")
    assert [vendor(name) for name in names(one, "stt")] == ["local", "openai", "deepgram"]
    one = await wished(*VENDORS, speech=own, order=("deepgram",), sort="price")
    assert vendor(names(one, "stt")[0]) == "deepgram", "who is named stays where they were put"
    one = await wished(*VENDORS, order=("openai",), ours_only=True)
    assert names(one, "stt") == ["local"]


async def test_each_is_passed_over_for_a_reason_that_is_told() -> None:
    own = {"stt": ["deepgram", "openai", "local"]}
    house = resources(*VENDORS)

    async def planned(permit: Permit = ANY, **of: Any) -> dict[str, str]:
        market = Market([KeySource(house, permit=permit)], Costs())
        one = varied(agent(house, **own), Wishes({}, whom_of={"stt": Whom(**of)}), market)
        passed = {vendor(each.provider): each.why for each in market.passed_over}
        assert not passed.keys() & {vendor(name) for name in names(one, "stt")}
        assert names(one, "llm") == ["dialog"], "each kind of work has its own"
        return passed

    assert await planned(only=("openai",)) == {"deepgram": "only", "local": "only"}
    assert await planned(ignore=("openai",)) == {"openai": "ignore"}
    assert (await planned(ours_only=True))["deepgram"] == "data_collection"
    assert await planned(most={"minute": 1.5}) == {"deepgram": "max_price: 2 a minute"}
    assert set(await planned(allow_fallbacks=False)) == {"openai", "local"}
    passed = await planned(Permit(("deepgram", "local")))
    assert "may not use" in passed["openai"]


async def test_what_a_character_may_cost() -> None:
    own = {"tts": ["elevenlabs", "openai", "local"]}
    most = {"characters": 2.0 / 450}
    one = await wished(*VENDORS, speech=own, most=most)
    assert [vendor(name) for name in names(one, "tts")] == ["openai", "local"]


async def test_with_a_budget_only_those_speak_whose_price_is_known() -> None:
    with pytest.raises(ProviderConfigError, match="has a budget, and the price of soniox"):
        await wished("soniox", named={"stt": "soniox"}, permit=Permit(monthly_budget=1.0))
    assert await wished("soniox", named={"stt": "soniox"})


async def test_who_is_measured_to_be_quick_goes_first() -> None:
    house, own = resources(*VENDORS), {"stt": ["deepgram", "openai", "local"]}
    market = Market([KeySource(house)], Costs())
    desk = agent(house, **own)
    for name, first_s, rate in (("deepgram", 0.9, 50.0), ("openai", 0.1, 10.0)):
        [plan] = [plan for plan in desk.plans["stt"] if vendor(plan.name) == name]
        breaker = desk.chains.breakers.of("stt", plan.name, plan.account)
        breaker.succeeded(first_s)
        breaker.worked(rate, 1.0)

    def first(**of: Any) -> str:
        return vendor(names(varied(desk, Wishes({}, whom=Whom(**of)), market), "stt")[0])

    assert first() == "deepgram"
    assert first(sort="latency") == "openai"
    assert first(sort="throughput") == "deepgram"
    assert first(slow_s=0.5) == "openai"
    assert first(sort="throughput", slow_s=0.5) == "openai"


async def test_settings_and_voices_go_to_the_provider_they_are_for() -> None:
    options = {"deepgram": {"keyterm": "telebot"}, "nobody": {"x": 1}}
    own = {"stt": "deepgram", "tts": ["elevenlabs", "openai"]}
    one = await wished(
        *VENDORS, speech=own, options=options, voices={"openai": "coral", "elevenlabs": "anna"}
    )
    assert cast("Any", one.plans["stt"][0].spec)["settings"] == {"keyterm": "telebot"}
    assert [cast("Any", plan.spec)["voice"] for plan in one.plans["tts"]] == ["anna", "coral"]
    one = await wished(*VENDORS, speech=own, voice="ben", voices={"elevenlabs": "anna"})
    assert cast("Any", one.plans["tts"][0].spec)["voice"] == "ben"
    with pytest.raises(ProviderConfigError, match="nope"):
        await wished("deepgram", named={"stt": "deepgram"}, options={"deepgram": {"nope": "x"}})


async def test_the_owners_key_goes_before_the_houses_and_is_known() -> None:
    house = resources("deepgram")
    own = KeySource(house.with_key("deepgram", "mine"), own=True, provider="deepgram")
    one = await wished("deepgram", named={"stt": "deepgram"}, sources=[own, KeySource(house)])
    assert [(p.name, p.own_key) for p in one.plans["stt"]] == [
        ("deepgram/nova-3", True),
        ("deepgram/nova-3", False),
        ("local", False),
    ]
    assert one.plans["stt"][0].resources is own.resources


async def test_a_key_may_use_what_it_is_allowed() -> None:
    with pytest.raises(ProviderConfigError, match="may not use deepgram"):
        await wished(*VENDORS, named={"stt": "deepgram"}, permit=Permit(("openai/*", "local")))
    one = await wished(*VENDORS, named={"stt": "openai"}, permit=Permit(("openai/*", "local")))
    assert names(one, "stt")[1:] == ["local"]


async def test_sessions_of_speech_to_speech() -> None:
    house = resources("openai", "gemini")
    market = Market([KeySource(house)], Costs())
    desk = agent(house)
    found = [plan.name for plan in realtime_plans(desk, Wishes({}), market)]
    assert [name.partition("/")[0] for name in found] == ["openai", "gemini"]
    named = Wishes({"realtime": "gemini"}, voice="Kore")
    first, *_ = realtime_plans(desk, named, market)
    assert first.name.startswith("gemini/")
    assert cast("Any", first.spec)["voice"] == "Kore"
    with pytest.raises(ProviderConfigError, match="nobody called 'deepgram' does realtime"):
        realtime_plans(desk, Wishes({"realtime": "deepgram"}), market)
