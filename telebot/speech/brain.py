"""A brain that needs no provider, as a Pipecat LLM service; and what a conversation asks of one.

`dialog/` is pure: a step answers a text from a state with a reply and a new state. A step counts
only once the caller hears its reply: until then it can be discarded without a trace, and its
actions have not happened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings

from telebot.dialog.actions import Action
from telebot.dialog.brain import Brain, Step
from telebot.providers.no_adapter import NoAdapter


class Mind(Protocol):
    """What a conversation asks of whatever thinks for it."""

    @property
    def expects(self) -> str | None:
        """The type of the answer awaited, where the brain knows it."""
        ...

    def understands(self, text: str) -> bool:
        """The brain would make something of `text` now, or cannot tell. Changes nothing."""
        ...

    def commit(self) -> Sequence[Action]:
        """The reply to the last turn is being heard: it counts. Returns its actions, once."""
        ...

    def discard(self) -> None:
        """The last turn was taken back before any of its reply was heard."""
        ...


class ChainMind:
    """A chain's mind: a language model awaits nothing in particular and does nothing; where the
    dialog brain answers as one of the links, it is asked."""

    def __init__(self) -> None:
        self.brain: DialogBrainService | None = None
        self.earlier: DialogBrainService | None = None  # whose conversation it goes on with

    @property
    def expects(self) -> str | None:
        return None if self.brain is None else self.brain.expects

    def understands(self, text: str) -> bool:
        return self.brain is None or self.brain.understands(text)

    def commit(self) -> Sequence[Action]:
        return () if self.brain is None else self.brain.commit()

    def discard(self) -> None:
        if self.brain is not None:
            self.brain.discard()


class DialogBrainService(LLMService):
    """Answers the last user message of the context by `dialog/`, for one call."""

    adapter_class = NoAdapter

    def __init__(
        self, brain: Brain, *, now: Callable[[], datetime], caller_number: str | None
    ) -> None:
        super().__init__(settings=_settings())
        self._brain = brain
        self._now = now
        self._state = brain.start(now=now(), caller_number=caller_number)
        self._pending: Step | None = None
        self._expects: str | None = None

    def go_on(self, earlier: DialogBrainService) -> None:
        """Begin where another one is, in the same conversation."""
        self._state, self._expects = earlier._state, earlier._expects

    @property
    def expects(self) -> str | None:
        return self._expects if self._pending is None else self._pending.expects

    def commit(self) -> Sequence[Action]:
        pending, self._pending = self._pending, None
        if pending is None:
            return ()
        self._state = pending.state
        self._expects = pending.expects
        return pending.actions

    def understands(self, text: str) -> bool:
        state = self._state if self._pending is None else self._pending.state
        return self._brain.step(state, text, now=self._now()).state.misses == 0

    def discard(self) -> None:
        self._pending = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        text, digits = _last_words(frame.context)
        self._pending = self._brain.step(self._state, text, now=self._now(), digits=digits)
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(self._pending.text))
        await self.push_frame(LLMFullResponseEndFrame())


def go_on(mind: Mind, earlier: Mind) -> None:
    """Another mind takes over in mid-conversation: a dialog brain knows what the one before it
    knew. A language model reads it in the context."""
    brain = earlier.brain or earlier.earlier if isinstance(earlier, ChainMind) else earlier
    if not isinstance(brain, DialogBrainService):
        return
    if isinstance(mind, DialogBrainService):
        mind.go_on(brain)
    elif isinstance(mind, ChainMind):
        mind.earlier = brain


DIGITS_PREFIX = "[keypad] "  # how keyed digits stand in the context, for any brain


def _last_words(context: LLMContext) -> tuple[str, bool]:
    """The caller's last message, and whether it was keyed."""
    for message in reversed(context.get_messages()):
        if isinstance(message, dict) and message.get("role") == "user":
            text = str(message.get("content") or "")
            return text.replace(DIGITS_PREFIX, ""), text.startswith(DIGITS_PREFIX)
    return "", False


def _settings() -> LLMSettings:
    unset: dict[str, Any] = dict.fromkeys(
        (
            "system_instruction",
            "temperature",
            "max_tokens",
            "top_p",
            "top_k",
            "frequency_penalty",
            "presence_penalty",
            "seed",
            "user_turn_completion_config",
        )
    )
    return LLMSettings(model="dialog", filter_incomplete_user_turns=False, **unset)
