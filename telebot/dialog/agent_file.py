"""The shape of an agent file (docs/agents.md explains it to its authors).

`agent_checks.py` adds what a shape cannot say (names that must exist, fields of templates).
The vocabulary is neutral: facts, intents, forms and records can also be given to an LLM.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from telebot.dialog.actions import RecordKind

SlotType = Literal["number", "day", "date", "time", "name", "phone", "yes_no", "text"]
IntentAction = Literal["repeat", "abandon", "end_call", "transfer", "wait"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Sentence = Annotated[str, Field(min_length=1, max_length=1000)]
Words = Annotated[str, Field(min_length=1, max_length=200)]


class Part(BaseModel):
    """Base: unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Check(Part):
    """What a slot's value must satisfy; each sentence is said when it does not."""

    min: int | None = None
    max: int | None = None
    too_few: Sentence | None = None
    too_many: Sentence | None = None
    past: Sentence | None = None
    closed: Sentence | None = None
    too_far: Sentence | None = None
    days_ahead: int | None = Field(default=None, ge=1, le=1000)
    last_minutes: int | None = Field(default=None, ge=0, le=600)
    too_short: Sentence | None = None


class Slot(Part):
    """One thing a form asks for. `called` are the words by which callers name it."""

    type: SlotType
    ask: Sentence
    ack: Sentence | None = None
    called: list[Words] = []
    check: Check = Check()


class OnComplete(Part):
    """What happens once the caller has said yes to the read-back."""

    record: RecordKind
    say: Sentence


class Form(Part):
    """Slots asked one after the other, read back, confirmed, recorded."""

    start: Sentence | None = None
    slots: dict[Name, Slot] = Field(min_length=1)
    confirm: Sentence
    on_complete: OnComplete


class Intent(Part):
    """What a caller may want, how it is recognised, and what is said or done."""

    examples: list[Words] = []
    keywords: list[Words] = []
    only: list[Words] = []
    unless: list[Words] = []
    digit: str | None = Field(default=None, pattern=r"^[0-9*#]$")
    answer: Sentence | None = None
    when_open: Sentence | None = None
    when_closed: Sentence | None = None
    when_other_hours: Sentence | None = None
    form: Name | None = None
    action: IntentAction | None = None
    transfer_to: Words | None = None
    warm: bool = False
    offer_when_lost: bool = False
    offer_when_transfer_fails: bool = False

    @property
    def uses_hours(self) -> bool:
        """Whether the answer depends on a day or time the caller named."""
        return bool(self.when_open or self.when_closed or self.when_other_hours)


class Repair(Part):
    """A misheard phrase; `when` limits it to turns that await one of these slot types."""

    heard: Words
    meant: Words
    when: list[SlotType] = []


def _fillers_by_line(phrases: Any) -> Any:
    """A list of fillers as one text, a line each."""
    listed = phrases.get("fillers") if isinstance(phrases, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        return phrases
    lines = (" ".join(one.split()) for one in listed)
    return {**phrases, "fillers": "\n".join(line for line in lines if line)}


class AgentFile(Part):
    """The whole file; facts are free."""

    agent: Any = None
    speech: Any = None
    call: Any = None
    facts: dict[Name, Any] = {}
    phrases: Annotated[dict[str, Sentence], BeforeValidator(_fillers_by_line)] = {}
    intents: dict[Name, Intent] = {}
    forms: dict[Name, Form] = {}
    repairs: list[Repair] = []
