"""A text to sound by whoever can: cut between sentences where too long, passed on as it comes.

Until the first sound that can be heard has come, another one may take over unnoticed; a voice that
sends silence has failed. Afterwards a failure ends the stream, and says so. Next:
`attempts.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import cast

from telebot.call.errors import ApiError
from telebot.providers.clips import ClipFailed, Script, Speaker, SpeaksFiles, Use, lost
from telebot.providers.failure import Cause
from telebot.providers.sentences import sentences
from telebot.voice.attempts import Attempts, as_failures
from telebot.voice.ears import EARS, Ear, PcmEar
from telebot.voice.offers import Offer
from telebot.voice.preferences import Preferences
from telebot.voice.waiting import Waited

FIRST_S, STALL_S = 10.0, 10.0  # to the first sound, between two pieces
MOST_SILENCE_S = 3.0  # before the first sound
FASTEST_CHARS_S = 45.0  # nobody speaks so fast: audio that is shorter lacks something
SLOWEST_S, LEAST_S = 3.0, 60.0  # of a character: a number's digits are words; of any text

PCM = "pcm"


@dataclass(slots=True)
class Spoken:
    """Audio on its way: `pieces` are int16 at `rate_hz` (`kind` ``pcm``), or of a file of `kind`.
    Close it (`aclosing`) to stop the provider and give its place in the queue back."""

    offer: Offer
    ear: Ear
    kind: str
    pieces: AsyncGenerator[bytes, None]
    uses: tuple[Use, ...]
    attempts: Attempts
    source: AsyncGenerator[bytes, None]
    waited: Waited = field(default_factory=Waited)

    @property
    def rate_hz(self) -> int:
        return self.ear.rate_hz

    async def aclose(self) -> None:
        """Idempotent. A generator that was never begun closes nothing, so its source is too."""
        try:
            await self.pieces.aclose()
            await self.source.aclose()
        finally:
            self.attempts.let_go()


def needs(script: Script) -> frozenset[str]:
    """The abilities that a script's wishes ask for."""
    wanted = {
        "speed": script.speed != 1.0,
        "instructions": bool(script.instructions),
        "language": script.language is not None,
    }
    return frozenset(name for name, asked in wanted.items() if asked)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A voice from which a sound has come."""

    first: list[bytes]
    rest: AsyncGenerator[bytes, None]
    ear: Ear
    kind: str
    waited: Waited


async def speak(
    script: Script,
    offers: list[Offer],
    attempts: Attempts,
    prefers: Preferences,
    wanted: str = PCM,
) -> Spoken:
    """The voice of the first of `offers` from which a sound has come. `wanted` is the format that
    the sound will have in the end: who gives just that is taken as it is, others give PCM. Raises
    `ApiError`."""

    async def work(offer: Offer) -> _Begun:
        asked = replace(
            script,
            voice=script.voice or attempts.under.voices.get(offer.provider),
            options=prefers.options.get(offer.provider, {}),
        )
        voice = offer.speaks
        kind = wanted if _gives(voice, wanted, script) else PCM
        ear = EARS[kind]() if kind != PCM else PcmEar(voice.rate_hz)
        stream = _whole(voice, asked) if kind == PCM else _file(voice, asked, kind)
        waited = Waited()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(stream.aclose)
            first = await _first_sound(stream, ear, waited)
            undo.pop_all()
        return _Begun(first, stream, ear, kind, waited)

    attempts.told_how = frozenset(prefers.options)
    offer, begun = await attempts.first_that_can(offers, work, len(script.text), keep=True)
    uses, rest = offer.speaks.uses(script), begun.rest
    spoken = Spoken(offer, begun.ear, begun.kind, rest, uses, attempts, rest, begun.waited)
    spoken.pieces = _passed_on(spoken, begun.first, script)
    return spoken


async def whole(
    script: Script,
    offers: list[Offer],
    attempts: Attempts,
    prefers: Preferences,
    wanted: str = PCM,
) -> tuple[Spoken, bytes]:
    """All of the audio at once; one that fails in the middle is followed by the next."""
    left = offers
    while True:
        spoken = await speak(script, left, attempts, prefers, wanted)
        try:
            async with aclosing(spoken):
                return spoken, b"".join([piece async for piece in spoken.pieces])
        except ApiError:
            left = left[left.index(spoken.offer) + 1 :]
            if not left:
                raise


async def _passed_on(
    spoken: Spoken, first: list[bytes], script: Script
) -> AsyncGenerator[bytes, None]:
    ear, attempts, rest = spoken.ear, spoken.attempts, spoken.source
    try:
        with as_failures(spoken.offer):
            for piece in first:
                yield piece
            most_s = LEAST_S + SLOWEST_S * len(script.text) / script.speed
            async for piece in _in_time(rest, STALL_S, spoken.waited):
                ear.feed(piece)
                if ear.seconds > most_s:
                    raise lost(Cause.ERROR, "audio longer than its text can be")
                yield piece
            said = sum(map(str.isalnum, script.text))  # blanks and dots take no time
            if ear.seconds * max(1.0, script.speed) < said / FASTEST_CHARS_S:
                raise lost(Cause.SHORT, "audio shorter than its text can be")
            attempts.router.breaker(spoken.offer).worked(len(script.text), spoken.waited.s)
    except ClipFailed as failed:
        raise _late(spoken, attempts, failed) from failed
    finally:
        await rest.aclose()


def _late(spoken: Spoken, attempts: Attempts, failed: ClipFailed) -> ApiError:
    attempts.failed_late(spoken.offer, failed)
    return attempts.given_up(failed)


async def _first_sound(stream: AsyncIterator[bytes], ear: Ear, waited: Waited) -> list[bytes]:
    """The pieces up to the first that can be heard. Raises `ClipFailed` where there is none."""
    pieces: list[bytes] = []
    async for piece in _in_time(stream, FIRST_S, waited):
        pieces.append(piece)
        ear.feed(piece)
        if ear.audible:
            return pieces
        if ear.seconds > MOST_SILENCE_S:
            break
    raise lost(Cause.SILENT, "silence instead of speech" if pieces else "no audio")


async def _in_time(
    stream: AsyncIterator[bytes], within_s: float, waited: Waited | None = None
) -> AsyncIterator[bytes]:
    waited = waited or Waited()
    while True:
        try:
            with waited:
                async with asyncio.timeout(within_s):
                    piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise lost(Cause.STALLED, f"no audio for {within_s:.0f} s") from None
        if piece:
            yield piece


def _gives(voice: Speaker, wanted: str, script: Script) -> bool:
    """Whether this voice's own file of `wanted` is taken: one that can be followed, of one part."""
    if wanted not in EARS or len(script.text) > voice.longest:
        return False
    return isinstance(voice, SpeaksFiles) and wanted in voice.files


