"""An agent as one session wants it: other providers, another language, another voice.

`varied` plans such an agent out of the loaded one and what is wished; nothing is connected. Whose
keys may be used is said by the `KeySource`s, in the order of trying. Next: `changing.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Protocol

from telebot.agent_settings import AgentSpeech
from telebot.call.errors import ProviderConfigError
from telebot.providers import registry
from telebot.providers.registry import Kind, Spec
from telebot.providers.resources import Resources
from telebot.speech.agents import USUAL, Agent
from telebot.speech.chains import DIALOG, Plan, plan_of, prompted
from telebot.speech.whom import UNKNOWN, PassedOver, Prices, Whom, ordered, why_not

PROMPT = "You are talking with somebody by voice. Answer in one or two short sentences."
ANYBODY = Whom()
SPEAKS_ENGLISH = frozenset({*registry.OURS, DIALOG})  # and nothing else


class KeySource(Protocol):
    """One way to build providers: by the house's keys, or by one of the session's owner."""

    @property
    def resources(self) -> Resources: ...

    @property
    def own(self) -> bool:
        """It is the owner's, who pays the provider."""
        ...

    @property
    def permit(self) -> Permit:
        """What the owner may use at all."""
        ...

    def opens(self, provider: str, model: str) -> bool:
        """Whether it is for that model."""
        ...


