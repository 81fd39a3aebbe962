"""Speech to speech without the telephone: what a vendor's session has to be for
`speech/direct.py`, which passes a client's audio through at the full band.

The vendor hears, takes the turns, thinks and speaks; it says what it does by these events. A
session of the calls (`realtime.py`) is another thing: there the turns are ours, and the band is the
telephone's. `registry.py` lists who has one. Built per session, `open` once, `close` once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from telebot.providers.failure import CAUSES, Cause, Failure
from telebot.providers.vendor_error import VendorError


@dataclass(frozen=True, slots=True)
class Manner:
    """How the model is to be: "" is the vendor's usual. `language` is a BCP 47 tag."""

    instructions: str = ""
    language: str = ""
    voice: str = ""


@dataclass(frozen=True, slots=True)
class CallerStarts:
    """Speech begins: what is being said is over."""


@dataclass(frozen=True, slots=True)
class CallerStops:
    """It has ended, `silence_s` ago; an answer follows."""

    silence_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CallerText:
    """What was said; not `final`: as far as it is understood."""

    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class ReplyStarts:
    """An answer begins."""


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """More of it: int16 mono at the session's `rate_hz`."""

    pcm16: bytes


@dataclass(frozen=True, slots=True)
class ReplyText:
    """More of its words."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplyEnds:
    """All of it has come."""


@dataclass(frozen=True, slots=True)
class Used:
    """Something that the vendor bills, as `call.model.Usage` names it; `provider` where it is not
    the session's own model."""

    quantity: float
    unit: str
    kind: str = "realtime"
    provider: str = ""


DirectEvent = (
    CallerStarts
    | CallerStops
    | CallerText
    | ReplyStarts
    | ReplyAudio
    | ReplyText
    | ReplyEnds
    | Used
)


class DirectSession(Protocol):
    """One vendor's session. Everything raises ProviderError (also `vendor_error.VendorError`) where
    the session is over."""

    rate_hz: int  # of audio both ways

    async def open(self, manner: Manner, history: Sequence[Mapping[str, Any]]) -> None:
        """Connected, and told what was said before (messages with `role` and `content`)."""
        ...

    async def hear(self, pcm16: bytes) -> None:
        """The client's audio, all of it."""
        ...

    async def say(self, text: str) -> None:
        """A turn that is typed; an answer follows."""
        ...

    def cut(self, heard_s: float) -> None:
        """What is being answered is over, as of now; so much of its audio was heard."""
        ...

    async def tell_cut(self) -> None:
        """Let the vendor know of what was cut; it may have begun another answer by then."""
        ...

    async def change(self, manner: Manner) -> None:
        """Be otherwise from the next answer on."""
        ...

    def events(self) -> AsyncIterator[DirectEvent]:
        """Until the session is over, which raises."""
        ...

    async def close(self) -> None:
        """Idempotent."""
        ...


def prompt(manner: Manner) -> str:
    """The instructions, with the language among them: a model that hears follows what it is told,
    not a field."""
    if not manner.language:
        return manner.instructions
    speak = f"Speak the language whose BCP 47 tag is {manner.language}."
    return f"{manner.instructions}\n{speak}".strip()


def failure_of(error: BaseException) -> Failure:
    """Why a session could not be opened, or broke off."""
    if isinstance(error, TimeoutError):
        return Failure(Cause.SLOW_START)
    if isinstance(error, VendorError):
        return Failure(CAUSES.get(error.category, Cause.ERROR))
    return Failure(Cause.UNREACHABLE)
