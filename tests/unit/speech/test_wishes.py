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
        return {"openai": 1.0, "deepgram": 2.0}.get(name.partition("/")[0], 3.0)


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
    whole = replace(Wishes(wishes.pop("named", {})), **wishes)
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
    one = await wished(*VENDORS, order=("deepgram", "openai"), sort="price")
    assert [name.partition("/")[0] for name in names(one, "stt")][:2] == ["openai", "deepgram"]
    one = await wished(*VENDORS, order=("openai",), ours_only=True)
    assert names(one, "stt") == ["local"]


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
