"""One turn of a conversation: what came in, and the outcome that is being put together.

`answers.py` and `forms.py` each take a `Turn` and return an `Outcome`; `brain.py` makes the reply.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from telebot.dialog.actions import Action
from telebot.dialog.agent import Agent
from telebot.dialog.hearing import Utterance
from telebot.dialog.intents import Hit
from telebot.dialog.slots.yes_no import yes_or_no
from telebot.dialog.state import DialogState


@dataclass(frozen=True, slots=True)
class Turn:
    """What one step works on; `said` is the caller's text as heard, `heard` its words."""

    agent: Agent
    state: DialogState
    now: datetime
    said: str
    heard: Utterance
    hits: tuple[Hit, ...]

    @property
    def agrees(self) -> bool | None:
        """Yes, no or neither."""
        return yes_or_no(self.heard.text)

    def hit_by_action(self, action: str) -> Hit | None:
        """The intent with this action, if the caller expressed one."""
        return next((h for h in self.hits if self.agent.intents[h.intent].action == action), None)

    def answering_hits(self) -> list[Hit]:
        """Intents that only answer."""
        return [
            hit
            for hit in self.hits
            if not self.agent.intents[hit.intent].form and not self.agent.intents[hit.intent].action
        ]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Sentences to say, the state after them, and what to do. `matched` is False for a miss."""

    parts: tuple[str, ...]
    state: DialogState
    actions: tuple[Action, ...] = ()
    matched: bool = True

    def before(self, *parts: str) -> Outcome:
        """The same outcome with sentences said first."""
        return replace(self, parts=(*parts, *self.parts))
