"""Replies of Gemini that end before their end."""

from __future__ import annotations

import pytest
from google.genai.types import (
    BlockedReason,
    Candidate,
    FinishReason,
    GenerateContentResponse,
    GenerateContentResponsePromptFeedback,
)
from pipecat.utils.errors import ErrorCategory

from telebot.providers.gemini_llm import BrokenOff, Declined, category, whole

pytestmark = pytest.mark.unit
TEXT = GenerateContentResponse(candidates=[Candidate()])
END = GenerateContentResponse(candidates=[Candidate(finish_reason=FinishReason.STOP)])
BLOCKED = GenerateContentResponse(
    prompt_feedback=GenerateContentResponsePromptFeedback(block_reason=BlockedReason.OTHER)
)


async def chunks(*given: GenerateContentResponse):
    for chunk in given:
        yield chunk


async def test_a_whole_reply_passes():
    assert [chunk async for chunk in whole(chunks(TEXT, END))] == [TEXT, END]


@pytest.mark.parametrize(
    ("given", "error", "kind"),
    [
        ((TEXT,), BrokenOff, ErrorCategory.CONNECTIVITY),
        ((), BrokenOff, ErrorCategory.CONNECTIVITY),
        ((BLOCKED,), Declined, None),
    ],
)
async def test_a_reply_without_its_end_is_an_error(given, error, kind):
    with pytest.raises(error) as caught:
        [chunk async for chunk in whole(chunks(*given))]
    assert category(caught.value) is kind
