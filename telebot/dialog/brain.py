"""The brain that needs no provider: what the caller said goes in,
the reply and the new state come out.

A `Brain` is loaded once per agent and shared by all calls. It holds nothing of a call: a turn that
is discarded is discarded by not keeping its state. `speech/` speaks the reply and does its actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from telebot.dialog import dispatch
from telebot.dialog.actions import Action, Transfer
from telebot.dialog.agent import Agent
from telebot.dialog.fixed import fixed_texts
from telebot.dialog.hearing import MAX_CHARS, fold_numbers, split, utterance
from telebot.dialog.loading import load_agent_file
from telebot.dialog.repairs import repair
from telebot.dialog.state import DialogState
from telebot.dialog.turn import Outcome, Turn
from telebot.dialog.understanding import Understanding

MAX_REPLY_CHARS = 4000
MAX_WORDS = 120  # about 45 s of speech; keeps a step short whatever comes in


@dataclass(frozen=True, slots=True)
class Step:
    """What to say and do, and how the conversation then stands.

    `expects` is the type of slot awaited next ("phone", "number", "yes_no", …) or None; endpointing
    waits longer for a phone number than for a yes.
    """

    text: str
    state: DialogState
    actions: tuple[Action, ...]
    intents: tuple[str, ...]
    expects: str | None


class Brain:
    """One agent file, ready to talk. Immutable, thread-safe, without I/O after `load`."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    @classmethod
    def load(cls, path: Path) -> Brain:
        """Read an agent file. Raises BadAgentFile with line and remedy of every fault.

        The first agent with examples also loads the sentence model (about 0.2 s).
        """
        return cls(Agent.of(load_agent_file(path)))

    def start(self, *, now: datetime, caller_number: str | None = None) -> DialogState:
        """The state in which the greeting has been said. `now` is aware, in the agent's zone."""
        if now.tzinfo is None:
            raise ValueError("now must carry the agent's time zone")
        return DialogState(last_reply=self.greeting(), caller_number=caller_number)

    def greeting(self) -> str:
        """The first sentence of every call."""
        return self._agent.phrase("greeting")

    def transfers(self) -> tuple[Transfer, ...]:
        """Every way in which callers are put through; the first one is to a person."""
        return self._agent.transfers()

    def summary(self, values: Mapping[str, str]) -> str:
        """What the person is told before a warm transfer; `values` as in `phrases.fields`."""
        return self._agent.summary(values)

    def phrases(self) -> Mapping[str, str]:
        """The fixed sentences by name (see phrases.py), to be synthesised ahead and kept."""
        return self._agent.fixed_phrases()

    def fillers(self) -> tuple[str, ...]:
        """What may be said while an answer takes its time."""
        return self._agent.fillers()

    def fixed_texts(self) -> frozenset[str]:
        """Every text that is said word for word in every call, whatever callers say."""
        return fixed_texts(self._agent)

    def intents(self) -> dict[str, str]:
        """The names of the intents, and what tells of each: its examples, else its keywords."""
        return {
            name: "; ".join((intent.examples or intent.keywords or intent.only)[:10])
            for name, intent in self._agent.intents.items()
        }

    def understanding(self) -> Understanding:
        """For texts that belong to no call."""
        return Understanding({}, self._agent)

    def step(self, state: DialogState, heard: str, *, now: datetime, digits: bool = False) -> Step:
        """Answer one utterance of the caller, or keyed digits. Never raises for any text."""
        state = self._agent.fitted(state)
        heard = heard[:MAX_CHARS]
        expects = dispatch.expects(self._agent, state)
        text = dispatch.keyed(heard, expects) if digits else heard
        words = fold_numbers(repair(split(text)[:MAX_WORDS], self._agent.repairs, expects))
        turn = Turn(self._agent, state, now, text, utterance(words), ())
        turn = replace(turn, hits=dispatch.hits(turn, expects, digits=heard if digits else None))
        outcome = dispatch.respond(turn)
        if not outcome.matched and state.form and not digits:
            turn = replace(turn, hits=dispatch.alike(turn))
            outcome = dispatch.respond(turn) if turn.hits else outcome
        return self._reply(turn, outcome)

    def _reply(self, turn: Turn, outcome: Outcome) -> Step:
        text = " ".join(part for part in outcome.parts if part)[:MAX_REPLY_CHARS]
        state = replace(
            outcome.state,
            misses=0 if outcome.matched else turn.state.misses + 1,
            turns=turn.state.turns + 1,
            last_reply=text,
        )
        intents = tuple(hit.intent for hit in turn.hits)
        # "Anything else?" invites whole sentences, so endpointing must not count on a yes or no.
        expects = None if state.asked_more else dispatch.expects(turn.agent, state)
        return Step(text, state, outcome.actions, intents, expects)
