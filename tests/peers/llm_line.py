"""A language model in a pipeline, asked once: what it says, and the error it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    ErrorFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import LLMService
from service_line import Line, Sink, running

QUESTION = [{"role": "user", "content": "When are you open?"}]
ANSWER = (
    "We are open from Tuesday to Sunday, from noon until ten at night. "
    "On Mondays we are closed, and the kitchen rests as well."
)
BEGUN = "We are open from Tuesday to Sunday, from noon"


@dataclass
class Asked:
    line: Line
    errors: Sink  # ahead of the model: errors go upstream

    @property
    def said(self) -> str:
        return "".join(frame.text for frame in self.line.sink.of(LLMTextFrame))


@asynccontextmanager
async def asked(
    llm: LLMService, messages: Sequence[dict[str, Any]] = QUESTION
) -> AsyncIterator[Asked]:
    """A running pipeline with `llm`, to which `messages` have just been given."""
    errors = Sink()
    async with running(errors, llm) as line:
        await line.worker.queue_frame(LLMContextFrame(LLMContext(list(messages))))
        yield Asked(line, errors)


async def reply(llm: LLMService, messages: Sequence[dict[str, Any]] = QUESTION) -> str:
    """The whole reply; fails where the model shows an error."""
    async with asked(llm, messages) as run:
        await run.line.sink.wait_for(LLMFullResponseEndFrame)
    assert not run.errors.of(ErrorFrame), run.errors.of(ErrorFrame)
    return run.said


async def failure(
    llm: LLMService, messages: Sequence[dict[str, Any]] = QUESTION
) -> tuple[ErrorFrame, str]:
    """The error the model shows, and what it has said before."""
    async with asked(llm, messages) as run:
        await run.line.sink.wait_for(LLMFullResponseEndFrame)
        (error,) = await run.errors.wait_for(ErrorFrame)
    assert isinstance(error, ErrorFrame)
    return error, run.said
