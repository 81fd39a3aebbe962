"""A recording heard by whoever can, and written down, whoever asked for it. Next:
`transcribing.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from telebot.providers.clips import Recording, Use
from telebot.voice import transcribing
from telebot.voice.books import Entry
from telebot.voice.done import Done
from telebot.voice.offers import Offer
from telebot.voice.preferences import Preferences
from telebot.voice.routing import Usual, Wish
from telebot.voice.service import Voice
from telebot.voice.tailoring import PLAINLY, Under
from telebot.voice.transcribing import Transcribed


@dataclass(frozen=True, slots=True)
class ToHear:
    """A recording, and who may hear it: of a request that names `model` and `prefers`; `usual` are
    those that are asked where nobody is named."""

    recording: Recording
    model: str | None
    prefers: Preferences
    under: Under = PLAINLY  # what its user and the flags chose
    usual: Usual = None

    @property
    def wish(self) -> Wish:
        """As the router takes it."""
        needs = transcribing.needs(self.recording)
        return Wish("stt", self.model, self.prefers, needs, usual=self.usual)

    @property
    def length(self) -> tuple[Use, ...]:
        """What most vendors bill of it."""
        return (Use(round(self.recording.sound.seconds, 3), "s"),)


async def _at_once() -> None:
    """Nothing is to be made ready."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Somebody who follows it: `show` gets the text while it grows, `ready` is awaited once it is
    known whom to ask."""

    show: Callable[[str], Awaitable[None]]
    ready: Callable[[], Awaitable[None]] = _at_once


async def heard(
    voice: Voice, key_id: str, asked: ToHear, watch: Watch | None = None
) -> tuple[Transcribed, Done]:
    """The text by whoever can, written down. Raises `ApiError`."""
    entry = voice.entry("stt", key_id, asked.under)
    offers = voice.router.ordered(asked.wish, await voice.keys(key_id, "stt"))
    whole = list[Transcribed]()
    async with voice.within_budget(key_id, offers, asked.length):
        with entry.while_asked(lambda _: whole[0].uses if whole else asked.length):
            found = await _found(asked, offers, entry, watch, whole)
        return found, entry.done(found.offer, found.uses)


async def _found(
    asked: ToHear, offers: list[Offer], entry: Entry, watch: Watch | None, whole: list[Transcribed]
) -> Transcribed:
    """`whole` gets the answer as soon as it is there; it may not be shown any more."""
    recording, prefers = asked.recording, asked.prefers
    if watch is None:
        return await transcribing.transcribe(recording, offers, entry.attempts, prefers)
    await watch.ready()
    shown = transcribing.stream(recording, offers, entry.attempts, prefers, whole.append)
    async with aclosing(shown) as texts:  # type: ignore[type-var]
        async for text in texts:
            entry.first()
            await watch.show(text)
    return whole[0]
