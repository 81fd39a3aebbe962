"""OpenAI's `/audio` wire: forms as its own SDK writes them, refusals, events in any pieces."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from telebot.api.voice.multipart import boundary_of, parts
from telebot.audio import wav
from telebot.providers.clips import ClipFailed
from telebot.providers.failure import Cause
from telebot.providers.openai_wire import cause_of, events, form

pytestmark = pytest.mark.unit

PCM = b"\1\2" * 8


def test_a_form_holds_the_file_and_its_fields_as_the_sdk_writes_them() -> None:
    fields = {
        "model": "whisper-1",
        "timestamp_granularities": ["word", "segment"],
        "chunking_strategy": {"type": "server_vad", "threshold": 0.5},
        "stream": True,
        'a "name"\r\n': None,
    }
    body, kind = form((wav.head(len(PCM), 16_000), PCM), fields)
    read = [(part.name, part.value) for part in parts(body, boundary_of(kind))]
    assert read == [
        ("model", b"whisper-1"),
        ("timestamp_granularities[]", b"word"),
        ("timestamp_granularities[]", b"segment"),
        ("chunking_strategy[type]", b"server_vad"),
        ("chunking_strategy[threshold]", b"0.5"),
        ("stream", b"true"),
        ("a %22name%22%0D%0A", b""),
        ("file", wav.written(PCM, 16_000)),
    ]


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (429, b'{"error": {"code": "insufficient_quota"}}', Cause.QUOTA),
        (429, b'{"error": {"type": "tokens", "code": "rate_limit_exceeded"}}', None),
        (429, b"<html>", None),
        (429, b"[]", None),
        (429, b'{"error": "much"}', None),
        (498, b"", Cause.RATE_LIMIT),
        (500, b'{"error": {"code": "insufficient_quota"}}', None),
    ],
)
def test_a_refusal_says_what_its_status_does_not(
    status: int, body: bytes, cause: Cause | None
) -> None:
    assert cause_of(status, body) is cause


class Answer:
    """A body that comes in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [*pieces, b""]
        self.content = self

    async def readany(self) -> bytes:
        return self._pieces.pop(0)


def told(*pieces: bytes) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        answer: Any = Answer(*pieces)
        return [event async for event in events(answer, "openai")]

    return asyncio.run(read())


def test_events_in_any_pieces() -> None:
    whole = b': hello\ndata: {"a": 1}\r\n\r\nevent: x\ndata:{"b": "\xc3\xbc"}\n\ndata: [DONE]\n\n{'
    wanted = [{"a": 1}, {"b": "ü"}]
    assert told(whole) == wanted
    assert told(*(bytes([each]) for each in whole)) == wanted


@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        (b'data: {"error": {"code": "insufficient_quota"}}\n\n', Cause.QUOTA),
        (b'data: {"error": {"code": 401}}\n\n', Cause.REFUSED),
        (b"data: {\x00 not json\n\n", Cause.ERROR),
        (b"data: [1]\n\n", Cause.ERROR),
    ],
)
def test_a_stream_that_says_an_error_or_nothing(sent: bytes, cause: Cause) -> None:
    with pytest.raises(ClipFailed) as raised:
        told(sent)
    assert raised.value.failure.cause is cause
