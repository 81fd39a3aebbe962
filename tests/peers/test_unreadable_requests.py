"""Bytes that are no HTTP: answered with a 400, and one line in the log that does not quote them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import structlog
from structlog.testing import LogCapture

from telebot import logs
from telebot.api.answers import ErrorAnswer

pytestmark = pytest.mark.peers

NUMBER = "+441632960961"


@pytest.fixture
def logged() -> Iterator[LogCapture]:
    """What the server logs, in this test alone."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logs.configure("INFO")
    capture = LogCapture()
    processors = [structlog.processors.format_exc_info, capture]
    structlog.configure(processors=processors, cache_logger_on_first_use=False)
    yield capture
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize(
    "head",
    [
        f"POST /twilio/voice?From={NUMBER} HTP",
        f"GET /twilio/voice?From={NUMBER} HTTP/9.9",
        f"GET /?From={NUMBER}{'a' * 20_000} HTTP/1.1",
        f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {NUMBER}",
        f"POST / HTTP/1.1\r\nHost: {NUMBER}\r\nHost: {NUMBER}",
    ],
    ids=["no version", "no such version", "too long", "no length", "two hosts"],
)
async def test_what_cannot_be_read_is_not_quoted(server, logged, head):
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"{head}\r\n\r\n".encode())
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.partition(b"\r\n")[0]
    assert b"application/json" in head
    told = ErrorAnswer.model_validate_json(body, extra="forbid").error
    assert (told.type, told.code) == ("invalid_request", "unreadable")
    assert NUMBER not in answer.decode()
    [refused] = [line for line in logged.entries if line["event"] == "request_unreadable"]
    assert refused["log_level"] == "warning"
    assert NUMBER not in str(logged.entries)
    assert "Traceback" not in str(logged.entries)


@pytest.mark.parametrize("expected", ["nothing-known", "100-continue-please"])
async def test_an_expectation_that_nobody_knows(http, server, expected):
    headers = {"Expect": expected}
    async with http.post(f"{server.url}/v1/calls", headers=headers, data=b"{}") as answer:
        assert (answer.status, answer.content_type) == (417, "application/json")
        told = ErrorAnswer.model_validate_json(await answer.read(), extra="forbid").error
        assert (told.type, told.code) == ("invalid_request", "expectation_failed")
