"""Asking a vendor whether it would serve a call: what the vendors' `probe` functions share."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any

import aiohttp

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers.resources import Resources
from telebot.providers.vendor import near

ANSWER_S = 5.0
MAX_ANSWER = 8 << 20


class NotOffered(ProviderError):
    """The vendor answers, but has no such list to ask for."""


async def get_json(
    resources: Resources,
    url: str,
    headers: Mapping[str, str],
    *,
    who: str,
    refusals: Collection[int] = (401, 403),
) -> Any:
    """What a vendor answers to GET. Raises ProviderConfigError where it refuses the key (with one
    of `refusals`), NotOffered where there is no such address, and ProviderError where it does not
    answer, or not with JSON. No key stands in any of them."""
    try:
        async with asyncio.timeout(ANSWER_S), resources.http().get(url, headers=headers) as answer:
            if answer.status in refusals:
                raise ProviderConfigError(f"{who} refuses the key ({answer.status})")
            if answer.status == 404:
                raise NotOffered(f"{who} does not have {answer.url.path}")
            if answer.status != 200:
                raise ProviderError(f"{who} answers {answer.status}")
            if (answer.content_length or 0) > MAX_ANSWER:
                raise ProviderError(f"{who} answers with {answer.content_length} bytes")
            return await answer.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise ProviderError(f"{who} cannot be asked ({type(error).__name__})") from error


def listed(who: str, what: str, name: str | None, known: Collection[str]) -> None:
    """Raises ProviderConfigError where `name` is not among those the vendor lists."""
    if name is not None and name not in known:
        raise ProviderConfigError(f"{who} has no {what} {name!r}{near(name, known)}")


def still_there(
    who: str, what: str, name: str | None, until: object, *, today: date | None = None
) -> None:
    """Raises ProviderConfigError where the vendor says that `name` ended on a day that has come
    (`until`, an ISO date; anything else is no such day)."""
    try:
        end = date.fromisoformat(str(until))
    except ValueError:
        return
    if end <= (today or datetime.now(UTC).date()):
        raise ProviderConfigError(f"{who} shut the {what} {name!r} down on {end}; name another one")
