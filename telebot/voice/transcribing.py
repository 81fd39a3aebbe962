"""A recording to text by whoever can: cut where it is too long for them, put together again.

An empty text of a recording that is clearly loud is a failure, and the next one is asked. Next:
`attempts.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import pairwise

from telebot.providers.clips import (
    Recording,
    Sound,
    Streams,
    Transcriber,
    Transcript,
    Use,
    lost,
)
from telebot.providers.failure import Cause
from telebot.providers.voicing import find_speech, quiet_point, to_float
from telebot.voice.attempts import Attempts
from telebot.voice.offers import Offer
from telebot.voice.preferences import Preferences

LONGEST_S = 4 * 3600.0
CUT_WITHIN_S = 30.0
LEAST_S, FACTOR = 20.0, 1.0  # a transcription may take so long, and as long as the recording
LOOK_S, LOOKS = 20.0, 9
MOST_SHOWN = 64  # texts that wait to be shown
CLEAR_S = 0.5  # this much voiced sound has words in it


@dataclass(frozen=True, slots=True)
class Transcribed:
    """A whole answer and who gave it."""

    transcript: Transcript
    offer: Offer
    uses: tuple[Use, ...]


def needs(recording: Recording) -> frozenset[str]:
    """The abilities that a recording's wishes ask for."""
    wanted = {
        "words": recording.words,
        "speakers": recording.speakers,
        "translate": recording.task == "translate",
        "prompt": bool(recording.prompt),
    }
    return frozenset(name for name, asked in wanted.items() if asked)


async def transcribe(
    recording: Recording, offers: list[Offer], attempts: Attempts, prefers: Preferences
) -> Transcribed:
    """The text, by the first of `offers` that hears it. Raises `ApiError`."""

    async def hear(hears: Transcriber, asked: Recording) -> Transcript:
        return await _whole(hears, asked, attempts)

    return await _by_one(recording, offers, attempts, prefers, hear)


async def _by_one(
    recording: Recording,
    offers: list[Offer],
    attempts: Attempts,
    prefers: Preferences,
    hear: Callable[[Transcriber, Recording], Awaitable[Transcript]],
) -> Transcribed:
    loud: bool | None = None  # looked at where it matters: it costs more than all the rest here
    within_s = LEAST_S + FACTOR * recording.sound.seconds
    attempts.told_how = frozenset(prefers.options)

    async def work(offer: Offer) -> Transcript:
        nonlocal loud
        asked = replace(recording, options=prefers.options.get(offer.provider, {}))
        try:
            async with asyncio.timeout(within_s):
                heard = await hear(offer.hears, asked)
        except TimeoutError:
            raise lost(Cause.STALLED, f"no transcript within {within_s:.0f} s") from None
        if not heard.text and loud is None:
            loud = await attempts.beside(_sounds, recording)
        if not heard.text and loud:
            raise lost(Cause.EMPTY, "no words for a recording that is clearly loud")
        return heard

    offer, heard = await attempts.first_that_can(offers, work, seconds=recording.sound.seconds)
    return Transcribed(heard, offer, _uses(heard, recording))


async def stream(
    recording: Recording,
    offers: list[Offer],
    attempts: Attempts,
    prefers: Preferences,
    done: Callable[[Transcribed], None],
) -> AsyncIterator[str]:
    """The text so far, again and again; `done` gets the whole answer at the end. One that fails in
    the middle is followed by the next, which begins again: the text may change."""
    latest = _Latest()

    async def hear(hears: Transcriber, asked: Recording) -> Transcript:
        if isinstance(hears, Streams) and asked.sound.seconds <= hears.longest_s:
            return await _shown(hears, asked, latest)
        return await _whole(hears, asked, attempts)

    async def all_of_it() -> None:
        try:
            done(await _by_one(recording, offers, attempts, prefers, hear))
        finally:
            latest.end()

    task = asyncio.create_task(all_of_it())
    try:
        while (text := await latest.get()) is not None:
            yield text
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Latest:
    """Hands the newest texts over: who reads slowly misses some, and holds nobody up."""

    def __init__(self) -> None:
        self._texts: deque[str] = deque(maxlen=MOST_SHOWN)
        self._ended = False
        self._news = asyncio.Event()

    def put(self, text: str) -> None:
        self._texts.append(text)
        self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    async def get(self) -> str | None:
        """The next one; None at the end."""
        await self._news.wait()
        text = self._texts.popleft() if self._texts else None
        if not self._texts and not self._ended:
            self._news.clear()
        return text


