"""An agent file made ready for calls: facts spoken, phrases rendered, intents compiled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from telebot.dialog import facts, phrases, repairs, templates
from telebot.dialog.actions import Transfer
from telebot.dialog.agent_file import AgentFile, Form, Intent
from telebot.dialog.hours import OpeningHours
from telebot.dialog.intents import IntentMatcher
from telebot.dialog.state import DialogState

# a field that stands alone before a capital is a sentence of its own: it brings its full stop
_SENTENCES = re.compile(r"(?<=[.!?])\s+|(?<=\})\s+(?=[A-Z])")
_NOT_FIXED = frozenset({"fillers", "transfer_summary"})


@dataclass(frozen=True, slots=True)
class Agent:
    """Immutable; one per file, shared by all calls."""

    facts: Mapping[str, str]
    phrase_templates: Mapping[str, str]
    intents: Mapping[str, Intent]
    forms: Mapping[str, Form]
    hours: OpeningHours | None
    matcher: IntentMatcher
    repairs: tuple[repairs.Entry, ...]

    @classmethod
    def of(cls, file: AgentFile) -> Agent:
        """Compile a checked file; loads the sentence model if the file has examples."""
        spoken = {f"facts.{path}": text for path, text in facts.flat(file.facts).items()}
        texts = {name: default for name, (default, _) in phrases.DEFAULTS.items()} | file.phrases
        own = tuple(repairs.entry(r.heard, r.meant, tuple(r.when)) for r in file.repairs)
        return cls(
            MappingProxyType(spoken),
            MappingProxyType(texts),
            MappingProxyType(dict(file.intents)),
            MappingProxyType(dict(file.forms)),
            facts.opening_hours(file.facts),
            IntentMatcher(file.intents),
            own + repairs.BUILT_IN,
        )

    def fitted(self, state: DialogState) -> DialogState:
        """The state without what this agent does not know: the file may have changed since."""
        if state.offered not in self.intents:
            state = replace(state, offered=None)
        done = self.forms.get(state.done_form or "")
        if done is None or not {name for name, _ in state.done_slots} <= set(done.slots):
            state = replace(state, done_form=None, done_slots=())
        pending = tuple(name for name in state.pending_forms if name in self.forms)
        state = replace(state, pending_forms=pending)
        form = self.forms.get(state.form or "")
        named = {*state.values, state.awaiting or ""} - {""}
        if form is None or not named <= set(form.slots) or state.stage == "idle":
            return state.without_form()
        return state

    def transfers(self) -> tuple[Transfer, ...]:
        """Every way in which callers are put through to somebody, in the order of the file."""
        return tuple(
            Transfer(self.number(intent.transfer_to), intent.warm)
            for intent in self.intents.values()
            if intent.transfer_to
        )

    def summary(self, values: Mapping[str, str]) -> str:
        """What a person is told before a caller is put through; a sentence that would have a gap
        is left out."""
        template = self.phrase_templates["transfer_summary"]
        whole = [
            sentence
            for sentence in _SENTENCES.split(template)
            if all(values.get(name, name) for name in templates.fields(sentence))
        ]
        return self.say(" ".join(whole), values)

    def say(self, template: str | None, values: Mapping[str, str] | None = None) -> str:
        """A sentence with facts and these values filled in; empty for no template."""
        return templates.render(template, {**self.facts, **(values or {})}) if template else ""

    def number(self, template: str) -> str:
        """A number or address with facts filled in; no sentence, so no capital."""
        return templates.fill(template, self.facts).strip()

    def phrase(self, name: str, heard: str = "") -> str:
        """One fixed sentence."""
        return self.say(self.phrase_templates[name], {"heard": heard})

    def fixed_phrases(self) -> Mapping[str, str]:
        """Every phrase that does not depend on what was heard, by name; empty ones left out."""
        return MappingProxyType({
            name: self.phrase(name)
            for name, text in self.phrase_templates.items()
            if text and name not in _NOT_FIXED and "heard" not in templates.fields(text)
        })  # fmt: skip

    def fillers(self) -> tuple[str, ...]:
        """What is said while an answer takes its time."""
        lines = self.phrase_templates["fillers"].splitlines()
        return tuple(said for said in map(self.say, lines) if said)
