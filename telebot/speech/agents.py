"""Agents, ready to take calls: settings, brain and phrases of each, loaded once at start.

A wrong file, an unknown provider or a missing key is found here, not by the first caller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.stt_service import STTService

from telebot.agent_settings import AgentSettings
from telebot.audio.line import PHONE, Line
from telebot.call.errors import ConfigError, ProviderConfigError, ProviderError
from telebot.config_file import told
from telebot.dialog.actions import Transfer
from telebot.dialog.brain import Brain
from telebot.providers import registry
from telebot.providers.chain import ChainListener
from telebot.providers.chain_realtime import ChainRealtime
from telebot.providers.chain_stt import ChainSTT
from telebot.providers.kept_replies import Reuse
from telebot.providers.realtime import RealtimeListener
from telebot.providers.realtime_usual import Build
from telebot.providers.registry import Kind, Spec
from telebot.providers.resources import Resources
from telebot.providers.sentences import sentences
from telebot.providers.voice import made_by
from telebot.speech.brain import ChainMind, DialogBrainService, Mind
from telebot.speech.chains import DIALOG, LOCAL, Chains, Plan, plans
from telebot.speech.filler import filler_texts
from telebot.speech.impersonal import AgentWords
from telebot.speech.phrases import Phrase, PhraseStore

log = structlog.get_logger()
KINDS: tuple[Kind, ...] = ("realtime", "stt", "llm", "tts")
USUAL: tuple[Kind, ...] = ("stt", "llm", "tts")


@dataclass(slots=True)
class Agent:
    """One agent. Builds the services of a call; holds nothing of any call."""

    settings: AgentSettings
    brain: Brain
    phrases: Mapping[str, Phrase]
    chains: Chains
    plans: Mapping[Kind, tuple[Plan, ...]]
    zone: ZoneInfo
    fixed: frozenset[str] = frozenset()  # the sentences that it says in every call
    reuse: Reuse | None = None  # of its models' replies

    def stt(self, listener: ChainListener, line: Line = PHONE) -> STTService | ChainSTT:
        """What hears a call."""
        made = self.chains.of(self.plans["stt"], listener, line=line)
        return cast("STTService | ChainSTT", made)

    def tts(self, listener: ChainListener, line: Line = PHONE) -> FrameProcessor:
        """What speaks in it."""
        return self.chains.of(self.plans["tts"], listener, fixed=self.fixed, line=line)

    def line(self, of: Line) -> Line:
        """The line of its services on a call's: a session of speech to speech, and what takes over
        from it, hears and speaks at a telephone's band whatever the call has."""
        return PHONE if self.plans["realtime"] else of

    def thinker(
        self, now: Callable[[], datetime], caller: str | None, listener: ChainListener
    ) -> tuple[FrameProcessor, Mind]:
        """What answers, and what the conversation asks of it beside."""
        mind = ChainMind()

        def brain() -> DialogBrainService:
            service = DialogBrainService(
                self.brain, now=lambda: now().astimezone(self.zone), caller_number=caller
            )
            if mind.earlier is not None:
                service.go_on(mind.earlier)
            mind.brain = service
            return service

        thinker = self.chains.of(self.plans["llm"], listener, brain, reuse=self.reuse)
        return thinker, (thinker if isinstance(thinker, DialogBrainService) else mind)

    def realtime(
        self, listener: RealtimeListener, context: LLMContext, usual: Build, keyed: str
    ) -> ChainRealtime:
        """What is all of them in a call, with `usual` behind it."""
        return self.chains.realtime(self.plans["realtime"], listener, context, usual, keyed)

    @property
    def person(self) -> Transfer | None:
        """Who takes a call over when nothing of ours works."""
        return next(iter(self.brain.transfers()), None)

    def summary(self, values: Mapping[str, str]) -> str:
        """What that person is told first, where the transfer is a warm one."""
        return self.brain.summary(values)

    @property
    def needs_vendor(self) -> bool:
        """True where a call of this agent connects to somebody outside."""
        return any(not plan.ours for plans in self.plans.values() for plan in plans)

    def specs(self, kind: Kind) -> list[Spec]:
        """Who does one kind of work for it, in their order, as its file has them."""
        return [DIALOG if plan.name == DIALOG else plan.spec for plan in self.plans[kind]]

    @property
    def dialog_alone(self) -> bool:
        """True where no language model answers."""
        return [plan.name for plan in self.plans["llm"]] == [DIALOG]

    @property
    def providers(self) -> dict[str, str | None]:
        """Who hears, thinks and speaks first, for the record."""
        if self.plans["realtime"]:
            return dict.fromkeys(USUAL, self.plans["realtime"][0].name)
        return self.usual_providers

    @property
    def usual_providers(self) -> dict[str, str | None]:
        """The same of its recogniser, brain and voice."""
        return {kind: self.plans[kind][0].name for kind in USUAL}