async def _shown(hears: Streams, recording: Recording, latest: _Latest) -> Transcript:
    last: Transcript | None = None
    async with aclosing(hears.partials(recording)) as growing:  # type: ignore[type-var]
        async for each in growing:
            if isinstance(each, Transcript):
                last = each
            else:
                latest.put(each)
    if last is None:
        raise lost(Cause.STALLED, "the text ended in the middle")
    return last


async def _whole(hears: Transcriber, recording: Recording, attempts: Attempts) -> Transcript:
    """The text of a recording of any length. Raises `ClipFailed`."""
    if recording.sound.seconds <= hears.longest_s:
        return await hears.transcribe(recording)
    sound = recording.sound
    cuts = await attempts.beside(_cuts, sound, hears.longest_s)
    heard, at_s, prompt = [], 0.0, recording.prompt
    for begin, end in pairwise(cuts):  # one piece at a time: all of them were the whole once more
        part = Sound(sound.pcm16[begin:end], sound.rate_hz)
        each = await hears.transcribe(replace(recording, sound=part, prompt=prompt))
        heard.append((at_s, each))
        at_s += part.seconds
        prompt = recording.prompt or each.text[-200:]  # so that names are written alike
    return _joined(heard)


def _joined(heard: list[tuple[float, Transcript]]) -> Transcript:
    sure = [each.confidence for _, each in heard if each.confidence is not None]
    uses: dict[str, float] = {}
    for _, each in heard:
        for use in each.uses:
            uses[use.unit] = uses.get(use.unit, 0.0) + use.quantity
    return Transcript(
        " ".join(each.text for _, each in heard if each.text),
        next((each.language for _, each in heard if each.language), None),
        sum(sure) / len(sure) if sure else None,
        tuple(
            replace(word, start_s=word.start_s + at_s, end_s=word.end_s + at_s)
            for at_s, each in heard
            for word in each.words
        ),
        tuple(Use(quantity, unit) for unit, quantity in uses.items()),
    )


def _cuts(sound: Sound, longest_s: float) -> list[int]:
    """Where the recording begins, is cut and ends, in bytes: pieces of at most `longest_s`, each
    cut where it is quiet."""
    pcm16, longest = sound.pcm16, round(longest_s * sound.rate_hz) * 2
    cuts = [0]
    while len(pcm16) - cuts[-1] > longest:
        piece = to_float(pcm16[cuts[-1] : cuts[-1] + longest])
        cuts.append(cuts[-1] + quiet_point(piece, sound.rate_hz, CUT_WITHIN_S) * 2)
    return [*cuts, len(pcm16)]


def _sounds(recording: Recording) -> bool:
    """Whether somebody clearly speaks in its first minutes."""
    rate_hz, pcm16 = recording.sound.rate_hz, recording.sound.pcm16
    step = round(LOOK_S * rate_hz) * 2
    for at in range(0, min(len(pcm16), LOOKS * step), step):
        speech = find_speech(to_float(pcm16[at : at + step]), rate_hz)
        if speech is not None and speech.voiced_s >= CLEAR_S:
            return True
    return False


def _uses(heard: Transcript, recording: Recording) -> tuple[Use, ...]:
    """What the vendor says it bills; the recording's length too, by which some bill whatever else
    they count."""
    if any(use.unit == "s" for use in heard.uses):
        return heard.uses
    return (*heard.uses, Use(round(recording.sound.seconds, 3), "s"))
