"""Whether slot values can be accepted, by the form's checks, the opening hours and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from telebot.dialog import speaking
from telebot.dialog.actions import FieldValue
from telebot.dialog.agent_file import Form, Slot
from telebot.dialog.hours import OpeningHours
from telebot.dialog.slots.phones import MAX_DIGITS, MIN_DIGITS


@dataclass(frozen=True, slots=True)
class Refusal:
    """A slot whose value cannot stand, the sentence to say, and what fills its gaps."""

    slot: str
    template: str
    values: Mapping[str, str]


def refusal(
    form: Form, values: Mapping[str, FieldValue], hours: OpeningHours | None, now: datetime
) -> Refusal | None:
    """The first slot that cannot stand, in the form's order."""
    day = next((date.fromisoformat(str(values[name])) for name, slot in form.slots.items()
                if slot.type == "date" and name in values), None)  # fmt: skip
    for name, slot in form.slots.items():
        if name not in values:
            continue
        template = _fault(slot, values[name], day, hours, now)
        if template:
            return Refusal(name, template, {
                name: spoken(slot, values[name], now),
                "when": f"on {speaking.day(day, now.date())}" if day else "",
                "when_hours": hours.spoken_on(day) if hours and day else "",
            })  # fmt: skip
    return None


def spoken(slot: Slot, value: FieldValue, now: datetime) -> str:
    """A slot's value as the voice says it."""
    match slot.type:
        case "number":
            return speaking.number(int(value))
        case "date":
            return speaking.day(date.fromisoformat(str(value)), now.date())
        case "time":
            return speaking.clock(time.fromisoformat(str(value)))
        case "phone":
            return speaking.phone(str(value))
        case "day":
            return str(value).title()
        case _:
            return str(value)


def _fault(
    slot: Slot, value: FieldValue, day: date | None, hours: OpeningHours | None, now: datetime
) -> str | None:
    match slot.type:
        case "number":
            return _number_fault(slot, int(value))
        case "date":
            return _date_fault(slot, date.fromisoformat(str(value)), hours, now.date())
        case "time":
            return _time_fault(slot, time.fromisoformat(str(value)), day, hours, now)
        case "phone":
            digits = sum(letter.isdigit() for letter in str(value))
            return None if MIN_DIGITS <= digits <= MAX_DIGITS else slot.check.too_short
        case _:
            return None


def _number_fault(slot: Slot, value: int) -> str | None:
    check = slot.check
    if check.min is not None and value < check.min:
        return check.too_few
    if check.max is not None and value > check.max:
        return check.too_many
    return None


def _date_fault(slot: Slot, value: date, hours: OpeningHours | None, today: date) -> str | None:
    check = slot.check
    if check.past and value < today:
        return check.past
    if check.days_ahead and value > today + timedelta(days=check.days_ahead):
        return check.too_far
    if check.closed and hours and not hours.on(value):
        return check.closed
    return None


def _time_fault(
    slot: Slot, value: time, day: date | None, hours: OpeningHours | None, now: datetime
) -> str | None:
    check = slot.check
    last = check.last_minutes or 0
    if check.closed and hours:
        fits = hours.is_open(day, value, last) if day else hours.ever_open(value)
        if not fits:
            return check.closed
    if check.past and day == now.date() and value <= now.time():
        return check.past
    return None