class Permit(Protocol):
    """What an owner may use."""

    @property
    def monthly_budget(self) -> float | None:
        """Which holds only where it is known what things cost."""
        ...

    def opens(self, provider: str, model: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a session wants; empty is what the agent has. `named` is by kind: a provider, a model of
    one, or a model's bare name. `language` is a BCP 47 tag; `voice` is that of the first voice."""

    named: Mapping[Kind, str]
    whom: Whom = ANYBODY
    whom_of: Mapping[Kind, Whom] = field(default_factory=dict)  # where it differs by kind
    language: str = ""
    voice: str = ""
    voices: Mapping[str, str] = field(default_factory=dict)  # the usual ones at each provider
    instructions: str = ""

    def of(self, kind: Kind) -> Whom:
        """Who may do one kind of work."""
        return self.whom_of.get(kind, self.whom)

    @property
    def english(self) -> bool:
        """What needs no provider can do it."""
        return self.language.partition("-")[0].lower() in ("", "en")


@dataclass(frozen=True, slots=True)
class Market:
    """Where links come from: whose keys there are, and what things cost. `passed_over` are those
    that did not come into question when somebody was last planned."""

    sources: Sequence[KeySource]
    prices: Prices
    passed_over: list[PassedOver] = field(default_factory=list)

    def pass_over(self, kind: Kind, name: str, why: str) -> None:
        """Once each."""
        if (one := PassedOver(kind, name, why)) not in self.passed_over:
            self.passed_over.append(one)


def load_files(wishes: Wishes) -> None:
    """Load what the wished providers are made of: a vendor's package may take a second, in which no
    call could be served. For a thread."""
    of = (wishes.whom, *wishes.whom_of.values())
    names = {*wishes.named.values(), *(name for whom in of for name in whom.names)}
    wanted = {name.partition("/")[0] for name in names}
    for kind in registry.PROVIDERS:
        usual = registry.DEFAULTS.get(kind, ())
        for name in registry.PROVIDERS[kind]:
            if name in wanted or name in usual:
                registry.load_file(kind, name)


def varied(agent: Agent, wishes: Wishes, market: Market) -> Agent:
    """`agent` with what is wished. Raises ProviderConfigError, which says what cannot be done."""
    market.passed_over.clear()
    named = any(kind in wishes.named for kind in USUAL)
    kinds: Iterable[Kind] = ("realtime", *USUAL) if agent.plans["realtime"] else USUAL
    planned: dict[Kind, tuple[Plan, ...]] = {"realtime": ()}
    for kind in kinds:
        if kind == "realtime" and named:
            continue  # somebody else is to hear, think or speak
        planned[kind] = _planned(kind, agent, wishes, market)
    return replace(agent, plans=planned, reuse=None)


def realtime_plans(agent: Agent, wishes: Wishes, market: Market) -> tuple[Plan, ...]:
    """Who could be the whole of a session, in the order of trying. Raises as `varied`."""
    market.passed_over.clear()
    return _planned("realtime", agent, wishes, market)


def _planned(kind: Kind, agent: Agent, wishes: Wishes, market: Market) -> tuple[Plan, ...]:
    faults: list[str] = []
    usual = registry.DEFAULTS.get(kind) or tuple(registry.PROVIDERS[kind])
    whom = wishes.of(kind)
    for specs in (_specs(kind, agent, wishes), iter(usual)):
        found = _links(kind, specs, agent, wishes, market=market, faults=faults)
        if fit := [plan for plan in found if _may(plan, whom, market)]:
            break
    else:
        faults += [f"{one.provider}: {one.why}" for one in market.passed_over if one.kind == kind]
        why = f": {faults[0]}" if faults else ""
        raise ProviderConfigError(f"nobody is left for {kind}{why}")
    stay = {found[0].name} if wishes.named.get(kind) else set()
    first = list(takewhile(lambda plan: plan.name in stay or _put(plan, whom), fit))
    fit = ordered(fit, len(first), whom, market.prices, agent.chains)
    if not whom.allow_fallbacks:
        for plan in fit[1:]:
            market.pass_over(kind, plan.name, "allow_fallbacks")
    return tuple(fit if whom.allow_fallbacks else fit[:1])


def _put(plan: Plan, whom: Whom) -> bool:
    """Whether somebody stands where the wish has put them."""
    return bool({plan.name.partition("/")[0], plan.name} & set(whom.order))


def _links(
    kind: Kind,
    specs: Iterator[Spec],
    agent: Agent,
    wishes: Wishes,
    *,
    market: Market,
    faults: list[str],
) -> list[Plan]:
    """Each service by each key, once. Raises where the one that is named is not there."""
    found: dict[tuple[str, str], Plan] = {}
    named = wishes.named.get(kind)
    for spec in specs:
        for plan in _by_keys(kind, spec, agent, wishes, market=market, faults=faults):
            found.setdefault((plan.name, plan.account), plan)
        if named and not found:
            raise ProviderConfigError(faults[0] if faults else f"no key for {named!r}")
    return list(found.values())


def _specs(kind: Kind, agent: Agent, wishes: Wishes) -> Iterator[Spec]:
    """Each that could do it, the first one first: named, in the wished order, the agent's own. The
    voice is that of the first."""
    voice = wishes.voice if kind in ("tts", "realtime") else ""
    for spec in _all_specs(kind, agent, wishes):
        if voice:
            yield {**_mapping(spec), "voice": voice}
        yield spec  # who takes no voice
        voice = ""


def _all_specs(kind: Kind, agent: Agent, wishes: Wishes) -> Iterator[Spec]:
    if name := wishes.named.get(kind):
        yield _spec(kind, name, agent)
    for name in wishes.of(kind).names:
        try:
            yield _spec(kind, name, agent)
        except ProviderConfigError:
            continue  # of another kind
    yield from (plan.spec for plan in agent.plans[kind])


def _spec(kind: Kind, name: str, agent: Agent) -> dict[str, Any]:
    """The service of a name, as an agent's file would have it. Raises ProviderConfigError."""
    provider, _, model = name.partition("/")
    known = {*registry.PROVIDERS[kind], DIALOG} if kind == "llm" else {*registry.PROVIDERS[kind]}
    if provider in known:
        return {"service": provider, "model": model} if model else {"service": provider}
    for vendor, entry in agent.chains.resources.catalogue.vendors.items():
        if name in entry.models and entry.models[name].kind == kind:
            for served in (vendor, *entry.served_as):
                if served in known:
                    return {"service": served, "model": name}
    raise ProviderConfigError(f"nobody called {name!r} does {kind}")


def _by_keys(
    kind: Kind,
    spec: Spec,
    agent: Agent,
    wishes: Wishes,
    *,
    market: Market,
    faults: list[str],
) -> Iterator[Plan]:
    """The links of a service, by every key that there is for it."""
    service = str(_mapping(spec)["service"])

    def not_by(name: str, why: str) -> None:
        faults.append(why)
        market.pass_over(kind, name, why)

    if service in SPEAKS_ENGLISH and not wishes.english:
        not_by(service, f"{service} speaks no {wishes.language}")
        return
    if service in (DIALOG, "local") and kind == "llm" and wishes.instructions:
        not_by(service, "the built-in dialog takes no instructions")
        return
    wished = _as_wished(kind, spec, agent.settings.speech, wishes)
    for source in market.sources:
        try:
            plan = plan_of(kind, wished, source.resources)
        except ProviderConfigError as error:
            not_by(service, str(error))
            continue
        provider, _, model = plan.name.partition("/")
        if plan.name != DIALOG and not source.permit.opens(provider, model):
            not_by(plan.name, f"this API key may not use {plan.name}")
        elif _unpriced(source, plan, market):
            why = f"this API key has a budget, and the price of {plan.name} is not known"
            not_by(plan.name, why)
        elif source.opens(provider, model):
            yield replace(plan, resources=source.resources, own_key=source.own)


def _unpriced(source: KeySource, plan: Plan, market: Market) -> bool:
    """Whether a budget could not hold, as nobody knows what somebody costs."""
    if source.own or plan.ours or source.permit.monthly_budget is None:
        return False
    return market.prices.of_minute(plan.kind, plan.name) == UNKNOWN


def _as_wished(kind: Kind, spec: Spec, speech: AgentSpeech, wishes: Wishes) -> Spec:
    """With the language, the usual voice, the settings and the instructions that are wished."""
    told = _mapping(spec)
    service = str(told["service"])
    if service in SPEAKS_ENGLISH:
        return spec
    if kind == "tts" and service in wishes.voices and told.get("voice") != wishes.voice:
        told["voice"] = wishes.voices[service]
    if own := wishes.of(kind).options.get(service):
        told["settings"] = {**(told.get("settings") or {}), **own}
    if kind in ("stt", "tts"):
        if wishes.language:
            return {**told, "language": wishes.language}
        return spec if told == _mapping(spec) else told
    settings = dict(told.get("settings") or {})
    prompt = wishes.instructions or settings.get("system_instruction") or speech.prompt or PROMPT
    if wishes.language:
        prompt = f"{prompt}\nSpeak the language whose BCP 47 tag is {wishes.language}."
    settings.pop("system_instruction", None)
    bare = {name: value for name, value in told.items() if name != "settings"}
    return prompted(kind, {**bare, "settings": settings} if settings else bare, prompt)


def _may(plan: Plan, whom: Whom, market: Market) -> bool:
    if why := why_not(plan, whom, market.prices):
        market.pass_over(plan.kind, plan.name, why)
    return not why


def _mapping(spec: Spec) -> dict[str, Any]:
    return {"service": spec} if isinstance(spec, str) else dict(spec)