class AgentLoader:
    """Makes agents ready. `phrases` keeps what their voices say word for word."""

    def __init__(self, resources: Resources, phrases: PhraseStore, chains: Chains) -> None:
        self._resources = resources
        self._phrases = phrases
        self._chains = chains

    def check(self, settings: AgentSettings) -> Agent:
        """An agent without its phrases. Raises `ConfigError` with every fault at once, each with
        its line and what to write instead."""
        faults = [told(settings.sources, name, fault) for name, fault in self._faults(settings)]
        if faults:
            raise ConfigError("\n".join(faults))
        brain, zone = Brain.load(settings.path), ZoneInfo(settings.agent.timezone)
        planned = {kind: self._plans(kind, settings) for kind in KINDS}
        reuse = self._reuse(settings)
        return Agent(settings, brain, {}, self._chains, planned, zone, reuse=reuse)

    def _reuse(self, settings: AgentSettings) -> Reuse | None:
        if not settings.speech.reuse_replies:
            return None
        file = settings.path.read_bytes()
        words, version = AgentWords(file.decode()), hashlib.sha256(file).hexdigest()
        return Reuse(self._chains.kept_replies, version, settings.speech.reuse_s, words)

    def _plans(self, kind: Kind, settings: AgentSettings) -> tuple[Plan, ...]:
        return plans(kind, settings.speech, self._resources, settings.speech.prompt)

    def _faults(self, settings: AgentSettings) -> Iterator[tuple[str, str]]:
        """Setting and fault."""
        name = settings.agent.timezone
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            yield "agent.timezone", f"no zone {name!r}; write one like Europe/London"
        for kind in KINDS:
            try:
                self._plans(kind, settings)
            except ProviderConfigError as error:
                yield f"speech.{kind}", str(error)

    async def load(self, settings: AgentSettings) -> Agent:
        """A whole agent. Errors as in `check`."""
        return await self.with_phrases(self.check(settings))

    async def with_phrases(self, agent: Agent) -> Agent:
        """What `check` gave, made whole. A voice that does not answer now is replaced by the local
        one for the phrases, so that no caller is ever greeted by silence."""
        settings = agent.settings
        budget = settings.call.budget is not None
        for kind, planned in agent.plans.items():
            if planned and (why := self._chains.unwatched(planned, budget=budget)):
                log.warning("provider", kind=kind, provider=planned[0].name, why=why)
        texts = {**agent.brain.phrases(), **filler_texts(settings, agent.brain.fillers())}
        agent.fixed = frozenset(await sentences(agent.brain.fixed_texts()))
        voice = agent.plans["tts"][0]
        try:
            agent.phrases = await self._phrases.phrases(
                voice.sound or _our_voice(voice.spec),
                texts,
                lambda: registry.build_tts(voice.spec, self._resources, wide=True),
            )
            self._chains.seed(voice, agent.fixed, agent.phrases.values())
        except ProviderError as error:
            log.warning("phrases by the local voice", agent=settings.agent.name, error=str(error))
            agent.phrases = await self._phrases.phrases(
                _our_voice(LOCAL),
                texts,
                lambda: registry.build_tts(LOCAL, self._resources, wide=True),
            )
        return agent


def _our_voice(spec: Spec) -> str:
    """Names a voice of this machine with all that shapes its sound."""
    return json.dumps([spec, made_by()], sort_keys=True, default=str)
