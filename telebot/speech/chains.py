"""Which providers an agent uses, in which order, and the chains that a call makes of them.

`Plan`s are made once, when the agent is loaded; `Chains` is the process's: breakers and word clock.
A single provider of our own needs no chain and gets none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import structlog
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor

from telebot.agent_settings import AgentSpeech
from telebot.audio.g711 import RATE_HZ
from telebot.audio.line import PHONE, WIDE, Line
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.call.ports import Clock
from telebot.providers import registry
from telebot.providers.breaker import Breaker, Breakers
from telebot.providers.chain import Chain, ChainListener
from telebot.providers.chain_llm import ChainLLM
from telebot.providers.chain_realtime import ChainRealtime
from telebot.providers.chain_stt import ChainSTT
from telebot.providers.chain_tts import ChainTTS
from telebot.providers.failure import Cause, Failure
from telebot.providers.kept_replies import KeptReplies, Reuse
from telebot.providers.kept_voice import KeptVoice
from telebot.providers.link import Link, Patience
from telebot.providers.pacing import Pacing
from telebot.providers.realtime import RealtimeListener
from telebot.providers.realtime_usual import Build
from telebot.providers.registry import Kind, Spec
from telebot.providers.repertoire import Repertoire
from telebot.providers.resources import Resources
from telebot.providers.word_clock import WordClock
from telebot.settings import VendorLimits
from telebot.speech.phrases import Phrase

DIALOG = "dialog"
LOCAL = "local"
log = structlog.get_logger()
OUR_BRAIN = frozenset({DIALOG, LOCAL})

PROBE_S = 6.0
# what a caller tolerates of a vendor, before the next one takes over
PATIENCE: dict[Kind, Patience] = {
    "stt": Patience(start_s=1.5, first_s=0.8, stall_s=2.0),
    "llm": Patience(start_s=1.0, first_s=0.9, stall_s=0.8),
    "tts": Patience(start_s=1.0, first_s=0.8, stall_s=0.4),
    # a session opens behind the greeting; `first_s` is for its text, and then for its first audio
    "realtime": Patience(start_s=3.0, first_s=1.8, stall_s=0.6),
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
    sound: str = ""  # of a vendor's voice: all that shapes it
    resources: Resources | None = field(default=None, compare=False, repr=False)  # of other keys
    own_key: bool = False  # whoever talks has brought it: the house pays nothing

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
    if wanted is None and kind == "realtime":
        return ()
    if wanted is None:
        specs = _defaults(kind, speech, resources)
    elif isinstance(wanted, list):
        specs = [prompted(kind, spec, prompt) for spec in wanted]
    else:
        specs = [prompted(kind, wanted, prompt)]
    if not specs:
        raise ProviderConfigError(f"an empty list; write `{kind}: [local]`")
    return tuple(plan_of(kind, spec, resources) for spec in specs)


def _defaults(kind: Kind, speech: AgentSpeech, resources: Resources) -> list[Spec]:
    """Those of the default chain whose key is there; nothing of the others is imported."""
    if kind == "llm" and not speech.prompt:
        return [DIALOG]
    found: list[Spec] = []
    for name in registry.DEFAULTS[kind]:
        spec = prompted(kind, name, speech.prompt)
        if name == LOCAL or registry.account(kind, spec, resources):  # its key is there
            found.append(spec)
    return found


def prompted(kind: Kind, spec: Spec, prompt: str) -> Spec:
    """A model's spec with the agent's prompt as its system instruction."""
    if kind not in ("llm", "realtime") or not prompt or _service(spec) in registry.OURS:
        return spec
    whole: Mapping[str, Any] = {"service": spec} if isinstance(spec, str) else spec
    return {**whole, "settings": {"system_instruction": prompt, **(whole.get("settings") or {})}}


def _service(spec: Spec) -> object:
    """The name that a spec gives its service."""
    return spec if isinstance(spec, str) else spec.get("service")


def plan_of(kind: Kind, spec: Spec, resources: Resources) -> Plan:
    """The link of one service by the keys of `resources`. Raises ProviderConfigError."""
    if kind == "llm" and _service(spec) in OUR_BRAIN:
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
        registry.sound(bare, resources) if kind == "tts" and name not in registry.OURS else "",
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
    return bare, Patience(**times, hedge_s=_hedge_s(kind, bare))


def _hedge_s(kind: Kind, spec: dict[str, Any]) -> float | None:
    """After which time the next model is asked beside this one; taken out of `spec`."""
    value = spec.pop("hedge_s", None)
    if value is None:
        return None
    if kind != "llm":
        raise ProviderConfigError("hedge_s is for a language model; leave it away here")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 60:
        raise ProviderConfigError(f"hedge_s is {value!r}; write seconds, 0 to 60")
    return float(value)


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
    """The process's part in all chains. `pacing` holds the limits that the settings say."""

    def __init__(
        self,
        resources: Resources,
        clock: Clock,
        kept_voice: KeptVoice | None = None,
        pacing: Mapping[str, VendorLimits] | None = None,
    ) -> None:
        self.breakers = Breakers(clock)
        self.kept_voice = kept_voice
        self.kept_replies = KeptReplies(clock)
        self.pacing = Pacing(pacing or {}, clock)
        self._word_clock = WordClock(resources.local)
        self.resources = resources
        self._clock = clock

    async def check(self, planned: Sequence[Plan]) -> None:
        """Ask every vendor, at the start: one that refuses is left out before the first caller
        would find out, and said in the log."""
        asked = await asyncio.gather(*(probed(plan, self.resources) for plan in planned))
        for level, plan, why in asked:
            if level == "fault":
                self._breaker(plan).failed(Failure(Cause.REFUSED))
                log.error("provider refused", kind=plan.kind, provider=plan.name, why=why)
            elif level == "warn":
                log.warning("provider", kind=plan.kind, provider=plan.name, why=why)

    def seed(self, voice: Plan, fixed: frozenset[str], phrases: Collection[Phrase]) -> None:
        """What an agent's voice has said at the start need not be paid for again in a call."""
        if self.kept_voice is None:
            return
        for form in (PHONE.says, WIDE.says):
            repertoire = Repertoire(self.kept_voice, fixed, form)
            for phrase in phrases:
                repertoire.seed(voice.sound, phrase.text, phrase.audio(form), self._word_clock)

    def unwatched(self, planned: Sequence[Plan], *, budget: bool) -> str | None:
        """What of an agent's wishes cannot be kept, because these links need no chain."""
        plan = planned[0]
        limited = self.pacing.of(plan.name, plan.account) is not None
        if plan.kind == "realtime":
            return "its limits are not kept by a session of speech to speech" if limited else None
        if len(planned) > 1 or not plan.alone or plan.ours:
            return None
        if limited:
            return "its limits are not kept; put it into a list with another one"
        return "the call's budget does not count it" if budget else None

    def latency_s(self, plan: Plan) -> float | None:
        """How long a link usually takes to answer; None where that is not known."""
        return self._breaker(plan).latency_s()

    def rate(self, plan: Plan) -> float | None:
        """How much work it does a second, as `/v1/voice` measured it; None where it did not."""
        return self._breaker(plan).rate()

    def _breaker(self, plan: Plan) -> Breaker:
        return self.breakers.of(plan.kind, plan.name, plan.account)

    def of(
        self,
        planned: Sequence[Plan],
        listener: ChainListener,
        brain: Callable[[], FrameProcessor] | None = None,
        *,
        fixed: frozenset[str] = frozenset(),
        reuse: Reuse | None = None,
        line: Line = PHONE,
    ) -> FrameProcessor:
        """The processor for these links in one call on such a `line`; `brain` builds the dialog
        brain. `fixed` are sentences that a voice need not say twice, `reuse` is of models'
        replies."""
        kind = planned[0].kind
        if len(planned) == 1 and planned[0].alone:
            return self._service(planned[0], brain, line)
        links = [self._link(plan, brain, line) for plan in planned]
        chain: Chain
        if kind == "stt":
            chain = ChainSTT(links, listener, self._clock)
        elif kind == "llm":
            chain = ChainLLM(links, listener, self._clock)
            chain.reuse = reuse
        else:
            kept = (
                Repertoire(self.kept_voice, fixed, line.says) if self.kept_voice and fixed else None
            )
            chain = ChainTTS(links, listener, self._clock, self._word_clock, kept, form=line.says)
        return chain

    def realtime(
        self,
        planned: Sequence[Plan],
        listener: RealtimeListener,
        context: LLMContext,
        usual: Build,
        keyed: str,
    ) -> ChainRealtime:
        """The chain of speech-to-speech sessions of one call; `usual` comes after them."""

        async def local_words(pcm16: bytes) -> str:
            try:
                heard = await self.resources.local.stt.transcribe(pcm16, RATE_HZ)
            except ProviderError:
                return ""
            return heard.text

        return ChainRealtime(
            [self._link(plan, None, PHONE) for plan in planned],
            listener,
            self._clock,
            self._word_clock,
            context=context,
            usual=usual,
            local_words=local_words,
            keyed=keyed,
        )

    def _link(self, plan: Plan, brain: Callable[[], FrameProcessor] | None, line: Line) -> Link:
        return Link(
            plan.name,
            lambda: self._service(plan, brain, line),
            self._breaker(plan),
            plan.patience,
            whole=plan.name == DIALOG,
            timed=plan.kind == "tts" and plan.ours,
            sound=plan.sound,
            pace=self.pacing.of(plan.name, plan.account),
        )

    def _service(
        self, plan: Plan, brain: Callable[[], FrameProcessor] | None, line: Line
    ) -> FrameProcessor:
        if plan.name == DIALOG:
            if brain is None:
                raise ProviderConfigError("only a call has a brain")
            return brain()
        resources = plan.resources or self.resources
        made = registry.build(plan.kind, plan.spec, resources, wide=line is WIDE)
        return cast("FrameProcessor", made)