async def _file(voice: Speaker, script: Script, kind: str) -> AsyncGenerator[bytes, None]:
    """A text in the voice's own coding."""
    files = cast("SpeaksFiles", voice)
    async with aclosing(files.speak_file(script, kind)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            yield piece


async def _whole(voice: Speaker, script: Script) -> AsyncGenerator[bytes, None]:
    """A text of any length, a part after the other."""
    for part in await _parts(script.text, voice.longest):
        async with aclosing(voice.speak(replace(script, text=part))) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                yield piece


async def _parts(text: str, longest: int) -> list[str]:
    """The text in parts of at most `longest` characters, cut between sentences, else words."""
    if len(text) <= longest:
        return [text]
    parts = [""]
    for sentence in await sentences([text]):
        for piece in _pieces(sentence, longest):
            if parts[-1] and len(parts[-1]) + 1 + len(piece) > longest:
                parts.append("")
            parts[-1] = f"{parts[-1]} {piece}".strip()
    return parts


def _pieces(sentence: str, longest: int) -> list[str]:
    if len(sentence) <= longest:
        return [sentence]
    pieces = [""]
    for word in sentence.split():
        for at in range(0, len(word), longest):
            part = word[at : at + longest]
            if pieces[-1] and len(pieces[-1]) + 1 + len(part) > longest:
                pieces.append("")
            pieces[-1] = f"{pieces[-1]} {part}".strip()
    return pieces
