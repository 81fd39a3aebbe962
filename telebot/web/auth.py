"""API keys for `/v1`: `Authorization: Bearer KEY` (RFC 6750), checked by whoever keeps the keys."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from telebot.web.errors import Handler, error

PROTECTED = "/v1/"
MAX_KEY_CHARS = 512


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose key it was."""

    name: str


class KeyStore(Protocol):
    """Knows keys; `records/` has one."""

    async def check(self, key: str) -> Principal | None:
        """The key's owner, or None where the key is unknown or withdrawn."""
        ...


class AdminKey:
    """The one key of the configuration (`TELEBOT_ADMIN_KEY`); a `KeyStore`."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    async def check(self, key: str) -> Principal | None:
        """`admin` for the configured key; nobody where none is configured."""
        if self._key and hmac.compare_digest(key.encode(), self._key):
            return Principal("admin")
        return None


PRINCIPAL = web.RequestKey("principal", Principal)


def api_keys(stores: Sequence[KeyStore], open_paths: frozenset[str] = frozenset()) -> Middleware:
    """A middleware that asks `stores` in turn. Without a good key, `/v1/*` answers 401, except
    `open_paths`, which find no `request.get(PRINCIPAL)` then."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not f"{request.path}/".startswith(PROTECTED):
            return await handler(request)
        principal = await _principal(request, stores)
        if principal is None and request.path not in open_paths:
            return error(401, "An API key is needed.", headers={"WWW-Authenticate": "Bearer"})
        if principal is not None:
            request[PRINCIPAL] = principal
        return await handler(request)

    return check


async def _principal(request: web.Request, stores: Sequence[KeyStore]) -> Principal | None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not 0 < len(key) <= MAX_KEY_CHARS or not key.isascii():
        return None
    for store in stores:
        if (principal := await store.check(key)) is not None:
            return principal
    return None
