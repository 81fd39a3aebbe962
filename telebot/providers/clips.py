"""Work that is no call: a recording to text, a text to sound, whole. What vendors' files offer.

A vendor's `NAME_clips.py` builds a `Transcriber` or a `Speaker` (`registry.TRANSCRIBERS`,
`SPEAKERS`) for one request's key; `telebot/voice/` picks one, tries the next where it fails, and
counts. Each asks its vendor once: to ask again is the router's business. What goes wrong is a
`ClipFailed` with its cause; no key and no word of the vendor's stands in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from telebot.audio import wav
from telebot.call.errors import ProviderError
from telebot.providers.failure import Cause, Failure

Task = Literal["transcribe", "translate"]  # translate: to English
# what a vendor may be able to do beyond the text; a request may demand it
HearingAbility = Literal[
    "language", "words", "confidence", "speakers", "translate", "prompt", "partials"
]
SpeakingAbility = Literal["language", "speed", "instructions", "any_voice"]


class ClipFailed(ProviderError):
    """A vendor did not do it; `failure` says why, in words that do not depend on the vendor."""

    def __init__(self, failure: Failure, message: str = "") -> None:
        super().__init__(message or failure.cause.value)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Use:
    """Something the vendor bills, in the units of `call.model.Usage`."""

    quantity: float
    unit: str


@dataclass(frozen=True, slots=True)
class Sound:
    """16-bit mono PCM, little-endian."""

    pcm16: bytes = field(repr=False)
    rate_hz: int

    @property
    def seconds(self) -> float:
        return len(self.pcm16) / 2 / self.rate_hz

    def wav(self) -> bytes:
        """A file of it; a new one for every vendor that is asked."""
        return wav.written(self.pcm16, self.rate_hz)


@dataclass(frozen=True, slots=True)
class Recording:
    """What is to be heard, and what is wanted of it. `language` is a BCP 47 tag (``de``,
    ``en-GB``) or None where nobody knows; `options` go to the vendor as they are."""

    sound: Sound
    language: str | None = None
    task: Task = "transcribe"
    words: bool = False
    speakers: bool = False
    prompt: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was heard, in seconds of the recording; `speaker` is a name or a number of
    the vendor's."""

    text: str
    start_s: float
    end_s: float
    confidence: float | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said; `confidence` is 0 to 1. `uses` is empty where the vendor does not say what it
    bills: the router then counts the recording's seconds."""

    text: str
    language: str | None = None
    confidence: float | None = None
    words: tuple[Word, ...] = ()
    uses: tuple[Use, ...] = ()


class Transcriber(Protocol):
    """One vendor and model with one key. Not connected before it is asked; keeps no state of a
    request, so that several may ask at once."""

    model: str
    abilities: frozenset[HearingAbility]
    longest_s: float  # of one recording; the router cuts longer ones at silences

    async def transcribe(self, recording: Recording) -> Transcript:
        """Raises `ClipFailed`. Cancelling it ends the vendor's request too."""
        ...


@runtime_checkable
class Streams(Protocol):
    """A transcriber that shows its text while it grows."""

    def partials(self, recording: Recording) -> AsyncIterator[str | Transcript]:
        """The whole text so far, again and again; the `Transcript` last. Raises `ClipFailed`."""
        ...


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be said and how. `voice` None is the vendor's usual one; `speed` 1.0 its own;
    where `keep` is False neither the text nor its sound may be kept for later."""

    text: str
    voice: str | None = None
    language: str | None = None
    speed: float = 1.0
    instructions: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    keep: bool = True


class Speaker(Protocol):
    """One vendor and model with one key, as a `Transcriber`."""

    model: str
    abilities: frozenset[SpeakingAbility]
    longest: int  # characters of one request; the router cuts longer texts between sentences
    rate_hz: int  # of what it gives

    def speak(self, script: Script) -> AsyncIterator[bytes]:
        """Whole samples of int16 mono at `rate_hz`, as they come; closing the iterator ends the
        vendor's request. Raises `ClipFailed`, also in the middle."""
        ...

    def uses(self, script: Script) -> tuple[Use, ...]:
        """What the vendor bills for it."""
        ...


@dataclass(frozen=True, slots=True)
class VoiceRow:
    """A voice as its vendor lists it."""

    id: str
    name: str = ""
    language: str | None = None
    gender: str | None = None
    preview_url: str | None = None


@runtime_checkable
class SpeaksFiles(Protocol):
    """A speaker that gives the sound in other formats too (`files`, of `audio.files.FORMATS`), for
    whoever wants just that: nothing is coded anew."""

    files: frozenset[str]

    def speak_file(self, script: Script, kind: str) -> AsyncIterator[bytes]:
        """The file as it comes. Raises `ClipFailed`."""
        ...


@runtime_checkable
class ListsVoices(Protocol):
    """A speaker whose vendor can be asked for its voices."""

    async def voices(self) -> list[VoiceRow]:
        """Raises `ClipFailed`."""
        ...


def characters(script: Script) -> tuple[Use, ...]:
    """The usual bill of a voice."""
    return (Use(float(len(script.text)), "characters"),)


def mean(sure: Iterable[float | None]) -> float | None:
    """How sure a vendor is of the whole, that tells it of parts."""
    known = [each for each in sure if each is not None]
    return round(sum(known) / len(known), 4) if known else None


def lost(cause: Cause, message: str = "", retry_after_s: float | None = None) -> ClipFailed:
    """A failure to raise."""
    return ClipFailed(Failure(cause, retry_after_s), message)
