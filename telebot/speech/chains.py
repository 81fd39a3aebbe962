"""Which providers an agent uses, in which order, and the chains that a call makes of them.

`Plan`s are made once, when the agent is loaded; `Chains` is the process's: breakers and word clock.
A single provider of our own needs no chain and gets none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog
from pipecat.processors.frame_processor import FrameProcessor

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.call.ports import Clock
from telebot.providers import registry
from telebot.providers.breaker import Breaker, Breakers
from telebot.providers.chain import Chain, ChainListener
from telebot.providers.chain_llm import ChainLLM
from telebot.providers.chain_stt import ChainSTT
from telebot.providers.chain_tts import ChainTTS
from telebot.providers.failure import Cause, Failure
from telebot.providers.link import Link, Patience
from telebot.providers.pacing import Pacing
from telebot.providers.registry import Kind, Spec
from telebot.providers.resources import Resources
from telebot.providers.word_clock import WordClock
from telebot.settings import AgentSpeech, VendorLimits

DIALOG = "dialog"
LOCAL = "local"
log = structlog.get_logger()
OUR_BRAIN = frozenset({DIALOG, LOCAL})

PROBE_S = 6.0
# what a caller tolerates of a vendor, before the next one takes over
PATIENCE: dict[Kind, Patience] = {
    "stt": Patience(start_s=1.5, first_s=0.9, stall_s=2.0),
    "llm": Patience(start_s=1.0, first_s=0.9, stall_s=1.2),
    "tts": Patience(start_s=1.0, first_s=0.8, stall_s=0.4),
}
PATIENT = Patience(start_s=5.0, first_s=5.0, stall_s=5.0)  # with what runs here


@dataclass(frozen=True, slots=True)
class Plan:
    """One link of an agent: `name` as in the record; `ours` needs no network."""

    kind: Kind
    spec: Spec
    name: str
    patience: Patience
    account: str  # the key, for the breaker

    @property
    def ours(self) -> bool:
        return self.name in registry.OURS

    @property
    def alone(self) -> bool:
        """As the only one of its kind it needs no chain: ours, and any Pipecat service by its
        import string, which may be built in ways that a chain knows nothing of."""
        service = self.spec if isinstance(self.spec, str) else str(self.spec.get("service"))
        return self.ours or ":" in service


def plans(kind: Kind, speech: AgentSpeech, resources: Resources, prompt: str) -> tuple[Plan, ...]:
    """An agent's links of one kind. Raises ProviderConfigError."""
    wanted = getattr(speech, kind)
    if wanted is None:
        specs = _defaults(kind, speech, resources)
    elif isinstance(wanted, list):
        specs = [_prompted(kind, spec, prompt) for spec in wanted]
    else:
        specs = [_prompted(kind, wanted, prompt)]
    if not specs:
        raise ProviderConfigError(f"an empty list; write `{kind}: [local]`")
    return tuple(_plan(kind, spec, resources) for spec in specs)


def _defaults(kind: Kind, speech: AgentSpeech, resources: Resources) -> list[Spec]:
    """Those of the default chain that can be built: whose key is there."""
    if kind == "llm" and not speech.prompt:
        return [DIALOG]
    found: list[Spec] = []
    for name in registry.DEFAULTS[kind]:
        spec = _prompted(kind, name, speech.prompt)
        if name == LOCAL or registry.check(kind, spec, resources) is None:
            found.append(spec)
    return found


def _prompted(kind: Kind, spec: Spec, prompt: str) -> Spec:
    """A language model's spec with the agent's prompt as its system instruction."""
    service = spec if isinstance(spec, str) else str(spec.get("service"))
    if kind != "llm" or not prompt or service in registry.OURS:
        return spec
    whole: Mapping[str, Any] = {"service": spec} if isinstance(spec, str) else spec
    return {**whole, "settings": {"system_instruction": prompt, **(whole.get("settings") or {})}}


def _plan(kind: Kind, spec: Spec, resources: Resources) -> Plan:
    if kind == "llm" and isinstance(spec, str) and spec in OUR_BRAIN:
        return Plan(kind, DIALOG, DIALOG, PATIENT, "")
    bare, patience = _patience(kind, spec)
    fault = registry.check(kind, bare, resources)
    if fault:
        raise ProviderConfigError(fault)
    name = registry.name_of(kind, bare, resources)
    return Plan(
        kind,
        bare,
        name,
        PATIENT if name in registry.OURS else patience,
        registry.account(kind, bare, resources),
    )


