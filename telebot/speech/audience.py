"""Somebody who follows a conversation while it happens: a session's client (`docs/realtime.md`).

Stands between the pipeline's two ends and the conversation, and in the call's log; a call without
an audience has none of it. Next: `web/realtime/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pipecat.processors.aggregators.llm_context import LLMContext

from telebot.call.model import Call, State, Turn, Usage, WireEvent
from telebot.call.ports import CallLog
from telebot.providers.frames import WordTimesFrame
from telebot.speech.brain import DIGITS_PREFIX
from telebot.speech.replies import Listener, Replies
from telebot.speech.reply import Reply
from telebot.speech.transport import Heard, TurnGate


class Audience(Protocol):
    """Told as it happens. All return at once."""

    def state(self, state: State) -> None: ...

    def partial(self, text: str) -> None:
        """What is being said to the bot, as far as it is understood."""
        ...

    def transcript(self, turn: int, text: str) -> None:
        """A turn is over and will be answered."""
        ...

    def reply(self, turn: int, text: str) -> None:
        """What the bot says in this turn, as far as it is known."""
        ...

    def turn(self, turn: Turn, used: Sequence[Usage]) -> None:
        """A turn is final; `used` since the one before it."""
        ...

    def event(self, name: str, fields: dict[str, object]) -> None:
        """Something else that stands in the call's record."""
        ...


class OverheardGate(TurnGate):
    """The gate of a call with an audience."""

    def __init__(
        self, heard: Heard, context: LLMContext, replies: Replies, audience: Audience
    ) -> None:
        super().__init__(_HeardToo(heard, audience), context)
        self._replies = replies
        self._audience = audience

    def add_turn(self, text: str) -> None:
        super().add_turn(text)
        self._audience.transcript(self._replies.index, text.replace(DIGITS_PREFIX, ""))


class _HeardToo:
    """What the recogniser says, on its way to the conversation."""

    def __init__(self, heard: Heard, audience: Audience) -> None:
        self._audience = audience
        self._heard = heard
        self.caller_turn, self.caller_no_text = heard.caller_turn, heard.caller_no_text

    def caller_text(self, text: str, finalized: bool) -> None:
        self._audience.partial(text)
        self._heard.caller_text(text, finalized)

    def caller_interim(self, text: str) -> None:
        self._audience.partial(text)
        self._heard.caller_interim(text)


class Overheard:
    """What the pipeline makes, on its way to the replies (`transport.Spoken`)."""

    def __init__(self, replies: Replies, audience: Audience) -> None:
        self._replies = replies
        self._audience = audience
        self.reply_started, self.reply_audio = replies.reply_started, replies.reply_audio
        self.reply_taken_back, self.reply_ended = replies.reply_taken_back, replies.reply_ended
        self.reply_dropped = replies.reply_dropped

    def reply_words(self, frame: WordTimesFrame) -> None:
        self._replies.reply_words(frame)
        self._tell()

    def reply_text(self, text: str, position_s: float | None) -> None:
        self._replies.reply_text(text, position_s)
        self._tell()

    def _tell(self) -> None:
        if self._replies.current is not None:
            self._audience.reply(self._replies.index, self._replies.current.text)


class OverheardListener:
    """What becomes of the replies, on its way to the conversation (`replies.Listener`); of phrases
    only this tells what they say."""

    def __init__(self, listener: Listener, audience: Audience) -> None:
        self._listener = listener
        self._audience = audience
        self.index: Callable[[], int] = lambda: 0
        self.reply_counts, self.reply_is_over = listener.reply_counts, listener.reply_is_over

    def reply_begins(self, reply: Reply) -> None:
        self._listener.reply_begins(reply)
        self._audience.reply(self.index(), reply.text)


class OverheardLog:
    """The log of a call with an audience."""

    def __init__(self, log: CallLog, audience: Audience) -> None:
        self._log = log
        self._audience = audience
        self._used: list[Usage] = []
        self.opened, self.dialled, self.answered = log.opened, log.dialled, log.answered
        self.note, self.closed = log.note, log.closed

    def state(self, call: Call) -> None:
        self._log.state(call)
        self._audience.state(call.state)

    def turn(self, call: Call, turn: Turn) -> None:
        self._log.turn(call, turn)
        used, self._used = self._used, []
        self._audience.turn(turn, used)

    def used(self, call: Call, usage: Usage) -> None:
        self._log.used(call, usage)
        if usage.quantity > 0:
            self._used.append(usage)

    def event(self, call: Call, event: WireEvent) -> None:
        self._log.event(call, event)
        self._audience.event(event.name, dict(event.fields))
