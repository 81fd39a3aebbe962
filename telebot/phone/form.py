"""Asks a server's webhook by a form, as a PBX's dialplan does (`CURL()`), for what comes next."""

from __future__ import annotations

import asyncio

import aiohttp

from telebot.phone.destination import CallRefused, CannotCall, Destination

ANSWER_TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 64 * 1024


def basic(secret: str) -> dict[str, str]:
    """The header of HTTP Basic credentials, ``user:password``; none where there are none."""
    if not secret:
        return {}
    return {"Authorization": aiohttp.encode_basic_auth(*secret.split(":", 1))}


def about(to: Destination, call_id: str) -> dict[str, str]:
    """A call in a dialplan's words."""
    fields = {"id": call_id, "from": to.phone_from, "to": to.phone_to, "agent": to.agent}
    return {name: value for name, value in fields.items() if value}


async def ask(session: aiohttp.ClientSession, to: Destination, call_id: str) -> str:
    """The text that `/voice` answers. Raises `CannotCall`, `CallRefused` where it is nothing."""
    url = f"{to.server.rstrip('/')}/{to.carrier}/voice"
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            async with session.post(url, data=about(to, call_id), headers=basic(to.secret)) as got:
                body = (await got.content.read(MAX_ANSWER_BYTES)).decode("utf-8", "replace")
                status = got.status
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CannotCall(f"{url}: {str(error) or 'no answer'}; is the server running?") from None
    if status == 503:
        raise CallRefused("", ("Busy",))
    if status != 200:
        raise CannotCall(f"{url}: HTTP {status}")
    return body.strip()