def _patience(kind: Kind, spec: Spec) -> tuple[Spec, Patience]:
    """A spec without the deadlines that it names: ``{service: x, first_s: 1.5}``."""
    usual = PATIENCE[kind]
    if isinstance(spec, str):
        return spec, usual
    bare, times = dict(spec), {}
    for name in ("start_s", "first_s", "stall_s"):
        value = bare.pop(name, getattr(usual, name))
        if not isinstance(value, int | float) or not 0.05 <= value <= 60:
            raise ProviderConfigError(f"{name} is {value!r}; write seconds, 0.05 to 60")
        times[name] = float(value)
    return bare, Patience(**times)


async def probed(plan: Plan, resources: Resources) -> tuple[str, Plan, str]:
    """What the vendor itself says of a link: ("ok" | "warn" | "fault", link, why). A model that
    will be shut down is a warning, as is a vendor that cannot be asked now."""
    try:
        async with asyncio.timeout(PROBE_S):
            await registry.probe(plan.kind, plan.spec, resources)
        leaving = registry.warning(plan.kind, plan.spec, resources)
    except ProviderConfigError as error:
        return "fault", plan, str(error)
    except TimeoutError:
        return "warn", plan, "does not answer"
    except ProviderError as error:
        return "warn", plan, str(error)
    return ("warn" if leaving else "ok"), plan, leaving or ""


class Chains:
    """The process's part in all chains. `limits` are those of `pacing:` in the settings."""

    def __init__(
        self, resources: Resources, clock: Clock, limits: Mapping[str, VendorLimits] | None = None
    ) -> None:
        self.breakers = Breakers(clock)
        self.pacing = Pacing(limits or {}, clock)
        self._word_clock = WordClock(resources.local)
        self._resources = resources
        self._clock = clock

    async def check(self, planned: Sequence[Plan]) -> None:
        """Ask every vendor, at the start: one that refuses is left out before the first caller
        would find out, and said in the log."""
        asked = await asyncio.gather(*(probed(plan, self._resources) for plan in planned))
        for level, plan, why in asked:
            if level == "fault":
                self._breaker(plan).failed(Failure(Cause.REFUSED))
                log.error("provider refused", kind=plan.kind, provider=plan.name, why=why)
            elif level == "warn":
                log.warning("provider", kind=plan.kind, provider=plan.name, why=why)

    def unwatched(self, planned: Sequence[Plan], *, budget: bool) -> str | None:
        """What of an agent's wishes cannot be kept, because these links need no chain."""
        plan = planned[0]
        if len(planned) > 1 or not plan.alone or plan.ours:
            return None
        if self.pacing.of(plan.name, plan.account) is not None:
            return "its limits are not kept; put it into a list with another one"
        return "the call's budget does not count it" if budget else None

    def _breaker(self, plan: Plan) -> Breaker:
        return self.breakers.of(plan.kind, plan.name, plan.account)

    def of(
        self,
        planned: Sequence[Plan],
        listener: ChainListener,
        brain: Callable[[], FrameProcessor] | None = None,
    ) -> FrameProcessor:
        """The processor for these links in one call; `brain` builds the dialog brain."""
        kind = planned[0].kind
        if len(planned) == 1 and planned[0].alone:
            return self._service(planned[0], brain)
        links = [self._link(plan, brain) for plan in planned]
        chain: Chain
        if kind == "stt":
            chain = ChainSTT(links, listener, self._clock)
        elif kind == "llm":
            chain = ChainLLM(links, listener, self._clock)
        else:
            chain = ChainTTS(links, listener, self._clock, self._word_clock)
        return chain

    def _link(self, plan: Plan, brain: Callable[[], FrameProcessor] | None) -> Link:
        return Link(
            plan.name,
            lambda: self._service(plan, brain),
            self._breaker(plan),
            plan.patience,
            whole=plan.name == DIALOG,
            timed=plan.kind == "tts" and plan.ours,
            pace=self.pacing.of(plan.name, plan.account),
        )

    def _service(self, plan: Plan, brain: Callable[[], FrameProcessor] | None) -> FrameProcessor:
        if plan.name == DIALOG:
            if brain is None:
                raise ProviderConfigError("only a call has a brain")
            return brain()
        return cast("FrameProcessor", registry.build(plan.kind, plan.spec, self._resources))
