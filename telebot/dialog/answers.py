"""Answers to questions; a day or a time in the question chooses among an intent's answers."""

from __future__ import annotations

from datetime import date, time

from telebot.dialog import speaking
from telebot.dialog.agent_file import Intent
from telebot.dialog.extraction import fits_hours
from telebot.dialog.intents import Hit
from telebot.dialog.slots.dates import find_dates
from telebot.dialog.slots.found import Found, blank
from telebot.dialog.slots.times import find_times
from telebot.dialog.turn import Turn


def answers(turn: Turn) -> tuple[str, ...]:
    """The answer to every question in the sentence, in its order."""
    said = [text for hit in turn.answering_hits() for text in _answer(turn, hit)]
    return tuple(dict.fromkeys(text for text in said if text))


def _answer(turn: Turn, hit: Hit) -> list[str]:
    intent = turn.agent.intents[hit.intent]
    by_day = _by_day(turn, intent, _question(turn, hit)) if intent.uses_hours else []
    return by_day or [turn.agent.say(intent.answer)]


def _question(turn: Turn, hit: Hit) -> str:
    """The clauses of a question, up to what else is wanted: "on Saturday, and on Sunday?"."""
    end = min((other.start for other in turn.hits if other.start > hit.start), default=None)
    return turn.heard.text[hit.start : end].strip()


def _by_day(turn: Turn, intent: Intent, clause: str) -> list[str]:
    """The answers for the days or the time named; empty when none was named."""
    hours = turn.agent.hours
    dates = find_dates(clause, turn.now.date(), bare=False, now=True)
    dates.sort(key=lambda found: found.start)
    day = date.fromisoformat(str(dates[0].value)) if dates else None
    times = find_times(blank(clause, dates), fits_hours(hours, day), bare=False)
    at = time.fromisoformat(str(times[0].value)) if times else None
    if hours is None or (day is None and at is None):
        return []
    if day is None:
        fits = at is not None and hours.ever_open(at)
        return [] if fits else [turn.agent.say(intent.when_other_hours or intent.answer)]
    if at is None and "now" in clause.split():
        at = turn.now.time()
    return [_on_day(turn, intent, found, at, clause) for found in dates]


def _on_day(turn: Turn, intent: Intent, found: Found, at: time | None, clause: str) -> str:
    hours, day = turn.agent.hours, date.fromisoformat(str(found.value))
    if hours is None or not hours.on(day):
        template = intent.when_closed
    elif at is not None and not hours.is_open(day, at):
        template = intent.when_other_hours
    else:
        template = intent.when_open
    spoken = hours.spoken_on(day) if hours else ""
    when = _when(found, day, turn.now.date(), clause)
    return turn.agent.say(template, {"when": when, "when_hours": spoken})


def _when(found: Found, day: date, today: date, clause: str) -> str:
    words = clause[found.start : found.end]
    if found.said == "weekday" and not words.startswith(("next", "last", "a week")):
        return f"on {speaking.weekday(day)}s"
    if (day - today).days in (0, 1):
        return "tomorrow" if day > today else "today"
    return f"on {speaking.day(day, today)}"
