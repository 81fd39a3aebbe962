"""A recording heard by whoever can, and written down, whoever asked for it. Next:
`transcribing.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from telebot.call.errors import ApiError
from telebot.providers.clips import Recording, Use
from telebot.voice import transcribing
from telebot.voice.attempts import Attempts
from telebot.voice.offers import Offer
from telebot.voice.preferences import Preferences
from telebot.voice.routing import Usual, Wish
from telebot.voice.service import Done, Voice
from telebot.voice.tailoring import PLAINLY, Under
from telebot.voice.transcribing import Transcribed


async def heard(
    voice: Voice,
    key_id: str,
    recording: Recording,
    model: str | None,
    prefers: Preferences,
    *,
    under: Under = PLAINLY,
    usual: Usual = None,
    show: Callable[[str], Awaitable[None]] | None = None,
    ready: Callable[[], Awaitable[None]] | None = None,
) -> tuple[Transcribed, Done]:
    """The text by whoever can, written down. `show` gets it while it grows, `ready` is awaited once
    it is known whom to ask; `usual` are those that are asked where nobody is named. Raises
    `ApiError`."""
    began, attempts = voice.clock(), voice.attempts(key_id, under)
    wish = Wish("stt", model, prefers, transcribing.needs(recording), usual=usual)
    offers = voice.router.ordered(wish, await voice.keys(key_id, "stt"))
    about = (Use(round(recording.sound.seconds, 3), "s"),)
    async with voice.within_budget(key_id, offers, about):
        return await _heard(
            voice,
            key_id,
            recording,
            offers=offers,
            prefers=prefers,
            attempts=attempts,
            began=began,
            show=show,
            ready=ready,
        )


async def _heard(
    voice: Voice,
    key_id: str,
    recording: Recording,
    *,
    offers: list[Offer],
    prefers: Preferences,
    attempts: Attempts,
    began: float,
    show: Callable[[str], Awaitable[None]] | None,
    ready: Callable[[], Awaitable[None]] | None,
) -> tuple[Transcribed, Done]:
    first_at, whole = None, list[Transcribed]()
    try:
        if ready is not None:
            await ready()
        if show is None:
            found = await transcribing.transcribe(recording, offers, attempts, prefers)
        else:
            shown = transcribing.stream(recording, offers, attempts, prefers, whole.append)
            async with aclosing(shown) as texts:  # type: ignore[type-var]
                async for text in texts:
                    first_at = first_at or voice.clock()
                    await show(text)
            found = whole[0]
    except ApiError as error:
        voice.finish("stt", key_id, began, attempts, error=error.code)
        raise
    except (asyncio.CancelledError, ConnectionError):  # who asked has gone; it costs all the same
        heard_so_far = (Use(round(recording.sound.seconds, 3), "s"),)
        voice.finish(
            "stt",
            key_id,
            began,
            attempts,
            offer=attempts.asking,
            uses=whole[0].uses if whole else heard_so_far,
            first_at=first_at,
            error="cancelled",
        )
        raise
    return found, voice.finish(
        "stt", key_id, began, attempts, offer=found.offer, uses=found.uses, first_at=first_at
    )
