"""Limits on what a request may send and how long it may take."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

MAX_WEBHOOK_BYTES = 64 * 1024  # Twilio's are 1-2 kB
MAX_UPLOAD_BYTES = 32 * 1024 * 1024
BODY_WITHIN_S = 10.0


async def read_body(
    request: web.BaseRequest,
    max_bytes: int = MAX_WEBHOOK_BYTES,
    within_s: float = BODY_WITHIN_S,
) -> bytes:
    """The body of a request. Raises 413 beyond `max_bytes`, 408 beyond `within_s` seconds, and 400
    on a body that is broken (a length or a compression that does not hold)."""
    if (request.content_length or 0) > max_bytes:
        raise web.HTTPRequestEntityTooLarge(max_bytes, request.content_length or 0)
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > max_bytes:
                    raise web.HTTPRequestEntityTooLarge(max_bytes, len(body))
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the body took too long") from None
    except (HttpProcessingError, web.RequestPayloadError, web.PayloadAccessError):
        request.content.feed_eof()  # or aiohttp reads on, and logs what it meets as an error
        broken = web.HTTPBadRequest(text="the body is broken")
        broken.force_close()  # where the next request would begin nobody knows
        raise broken from None
    return bytes(body)
