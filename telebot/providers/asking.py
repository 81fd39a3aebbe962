"""A vendor's HTTP, asked once, with everything that can go wrong told as a `ClipFailed`.

For the `NAME_clips.py` of vendors without an SDK of use; those with one map its errors by
`failure_of_status` too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import aiohttp
from yarl import URL

from telebot.providers.clips import ClipFailed, lost
from telebot.providers.failure import Cause, Failure, retry_after
from telebot.providers.resources import Resources

MOST_JSON = 16 << 20
HEAD_S = 60.0  # to the head of an answer: recognition of a long file takes that long
STALL_S = 15.0  # between two pieces of one
MOST_REFUSAL, REFUSAL_S = 64 << 10, 5.0
STATUSES = {
    400: Cause.BAD_REQUEST,
    401: Cause.REFUSED,
    402: Cause.QUOTA,
    403: Cause.REFUSED,
    404: Cause.BAD_REQUEST,
    408: Cause.STALLED,
    413: Cause.BAD_REQUEST,
    415: Cause.BAD_REQUEST,
    422: Cause.BAD_REQUEST,
    429: Cause.RATE_LIMIT,
}


def failure_of_status(status: int, error: BaseException | None = None) -> Failure:
    """What an HTTP status means; `error` may carry the answer's headers (``Retry-After``)."""
    cause = STATUSES.get(status, Cause.SERVER if status >= 500 else Cause.ERROR)
    return Failure(cause, retry_after(error))


@asynccontextmanager
async def asked(
    resources: Resources,
    method: str,
    url: str,
    *,
    who: str,
    good: tuple[int, ...] = (200,),
    head_s: float = HEAD_S,
    refusal: Callable[[int, bytes], Cause | None] | None = None,
    **request: Any,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The vendor's answer, its body unread. Leaving early closes the connection. Raises
    `ClipFailed`; errors of the body while it is read in the block become one too. `refusal` reads
    the body of an answer that is none, where the vendor says there what its status does not."""
    try:
        async with asyncio.timeout(head_s):
            answer = await resources.http().request(
                method, URL(url, encoded=True), allow_redirects=False, **request
            )
        try:
            if answer.status not in good:
                failure = failure_of_status(answer.status, _Headers(answer.headers))
                if refusal is not None:
                    body = await _beginning(answer)
                    cause = refusal(answer.status, body) or failure.cause
                    failure = replace(failure, cause=cause)
                raise ClipFailed(failure, f"{who} answers {answer.status}")
            yield answer
        finally:
            answer.close()
    except TimeoutError:
        raise lost(Cause.SLOW_FIRST, f"{who} does not answer in time") from None
    except aiohttp.ClientConnectionError as error:
        raise lost(Cause.UNREACHABLE, f"{who}: {type(error).__name__}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise lost(Cause.ERROR, f"{who}: {type(error).__name__}") from error


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """As much of a refusal as comes soon."""
    body = bytearray()
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(REFUSAL_S):
            while len(body) < MOST_REFUSAL and (piece := await answer.content.readany()):
                body += piece
    return bytes(body)


class _Headers(Exception):
    """Carries an answer's headers to where they are read."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.headers = dict(headers)


async def read_json(answer: aiohttp.ClientResponse, *, who: str, within_s: float = STALL_S) -> Any:
    """The body as JSON. Raises `ClipFailed` where it is none, too large or does not end."""
    body = bytearray()
    async for piece in pieces(answer, who=who, within_s=within_s):
        body += piece
        if len(body) > MOST_JSON:
            raise lost(Cause.ERROR, f"{who} answers with more than {MOST_JSON} bytes")
    try:
        return json.loads(body)
    except ValueError:
        raise lost(Cause.ERROR, f"{who} answers with something that is no JSON") from None


async def pieces(
    answer: aiohttp.ClientResponse, *, who: str, within_s: float = STALL_S
) -> AsyncIterator[bytes]:
    """The body as it comes. Raises `ClipFailed` where nothing comes for `within_s` seconds."""
    while True:
        try:
            async with asyncio.timeout(within_s):
                piece = await answer.content.readany()
        except TimeoutError:
            raise lost(Cause.STALLED, f"{who} sends nothing more") from None
        if not piece:
            return
        yield piece


async def whole_samples(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A stream of bytes as whole 16-bit samples."""
    odd = b""
    async for piece in stream:
        sound = odd + piece
        odd = sound[len(sound) & ~1 :]
        if whole := sound[: len(sound) & ~1]:
            yield whole
