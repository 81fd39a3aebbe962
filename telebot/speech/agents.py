"""Agents, ready to take calls: settings, brain and phrases of each, loaded once at start.

A wrong file, an unknown provider or a missing key is found here, not by the first caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from telebot.call.errors import ConfigError, ProviderError
from telebot.config_file import told
from telebot.dialog.brain import Brain
from telebot.providers import registry
from telebot.providers.resources import Resources
from telebot.settings import AgentSettings
from telebot.speech.brain import DialogBrainService, Mind, PlainMind
from telebot.speech.phrases import Phrase, PhraseStore

DIALOG = "dialog"
LOCAL = "local"
log = structlog.get_logger()


@dataclass(slots=True)
class Agent:
    """One agent. Builds the services of a call; holds nothing of any call."""

    settings: AgentSettings
    brain: Brain
    phrases: Mapping[str, Phrase]
    resources: Resources
    zone: ZoneInfo

    def stt(self) -> STTService:
        return registry.build_stt(self.settings.speech.stt, self.resources)

    def tts(self) -> TTSService:
        return registry.build_tts(self.settings.speech.tts, self.resources)

    def thinker(self, now: Callable[[], datetime], caller: str | None) -> tuple[LLMService, Mind]:
        """The service that answers, and what the conversation asks of it beside."""
        if self.settings.speech.llm == DIALOG:
            service = DialogBrainService(
                self.brain, now=lambda: now().astimezone(self.zone), caller_number=caller
            )
            return service, service
        return registry.build_llm(self._llm(), self.resources), PlainMind()

    def _llm(self) -> registry.Spec:
        """The language model with the agent's prompt as its system instruction."""
        spec, prompt = self.settings.speech.llm, self.settings.speech.prompt
        if isinstance(spec, str) or not prompt:
            return spec
        return {**spec, "settings": {"system_instruction": prompt, **(spec.get("settings") or {})}}

    @property
    def needs_vendor(self) -> bool:
        """True where a call of this agent connects to somebody outside."""
        speech = self.settings.speech
        return any(_is_vendor(spec) for spec in (speech.stt, speech.llm, speech.tts))

    @property
    def providers(self) -> dict[str, str | None]:
        """Who hears, thinks and speaks, for the record."""
        speech = self.settings.speech
        return {"stt": _name(speech.stt), "llm": _name(speech.llm), "tts": _name(speech.tts)}


class AgentLoader:
    """Makes agents ready. `phrases` keeps what their voices say word for word."""

    def __init__(self, resources: Resources, phrases: PhraseStore) -> None:
        self._resources = resources
        self._phrases = phrases

    def check(self, settings: AgentSettings) -> Agent:
        """An agent without its phrases. Raises `ConfigError` with every fault at once, each with
        its line and what to write instead."""
        faults = [told(settings.sources, name, fault) for name, fault in self._faults(settings)]
        if faults:
            raise ConfigError("\n".join(faults))
        brain, zone = Brain.load(settings.path), ZoneInfo(settings.agent.timezone)
        return Agent(settings, brain, {}, self._resources, zone)

    def _faults(self, settings: AgentSettings) -> Iterator[tuple[str, str]]:
        """Setting and fault."""
        name, speech = settings.agent.timezone, settings.speech
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            yield "agent.timezone", f"no zone {name!r}; write one like Europe/London"
        kinds: list[tuple[registry.Kind, registry.Spec]] = [
            ("stt", speech.stt),
            ("llm", speech.llm),
            ("tts", speech.tts),
        ]
        for kind, spec in kinds:
            if spec == DIALOG and kind == "llm":
                continue
            fault = registry.check(kind, spec, self._resources)
            if fault:
                yield f"speech.{kind}", fault

    async def load(self, settings: AgentSettings) -> Agent:
        """A whole agent. A voice that does not answer now is replaced by the local one for the
        phrases, so that no caller is ever greeted by silence."""
        agent = self.check(settings)
        texts = agent.brain.phrases()
        try:
            agent.phrases = await self._phrases.phrases(_voice(settings), texts, agent.tts)
        except ProviderError as error:
            log.warning("phrases by the local voice", agent=settings.agent.name, error=str(error))
            agent.phrases = await self._phrases.phrases(LOCAL, texts, self._local_tts)
        return agent

    def _local_tts(self) -> TTSService:
        return registry.build_tts(LOCAL, self._resources)


def _voice(settings: AgentSettings) -> str:
    """Names a voice with all that shapes its sound."""
    return json.dumps(settings.speech.tts, sort_keys=True, default=str)


def _is_vendor(spec: str | Mapping[str, Any]) -> bool:
    service = spec if isinstance(spec, str) else str(spec.get("service", ""))
    return ":" in service


def _name(spec: str | Mapping[str, Any]) -> str:
    """How a provider stands in the record: its name, or vendor and model."""
    if isinstance(spec, str):
        return spec
    service = str(spec.get("service", ""))
    parts = service.split(":", maxsplit=1)[0].split(".")
    vendor = parts[2] if service.startswith("pipecat.services.") and len(parts) > 2 else service
    model = (spec.get("settings") or {}).get("model")
    return f"{vendor}/{model}" if model else vendor
