"""Frames of our own that the speech providers push beside Pipecat's.

They travel from a provider in `providers/` to the phone transport and the turn logic in `speech/`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipecat.frames.frames import DataFrame, SystemFrame, TranscriptionFrame

from telebot.providers.spoken import SpokenText, Word

__all__ = [
    "CallerTurnFrame",
    "CutFrame",
    "EmptyTranscriptFrame",
    "RespondFrame",
    "SessionOpenFrame",
    "SpokenText",
    "TakeBackFrame",
    "TellFrame",
    "ToolCalledFrame",
    "UsedFrame",
    "Word",
    "WordTimesFrame",
]


@dataclass
class WordTimesFrame(DataFrame):
    """Which words some audio says, and when.

    One frame for each synthesised sentence, pushed before its first `TTSAudioRawFrame`; `audio_s`
    is the length of that sentence's audio, and word times count from its first sample. Several may
    belong to one `context_id` (one reply). With `at_s`, the sentence begins there in the reply's
    audio, and the frame may come at any time; `replaces`: it is right about the words from there
    on, and what was said of them before was a guess. `exactly`: these are a guess as well, and it
    finds out, which costs too much to do it for words that are heard to their end.
    """

    context_id: str
    words: tuple[Word, ...]
    audio_s: float
    at_s: float | None = None
    replaces: bool = False
    exactly: Callable[[], Awaitable[Sequence[Word]]] | None = None

    def spoken(self) -> SpokenText:
        """The same words with their text joined."""
        return SpokenText(" ".join(w.text for w in self.words), self.words)


@dataclass
class TakeBackFrame(DataFrame):
    """The caller is not to hear the reply's audio behind `at_s` (seconds of it): a voice broke off
    inside a word, and another one will say it.

    `left_s` is the answer of who has the audio, there when the frame was pushed: how much of the
    reply is left. None: nobody could take anything back.
    """

    at_s: float = 0.0
    left_s: float | None = None


@dataclass
class EmptyTranscriptFrame(SystemFrame):
    """The recogniser has finished a stretch of caller sound and found no words in it.

    Pushed in place of a `TranscriptionFrame` (a cough, a door, a breath). `speech_s` is how long
    the sound was, from preroll to the end the VAD saw; `failed` says that there may have been
    words but the recogniser could not be asked (its queue was full, or it broke).
    """

    speech_s: float
    failed: bool = False


# Between a chain of speech-to-speech sessions (`chain_realtime.py`) and its links' services.


@dataclass
class TellFrame(SystemFrame):
    """To a session: messages of the conversation (role, content) that it does not know yet."""

    messages: Sequence[Mapping[str, Any]] = ()


@dataclass
class RespondFrame(TellFrame):
    """To a session: the caller's turn is over, answer it; `messages` come before the answer."""


@dataclass
class CutFrame(SystemFrame):
    """To a session: the caller has interrupted, having heard `heard_s` of its reply's audio."""

    heard_s: float = 0.0


@dataclass
class SessionOpenFrame(SystemFrame):
    """A session is configured: it hears from now on."""


@dataclass
class CallerTurnFrame(TranscriptionFrame):
    """A session that decides by itself when the caller's turn is over has done so: what it
    understood. It answers without being asked."""


@dataclass
class ToolCalledFrame(SystemFrame):
    """A model calls one of the call's own functions (`realtime.TOOLS`)."""

    name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class UsedFrame(SystemFrame):
    """Something that the vendor bills. `provider` where it is not the session itself."""

    quantity: float = 0.0
    unit: str = ""
    kind: str = "realtime"
    provider: str = ""
