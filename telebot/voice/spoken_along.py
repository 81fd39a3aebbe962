"""A reply's text and its sound side by side: the text goes on while its first sentences are said.

Next: `saying.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

from telebot.providers.sentences import Cutter
from telebot.voice.saying import Saying

MOST_WAITING = 32  # pieces; who reads slowly holds the vendors up


@dataclass(frozen=True, slots=True)
class Delta:
    """More of the text."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sound:
    """More of the sound, in the format that was asked for."""

    data: bytes = field(repr=False)


Piece = Delta | Sound


async def spoken_along(
    pieces: AsyncIterator[str], saying: Saying | None
) -> AsyncGenerator[Piece, None]:
    """The text as it comes, and its sound where there is to be one; that is written down at the
    end, however it comes. Raises `ApiError`."""
    if saying is None:
        async for piece in pieces:
            yield Delta(piece)
        return
    came: asyncio.Queue[Piece | None] = asyncio.Queue(MOST_WAITING)
    task = asyncio.create_task(_both(pieces, saying, came))
    over = False
    try:
        while (each := await came.get()) is not None:
            yield each
        over = True
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        saying.write_down(cancelled=not over)


async def _both(
    pieces: AsyncIterator[str], saying: Saying, came: asyncio.Queue[Piece | None]
) -> None:
    """Reads and speaks; None at the end, unless nobody waits for it any more."""
    sentences: asyncio.Queue[str | None] = asyncio.Queue()
    reading = asyncio.create_task(_read(pieces, came, sentences))
    try:
        await _speak(saying, sentences, came)
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            await came.put(None)


async def _read(
    pieces: AsyncIterator[str],
    came: asyncio.Queue[Piece | None],
    sentences: asyncio.Queue[str | None],
) -> None:
    cutter = Cutter()
    try:
        async for piece in pieces:
            await came.put(Delta(piece))
            for sentence in await cutter.feed(piece):
                sentences.put_nowait(sentence)
        for sentence in await cutter.finish():
            sentences.put_nowait(sentence)
    finally:
        sentences.put_nowait(None)


async def _speak(
    saying: Saying, sentences: asyncio.Queue[str | None], came: asyncio.Queue[Piece | None]
) -> None:
    while (sentence := await sentences.get()) is not None:
        async with aclosing(saying.sentence(sentence)) as sounds:
            async for data in sounds:
                await came.put(Sound(data))
    if data := await saying.finish():
        await came.put(Sound(data))
