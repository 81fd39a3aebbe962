"""The agents of the calls as chats know them: what they are told, whom they ask, their own brain.

`app.py` makes them of `speech/`'s. An agent's own brain (`dialog/`) is what this machine answers
with, as one more `Replier`. Next: `chatting.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from telebot.dialog.actions import Action, EndCall, Record, Transfer
from telebot.dialog.brain import Brain, Step
from telebot.dialog.state import DialogState
from telebot.providers.replies import Finished, Question, ReplyingAbility
from telebot.voice.offers import LOCAL, Wanted

BRAINS = frozenset({"dialog", LOCAL})  # names of an agent's own brain
ASKED_BY = ("model", "base_url", "api_key_env")  # of a provider's options, what a reply needs


@dataclass(frozen=True, slots=True)
class ChatAgent:
    """One agent. `asks` are the models that answer for it, in their order; `local` is its own
    brain. `prompt` is empty where no model answers. `hears` and `speaks` are who does that for it,
    empty where only calls can use them, `voices` its voice at each provider."""

    name: str
    brain: Brain
    zone: ZoneInfo
    asks: tuple[Wanted, ...] = (LOCAL,)
    prompt: str = ""
    hears: tuple[Wanted, ...] = ()
    speaks: tuple[Wanted, ...] = ()
    voices: Mapping[str, str] = field(default_factory=dict)

    def replier(self, state: DialogState | None, now: datetime) -> BrainReplier:
        """Its own brain, for one turn that comes after `state` (None: the first)."""
        local = now.astimezone(self.zone)
        begun = self.brain.start(now=local) if state is None else state
        return BrainReplier(self.brain, begun, local)


def asked_by(specs: Iterable[Wanted], answers: Callable[[str], bool]) -> tuple[Wanted, ...]:
    """Of the models in an agent's file those that can be asked for a reply: `answers` says which
    providers are. What only a call can use (a service by its import string) is left out."""
    found: list[Wanted] = []
    for spec in specs:
        whole: Mapping[str, Any] = {"service": spec} if isinstance(spec, str) else spec
        name = str(whole.get("service"))
        if name in BRAINS:
            found.append(LOCAL)
        elif answers(name):
            settings = whole.get("settings") or {}
            told = {"model": settings.get("model"), **whole}
            found.append({"service": name, **{k: told[k] for k in ASKED_BY if told.get(k)}})
    return tuple(found)


def voices_of(specs: Iterable[Wanted]) -> dict[str, str]:
    """The voice that an agent's file names at each provider; the first of each."""
    found: dict[str, str] = {}
    for spec in specs:
        if not isinstance(spec, str):
            settings = spec.get("settings") or {}
            voice = spec.get("voice") or settings.get("voice")
            if isinstance(voice, str):
                found.setdefault(str(spec.get("service")), voice)
    return found


class BrainReplier:
    """A `Replier` for one turn; `step` is what its brain came to. Its state counts once the reply
    was given: until then nothing has happened."""

    model = LOCAL
    abilities: frozenset[ReplyingAbility] = frozenset()

    def __init__(self, brain: Brain, state: DialogState, now: datetime) -> None:
        self._brain = brain
        self._state = state
        self._now = now
        self.step: Step | None = None

    async def reply(self, question: Question) -> AsyncIterator[str | Finished]:
        """To the last thing that the user said."""
        heard = next((m.text for m in reversed(question.messages) if m.role == "user"), "")
        self.step = self._brain.step(self._state, heard, now=self._now)
        yield self.step.text
        yield Finished(())


def told(actions: Sequence[Action]) -> list[dict[str, Any]]:
    """What a reply asks for besides words, for the program that talks with us: it does them."""
    return [_told(action) for action in actions]


def _told(action: Action) -> dict[str, Any]:
    match action:
        case EndCall():
            return {"type": "end_call", "reason": action.reason}
        case Transfer():
            return {"type": "transfer", "to": action.to, "warm": action.warm}
        case Record():
            fields = dict(action.fields)
            return {
                "type": "record",
                "kind": action.kind,
                "fields": fields,
                "replaces": action.replaces,
            }
