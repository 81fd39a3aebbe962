"""What the caller does, item by item, and the call that follows it.

The command line's flags become `Item`s in the order given; `perform` holds the conversation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from telebot.phone.microphone import Utterance
from telebot.phone.phone import Phone
from telebot.phone.sound import read_wav, utterance
from telebot.phone.turns import Turn
from telebot.phone.voices import Speech

PAUSE = re.compile(r"\[pause (\d+(?:\.\d+)?)\]")
DIGITS = re.compile(r"[0-9A-D*#]{1,64}")
LONGEST_PAUSE_S = 30.0
LONGEST_TEXT = 2000


class BadItem(ValueError):
    """An item that cannot be performed; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing the caller does. `kind` is ``say``, ``wav``, ``dtmf`` or ``wait``.

    `after_s` is set where the bot is spoken over, that long after its reply began."""

    kind: str
    text: str = ""
    pauses: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0
    after_s: float | None = None


@dataclass(slots=True)
class Script:
    """Items and the utterances made for them before the call."""

    items: Sequence[Item]
    utterances: dict[Item, Utterance] = field(default_factory=dict)

    async def prepare(self, speech: Speech) -> None:
        """Speak and read everything now, so that nothing is made during the call.

        Raises `BadSound`."""
        for item in self.items:
            if item.kind == "say":
                self.utterances[item] = await speech.speak(item.text, item.pauses)
            elif item.kind == "wav":
                self.utterances[item] = utterance(item.text, read_wav(Path(item.text)))


def say(text: str, after_s: float | None = None) -> Item:
    """An item out of ``--say``; ``[pause 1.0]`` between words is silence. Raises `BadItem`."""
    if text.startswith("dtmf:"):
        return dtmf(text.removeprefix("dtmf:"))
    words: list[str] = []
    pauses: list[tuple[int, float]] = []
    at = 0
    for found in PAUSE.finditer(text):
        words += text[at : found.start()].split()
        at, seconds = found.end(), float(found[1])
        if not words or seconds > LONGEST_PAUSE_S:
            raise BadItem(f"{text!r}: a pause stands after a word, {LONGEST_PAUSE_S:.0f} s at most")
        pauses.append((len(words), seconds))
    rest = text[at:].split()
    if (not words and not rest) or len(text) > LONGEST_TEXT:
        raise BadItem(f"say one to {LONGEST_TEXT} characters of text")
    if pauses and not rest:
        raise BadItem(f"{text!r}: words must follow the last pause")
    return Item("say", " ".join(words + rest), tuple(pauses), after_s=after_s)


def dtmf(digits: str) -> Item:
    """An item out of ``--dtmf``. Raises `BadItem`."""
    if not DIGITS.fullmatch(digits):
        raise BadItem(f"{digits!r}: keys are 0-9, *, # and A-D")
    return Item("dtmf", digits)


def interrupt(seconds: str, text: str) -> Item:
    """An item out of ``--interrupt``. Raises `BadItem`."""
    return say(text, _seconds(seconds))


def wait(seconds: str) -> Item:
    """An item out of ``--wait``. Raises `BadItem`."""
    return Item("wait", seconds=_seconds(seconds))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 600:
        raise BadItem(f"{text!r}: write seconds, 0 to 600")
    return seconds


async def perform(phone: Phone, script: Script, show: Callable[[Turn], None]) -> None:
    """Hear the greeting, then do one item after the other until the bot hangs up."""
    over_next = [item.after_s is not None for item in script.items[1:]] + [False]
    shown = 0
    if not script.items or script.items[0].after_s is None:
        await phone.heard()
        shown = _show(phone, shown, show)
    for item, interrupted in zip(script.items, over_next, strict=True):
        if phone.over:
            break
        await _do(phone, item, script.utterances.get(item))
        if interrupted:
            continue  # the next item speaks into the reply
        if item.kind != "wait":
            await phone.heard()
        shown = _show(phone, shown, show)
    await phone.understand()
    _show(phone, shown, show)


async def _do(phone: Phone, item: Item, made: Utterance | None) -> None:
    if item.after_s is not None:
        await phone.into_reply(item.after_s)
    if made is not None:
        await phone.utter(made, item.kind)
    elif item.kind == "dtmf":
        await phone.press(item.text)
    else:
        await phone.silence(item.seconds)


def _show(phone: Phone, shown: int, show: Callable[[Turn], None]) -> int:
    for turn in phone.turns[shown:]:
        show(turn)
    return len(phone.turns)
