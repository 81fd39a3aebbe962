"""Replies of Anthropic that end before their end."""

from __future__ import annotations

from types import SimpleNamespace as Some

import httpx
import pytest
from anthropic import APIConnectionError, APIError, APITimeoutError, BadRequestError
from pipecat.utils.errors import ErrorCategory

from telebot.providers.anthropic_llm import category, whole

pytestmark = pytest.mark.unit
REQUEST = httpx.Request("POST", "http://127.0.0.1/v1/messages")
TEXT = Some(type="content_block_delta")


class Stream:
    response = Some(request=REQUEST)

    def __init__(self, *events: object) -> None:
        self._events = events

    async def __aiter__(self):
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            yield event


def stopped(reason: str) -> Some:
    return Some(type="message_delta", delta=Some(stop_reason=reason))


async def test_a_whole_reply_passes():
    assert len([event async for event in whole(Stream(TEXT, stopped("end_turn")))]) == 2


@pytest.mark.parametrize(
    ("events", "error", "kind"),
    [
        ((TEXT,), APIConnectionError, ErrorCategory.CONNECTIVITY),
        ((TEXT, httpx.ReadTimeout("slow")), APITimeoutError, ErrorCategory.CONNECTIVITY),
        ((stopped("refusal"),), APIError, None),
    ],
)
async def test_a_reply_without_its_end_is_an_error(events, error, kind):
    with pytest.raises(error) as caught:
        [event async for event in whole(Stream(*events))]
    assert category(caught.value) is kind


def test_a_spent_limit_is_no_fault_of_the_request():
    words = "You have reached your specified API usage limits."
    answer = httpx.Response(400, request=REQUEST)
    error = BadRequestError(words, response=answer, body=None)
    assert category(error) is ErrorCategory.QUOTA
