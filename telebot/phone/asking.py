"""Asks a server's webhook as a carrier does: bounded in time and size, one line where it fails.

The exchanges sign and read; this carries. Next: that carrier's `*_exchange.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from yarl import URL

from telebot.phone.destination import CannotCall

WITHIN_S = 15.0  # as long as carriers wait for a webhook
MAX_ANSWER_BYTES = 64 * 1024
REASONS = {
    403: "; the signature was not accepted",
    404: "; it takes no calls of this carrier",
}


async def ask(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    kinds: tuple[str, ...],
) -> bytes:
    """The answer's body, one byte more than `MAX_ANSWER_BYTES` where it is longer, empty where
    there is no content (204). Raises `CannotCall` on no answer, or none of these `kinds`."""
    shown = url.partition("?")[0]
    try:
        async with (
            asyncio.timeout(WITHIN_S),
            session.request(
                method, URL(url, encoded=True), data=body or None, headers=headers
            ) as response,
        ):
            status, kind = response.status, response.content_type
            answer = await _read(response)
    except TimeoutError:
        raise CannotCall(f"{shown}: no answer in {WITHIN_S:.0f} s") from None
    except aiohttp.ClientConnectorError as error:
        why = error.strerror or error.os_error
        raise CannotCall(f"{shown}: cannot connect ({why}); is the server running?") from None
    except aiohttp.ClientError as error:
        raise CannotCall(f"{shown}: {error}") from None
    if status == 204:
        return b""
    if status != 200:
        raise CannotCall(f"{shown}: HTTP {status}{REASONS.get(status, '')}")
    if kind not in kinds:
        raise CannotCall(f"{shown}: answered with {kind}, not with {kinds[0]}")
    return answer


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
    return bytes(body)
