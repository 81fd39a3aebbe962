"""Speech to speech: what a session has to be for `chain_realtime.py`, and what all of them share.

A session is a Pipecat service that hears the caller and speaks, the whole brain of an agent. It
takes caller audio by `process_audio_frame` (int16 at 8 kHz, from the beginning of an utterance to
its end) and these frames: `VADUserStartedSpeakingFrame` and `VADUserStoppedSpeakingFrame` around an
utterance, `TellFrame`, `RespondFrame`, `CutFrame`. It pushes `SessionOpenFrame`; for what it hears
`InterimTranscriptionFrame`, then a `TranscriptionFrame` or an `EmptyTranscriptFrame`; for what it
says an `LLMFullResponseStartFrame`, `TTSAudioRawFrame`s, `LLMTextFrame`s with the same words
(`WordTimesFrame`s where it knows them), and an `LLMFullResponseEndFrame`; and an `ErrorFrame` where
it can do no more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from telebot.providers.chain import ChainListener
from telebot.providers.frames import EmptyTranscriptFrame, ToolCalledFrame, WordTimesFrame

Message = Mapping[str, Any]

END_CALL, TRANSFER = "end_call", "transfer_call"
TOOLS: Mapping[str, str] = {
    END_CALL: "Hang up. Say goodbye first; call this only when the conversation is over.",
    TRANSFER: "Put the caller through to a person. Say so first; call this only when they ask.",
}
HEARD = (InterimTranscriptionFrame, TranscriptionFrame, EmptyTranscriptFrame)
SAID = (
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    LLMTextFrame,
    WordTimesFrame,
    LLMFullResponseEndFrame,
    ToolCalledFrame,
)
WORD = re.compile(r"\w+")


class RealtimeSession(Protocol):
    """What a chain asks of a session's service directly."""

    always_hears: bool
    """It finds the caller's turns by itself, so it gets all audio, and `CallerTurnFrame`s tell."""

    answers_at_once: bool
    """The end of an utterance makes it answer; so what may be no interruption is kept from it."""

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None: ...


class Played(Protocol):
    """What the chain asks of the call's play-out."""

    @property
    def occupied(self) -> bool:
        """The bot has the floor: something is being thought about, or said."""
        ...

    @property
    def dropped(self) -> int:
        """How many times the bot has lost it."""
        ...

    @property
    def cut_s(self) -> float:
        """Of what was dropped last: seconds of its audio that were heard."""
        ...


class RealtimeListener(ChainListener, Protocol):
    """Whom the chain tells of its replies, beside what every chain tells."""

    def reply_begins(self) -> None: ...

    def reply_said(self, text: str, called: Sequence[str]) -> None:
        """A session has made a reply, and called these functions of the call with it."""
        ...


class Memory:
    """What a session knows of the conversation so far, and what it has to be told: the phrases that
    were said without it, keys, and everything before its time. What the caller said to it, and what
    it said, it knows."""

    def __init__(self) -> None:
        self._known = 0
        self._said: list[list[str]] = []
        self.heard = False  # the turn to be answered was said to it

    def said(self, text: str) -> None:
        """It has said this, or the beginning of it."""
        self._said.append(_words(text))

    def news(self, messages: Sequence[Any], keyed: str) -> list[Message]:
        """What it does not know of `messages`; `keyed` stands before digits in them."""
        fresh = messages[min(self._known, len(messages)) :]
        self._known = len(messages)
        told = [self._told(message, keyed) for message in fresh if isinstance(message, Mapping)]
        if fresh:
            self.heard = False
        return [message for message in told if message is not None]

    def _told(self, message: Message, keyed: str) -> Message | None:
        text = str(message.get("content") or "")
        if message.get("role") == "assistant":
            return None if self._own(_words(text)) else message
        if message.get("role") == "user" and self.heard:
            _, mark, digits = text.partition(keyed)
            return {"role": "user", "content": mark + digits} if mark else None
        return message

    def _own(self, words: list[str]) -> bool:
        return any(
            own[: len(words)] == words or (own and words[-len(own) :] == own) for own in self._said
        )


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())
