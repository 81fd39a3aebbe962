"""What an agent file must satisfy beyond its shape: names that exist, templates that can be filled.

Each check yields (place, problem, instead); `loading.py` adds the line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import date

from telebot.dialog import phrases, templates
from telebot.dialog.agent_file import AgentFile, Check, Form, Intent, Slot
from telebot.dialog.facts import flat
from telebot.dialog.hearing import read
from telebot.dialog.hours import HOURS_EXAMPLE, parse_spans
from telebot.dialog.words import WEEKDAYS
from telebot.dialog.yaml_lines import Place

Fault = tuple[Place, str, str]
_CHECKS_OF_TYPE = {
    "number": {"min", "max", "too_few", "too_many"},
    "date": {"past", "closed", "too_far", "days_ahead"},
    "time": {"past", "closed", "last_minutes"},
    "phone": {"too_short"},
}
_WHEN = ("when", "when_hours")


def faults(file: AgentFile) -> Iterator[Fault]:
    """Everything wrong with a well-shaped file."""
    hours_faults = list(_opening_hours(file))
    yield from hours_faults
    known = {f"facts.{path}" for path in flat(file.facts)} if not hours_faults else None
    has_hours = "opening_hours" in file.facts
    yield from _phrases(file, known)
    for name, intent in file.intents.items():
        yield from _intent(file, name, intent, known, has_hours)
    for name, form in file.forms.items():
        yield from _form(file, name, form, known, has_hours)
    yield from _digits(file)
    yield from _repairs(file)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """'did you mean "intents"?', or the list of what is possible."""
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else "write one of " + ", ".join(options)


def _opening_hours(file: AgentFile) -> Iterator[Fault]:
    hours = file.facts.get("opening_hours")
    if hours is not None:
        if not isinstance(hours, dict):
            yield (
                ("facts", "opening_hours"),
                "opening_hours is no list of days",
                ('write one line per day below it, like "tuesday: 12:00-22:00"'),
            )
            return
        for day, text in hours.items():
            place: Place = ("facts", "opening_hours", day)
            if day not in WEEKDAYS:
                yield place, f'"{day}" is no day of the week', did_you_mean(day, WEEKDAYS)
            yield from _spans(place, text)
    closed = file.facts.get("closed_dates", [])
    for index, text in enumerate(closed if isinstance(closed, list) else [closed]):
        try:
            date.fromisoformat(str(text))
        except ValueError:
            yield (
                ("facts", "closed_dates", index),
                f'"{text}" is no date',
                ("write year-month-day, like 2026-12-25"),
            )


def _spans(place: Place, text: object) -> Iterator[Fault]:
    try:
        parse_spans(str(text))
    except ValueError:
        yield place, f'"{text}" are no opening hours', f"write them as {HOURS_EXAMPLE}"


def _template(
    place: Place, text: str | None, known: set[str] | None, more: Iterable[str] = ()
) -> Iterator[Fault]:
    wrong = templates.fault(text, known | set(more)) if text and known is not None else None
    if wrong:
        yield (place, *wrong)


def _phrases(file: AgentFile, known: set[str] | None) -> Iterator[Fault]:
    if not difflib.get_close_matches("greeting", file.phrases):
        yield (
            ("phrases",),
            "the greeting is missing",
            ('write below phrases: greeting: "Hello, how can I help?"'),
        )
    for name, text in file.phrases.items():
        if name not in phrases.DEFAULTS:
            yield (
                ("phrases", name),
                f'there is no phrase "{name}"',
                did_you_mean(name, phrases.DEFAULTS),
            )
        yield from _template(("phrases", name), text, known, phrases.fields(name))


def _intent(
    file: AgentFile, name: str, intent: Intent, known: set[str] | None, has_hours: bool
) -> Iterator[Fault]:
    place: Place = ("intents", name)
    if not (intent.keywords or intent.only or intent.examples or intent.digit):
        yield place, f'nothing tells when a caller means "{name}"', "add keywords or examples"
    if not (intent.answer or intent.form or intent.action):
        yield place, f'"{name}" says and does nothing', "add an answer, a form or an action"
    if intent.form and intent.form not in file.forms:
        yield (
            (*place, "form"),
            f'there is no form "{intent.form}"',
            did_you_mean(intent.form, file.forms),
        )
    if (intent.action == "transfer") != bool(intent.transfer_to):
        yield (
            (*place, "action" if intent.action else "transfer_to"),
            ("a transfer needs both an action and a number"),
            'write action: transfer and transfer_to: "+44…"',
        )
    if intent.warm and intent.action != "transfer":
        yield (
            (*place, "warm"),
            "only a transfer can be warm",
            "write action: transfer, or no warm",
        )
    if intent.uses_hours and not has_hours:
        yield place, "when_… needs opening hours", "add opening_hours to the facts"
    for key in ("keywords", "only", "unless"):
        for index, words in enumerate(getattr(intent, key)):
            if not read(words.replace("*", "").replace("...", " ")).words:
                yield (*place, key, index), f'"{words}" holds no words', "write words"
            yield from _gaps((*place, key, index), words, set() if key == "only" else {"{number}"})
    for key in ("answer", "when_open", "when_closed", "when_other_hours"):
        more = _WHEN if key.startswith("when") else ()
        yield from _template((*place, key), getattr(intent, key), known, more)
    yield from _template((*place, "transfer_to"), intent.transfer_to, known)


def _gaps(place: Place, words: str, known: set[str]) -> Iterator[Fault]:
    for gap in set(re.findall(r"\{.*?\}", words)) - known:
        remedy = f"write {' or '.join(known)}, or words" if known else "write words"
        yield place, f'"{gap}" cannot be heard here', remedy


def _form(
    file: AgentFile, name: str, form: Form, known: set[str] | None, has_hours: bool
) -> Iterator[Fault]:
    place: Place = ("forms", name)
    if not any(intent.form == name for intent in file.intents.values()):
        yield place, f'no intent begins the form "{name}"', f"add form: {name} to an intent"
    yield from _template((*place, "start"), form.start, known)
    yield from _template((*place, "confirm"), form.confirm, known, form.slots)
    yield from _template((*place, "on_complete", "say"), form.on_complete.say, known, form.slots)
    for missing in sorted(set(form.slots) - set(templates.fields(form.confirm))):
        yield (
            (*place, "confirm"),
            f'the read-back leaves out "{missing}"',
            (f"add {{{missing}}} to it, so that the caller can check it"),
        )
    for slot_name, slot in form.slots.items():
        yield from _slot((*place, "slots", slot_name), slot_name, slot, known, has_hours)


def _slot(
    place: Place, name: str, slot: Slot, known: set[str] | None, has_hours: bool
) -> Iterator[Fault]:
    yield from _template((*place, "ask"), slot.ask, known)
    yield from _template((*place, "ack"), slot.ack, known, (name,))
    fitting = _CHECKS_OF_TYPE.get(slot.type, set())
    for key, value in slot.check.model_dump(exclude_none=True).items():
        at = (*place, "check", key)
        if key not in fitting:
            yield (
                at,
                f'"{key}" does not fit a slot of type {slot.type}',
                (f"use {', '.join(sorted(fitting))}" if fitting else "take the check away"),
            )
        if isinstance(value, str):
            yield from _template(at, value, known, (name, *_WHEN))
    if slot.check.closed and not has_hours:
        yield (
            (*place, "check", "closed"),
            "this needs opening hours",
            ("add opening_hours to the facts"),
        )
    yield from _limits(place, slot.check)


def _limits(place: Place, check: Check) -> Iterator[Fault]:
    if check.min is not None and check.max is not None and check.min > check.max:
        yield (*place, "check", "min"), "min is larger than max", "swap the two"
    for limit, sentence in (("min", "too_few"), ("max", "too_many"), ("days_ahead", "too_far")):
        if (getattr(check, limit) is None) != (getattr(check, sentence) is None):
            there = limit if getattr(check, limit) is not None else sentence
            other = sentence if there == limit else limit
            yield (*place, "check", there), f'"{there}" needs "{other}" beside it', f"add {other}"


def _repairs(file: AgentFile) -> Iterator[Fault]:
    for index, repair in enumerate(file.repairs):
        place: Place = ("repairs", index)
        heard, meant = templates.fields(repair.heard), templates.fields(repair.meant)
        for key, text in (("heard", repair.heard), ("meant", repair.meant)):
            yield from _template((*place, key), text, {"number", "day"})
            if not read(text.replace("*", "")).words:
                yield (*place, key), f'"{text}" holds no words', "write words"
        if len(set(heard)) < len(heard):
            yield (*place, "heard"), "a field stands twice in it", "use each field once"
        for name in sorted(set(meant) - set(heard)):
            yield (
                (*place, "meant"),
                f'"{{{name}}}" is not in heard',
                "use it in both, or in neither",
            )


def _digits(file: AgentFile) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for name, intent in file.intents.items():
        if intent.digit and intent.digit in seen:
            yield (
                ("intents", name, "digit"),
                f"digit {intent.digit} already means " + (seen[intent.digit]),
                "give this intent another digit",
            )
        if intent.digit:
            seen[intent.digit] = name
