"""The one gate before `/v1`: `Authorization: Bearer KEY` (RFC 6750 section 2.1), an API key or a
token of an issuer (`bearers.py`).

Every path under it needs a key, those that do not exist too; which scope an endpoint wants, it asks
of `authorize`. Who has which key is known to `records/keys.py`.
"""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from telebot.call.errors import ApiError
from telebot.records.keys import ApiKey, NoKey, Scope
from telebot.records.store import RecordsAway
from telebot.web.errors import Handler

PROTECTED = "/v1/"
KEY = web.RequestKey("api_key", ApiKey)


class KeyStore(Protocol):
    """Knows keys (`records.keys.Keys`, `bearers.Askers`)."""

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        """Raises `NoKey`, `WrongScope`, `RecordsAway`, and `ApiError` (503)."""
        ...


class Gate:
    """Asks `keys` once a request. `open_paths` are answered without a key too: their handlers find
    no `request.get(KEY)` then."""

    def __init__(self, keys: KeyStore, open_paths: frozenset[str] = frozenset()) -> None:
        self._keys = keys
        self._open_paths = open_paths

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Lets a request with a good key pass. Raises as `KeyStore.check` does."""
        if f"{request.path}/".startswith(PROTECTED):
            try:
                request[KEY] = await self._keys.check(_secret(request), Scope.VIEWER)
            except (NoKey, RecordsAway, ApiError):
                if request.path not in self._open_paths:
                    raise
        return await handler(request)

    @staticmethod
    def who(request: web.Request) -> str:
        """The id of the request's key, "" without one."""
        key = request.get(KEY)
        return "" if key is None else key.id

    @staticmethod
    def sees(request: web.Request) -> str | None:
        """The id of the key whose work alone the request may see; None where it may see all."""
        key = request.get(KEY)
        if key is not None and key.scope.allows(Scope.ADMIN):
            return None
        return "" if key is None else key.id

    @staticmethod
    def budget(request: web.Request) -> float | None:
        """What the request's key may spend in a month; None: what it wants."""
        key = request.get(KEY)
        return None if key is None else key.monthly_budget

    def authorize(self, request: web.Request, wanted: Scope) -> None:
        """Raises `WrongScope` where the request's key does not allow `wanted`, `NoKey` without."""
        key = request.get(KEY)
        if key is None:
            raise NoKey("no key")
        key.require(wanted)


def _secret(request: web.Request) -> str | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None
