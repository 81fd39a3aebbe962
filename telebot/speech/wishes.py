"""An agent as one session wants it: other providers, another language, another voice.

`varied` plans such an agent out of the loaded one and what is wished; nothing is connected. Whose
keys may be used is said by the `KeySource`s, in the order of trying. Next: `changing.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from telebot.agent_settings import AgentSpeech
from telebot.call.errors import ProviderConfigError
from telebot.providers import registry
from telebot.providers.registry import Kind, Spec
from telebot.providers.resources import Resources
from telebot.speech.agents import USUAL, Agent
from telebot.speech.chains import DIALOG, Plan, plan_of, prompted

UNKNOWN = float("inf")
PROMPT = "You are talking with somebody by voice. Answer in one or two short sentences."
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

    def opens(self, provider: str, model: str) -> bool: ...


class Prices(Protocol):
    """What a minute costs (`budget.Prices`)."""

    def of_minute(self, kind: str, name: str) -> float: ...


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a session wants; empty is what the agent has. `named` is by kind: a provider, a model of
    one, or a model's bare name. `language` is a BCP 47 tag."""

    named: Mapping[Kind, str]
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    ours_only: bool = False
    sort: str = ""
    language: str = ""
    voice: str = ""
    instructions: str = ""

    @property
    def english(self) -> bool:
        """What needs no provider can do it."""
        return self.language.partition("-")[0].lower() in ("", "en")


@dataclass(frozen=True, slots=True)
class Market:
    """Where links come from: whose keys there are, and what a minute costs and takes."""

    sources: Sequence[KeySource]
    prices: Prices


def load_files(wishes: Wishes) -> None:
    """Load what the wished providers are made of: a vendor's package may take a second, in which no
    call could be served. For a thread."""
    names = {*wishes.named.values(), *wishes.order, *wishes.only}
    wanted = {name.partition("/")[0] for name in names}
    for kind in registry.PROVIDERS:
        usual = registry.DEFAULTS.get(kind, ())
        for name in registry.PROVIDERS[kind]:
            if name in wanted or name in usual:
                registry.load_file(kind, name)


def varied(agent: Agent, wishes: Wishes, market: Market) -> Agent:
    """`agent` with what is wished. Raises ProviderConfigError, which says what cannot be done."""
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
    return _planned("realtime", agent, wishes, market)


def _planned(kind: Kind, agent: Agent, wishes: Wishes, market: Market) -> tuple[Plan, ...]:
    faults: list[str] = []
    usual = registry.DEFAULTS.get(kind) or tuple(registry.PROVIDERS[kind])
    for specs in (_specs(kind, agent, wishes), iter(usual)):
        found = _links(kind, specs, agent, wishes, market=market, faults=faults)
        if fit := [plan for plan in found if _may(plan, wishes)]:
            break
    else:
        why = f": {faults[0]}" if faults else ""
        raise ProviderConfigError(f"nobody is left for {kind}{why}")
    if wishes.sort:
        first = fit[:1] if kind in wishes.named else []
        rest = sorted(fit[len(first) :], key=lambda plan: _rank(plan, agent, market, wishes))
        fit = [*first, *rest]
    return tuple(fit if wishes.allow_fallbacks else fit[:1])


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
    """Each that could do it, the first one first: named, in the wished order, the agent's own."""
    own = [plan.spec for plan in agent.plans[kind]]
    if name := wishes.named.get(kind):
        spec = _spec(kind, name, agent)
        yield {**spec, "voice": wishes.voice} if wishes.voice and kind != "stt" else spec
    elif wishes.voice and kind in ("tts", "realtime") and own:
        yield {**_mapping(own[0]), "voice": wishes.voice}
    for name in (*wishes.order, *wishes.only):
        try:
            yield _spec(kind, name, agent)
        except ProviderConfigError:
            continue  # of another kind
    yield from own


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
    if service in SPEAKS_ENGLISH and not wishes.english:
        faults.append(f"{service} speaks no {wishes.language}")
        return
    if service in (DIALOG, "local") and kind == "llm" and wishes.instructions:
        faults.append("the built-in dialog takes no instructions")
        return
    wished = _as_wished(kind, spec, agent.settings.speech, wishes)
    for source in market.sources:
        try:
            plan = plan_of(kind, wished, source.resources)
        except ProviderConfigError as error:
            faults.append(str(error))
            continue
        provider, _, model = plan.name.partition("/")
        if plan.name != DIALOG and not source.permit.opens(provider, model):
            faults.append(f"this API key may not use {plan.name}")
        elif source.opens(provider, model):
            yield replace(plan, resources=source.resources, own_key=source.own)


def _as_wished(kind: Kind, spec: Spec, speech: AgentSpeech, wishes: Wishes) -> Spec:
    """With the language and the instructions that are wished."""
    told = _mapping(spec)
    if told["service"] in SPEAKS_ENGLISH:
        return spec
    if kind in ("stt", "tts"):
        return {**told, "language": wishes.language} if wishes.language else spec
    own = dict(told.get("settings") or {})
    prompt = wishes.instructions or own.get("system_instruction") or speech.prompt or PROMPT
    if wishes.language:
        prompt = f"{prompt}\nSpeak the language whose BCP 47 tag is {wishes.language}."
    own.pop("system_instruction", None)
    bare = {**told, "settings": own} if own else {k: v for k, v in told.items() if k != "settings"}
    return prompted(kind, bare, prompt)


def _may(plan: Plan, wishes: Wishes) -> bool:
    provider = plan.name.partition("/")[0]
    if wishes.ours_only and not plan.ours:
        return False
    if wishes.only and not {provider, plan.name} & set(wishes.only):
        return False
    return not {provider, plan.name} & set(wishes.ignore)


def _rank(plan: Plan, agent: Agent, market: Market, wishes: Wishes) -> float:
    if plan.ours and wishes.sort == "latency":
        return UNKNOWN
    if wishes.sort == "price":
        return market.prices.of_minute(plan.kind, plan.name)
    known = agent.chains.latency_s(plan)
    return UNKNOWN if known is None else known


def _mapping(spec: Spec) -> dict[str, Any]:
    return {"service": spec} if isinstance(spec, str) else dict(spec)
