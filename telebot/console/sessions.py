"""Who is logged in: a signed cookie that names the key it began with, for a few hours.

A session dies with its key, with its time, and by logging out. A request that another site caused
is told apart by what the browser says of it (Fetch Metadata, Origin), besides SameSite=Strict.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
from aiohttp import web

from telebot.call.ports import WallClock
from telebot.records.keys import ApiKey, Keys, NoKey, Scope

COOKIE = "telebot_console"
PATH = "/console"
LIFE_S = 2 * 3600
AUDIENCE = "console"
FAILURES_A_MINUTE = 10
REMEMBERED = 1000


class TooMany(Exception):
    """So many wrong keys came from one address that it has to wait."""


@dataclass(frozen=True, slots=True)
class _Claims:
    """What a good cookie says."""

    key_id: str
    id: str
    expires: int


class Sessions:
    """Begins, finds and ends sessions. `secret` signs the cookies."""

    def __init__(self, keys: Keys, secret: str, now: WallClock) -> None:
        self._keys = keys
        self._secret = secret
        self._now = now
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    async def begin(self, secret: str, peer: str) -> str:
        """The cookie of a new session. Raises `NoKey`, `WrongScope` and `TooMany`."""
        now = self._now().timestamp()
        failures = self._failures.setdefault(peer, deque(maxlen=FAILURES_A_MINUTE))
        if len(failures) == FAILURES_A_MINUTE and now - failures[0] < 60:
            raise TooMany(peer)
        try:
            key = await self._keys.check(secret, Scope.VIEWER)
        except NoKey:
            failures.append(now)
            _bound(self._failures)
            raise
        return self._signed(key.id)

    async def find(self, request: web.Request) -> tuple[ApiKey, str | None] | None:
        """Whose session a request belongs to, and a fresh cookie where it is half over."""
        claims = self._claims(request.cookies.get(COOKIE, ""))
        if claims is None or claims.id in self._ended:
            return None
        key = await self._keys.by_id(claims.key_id)
        if key is None:
            return None
        half_over = claims.expires - self._now().timestamp() < LIFE_S / 2
        return key, self._signed(key.id) if half_over else None

    def end(self, request: web.Request) -> None:
        """Log out: the cookie is worth nothing any more."""
        claims = self._claims(request.cookies.get(COOKIE, ""))
        if claims is not None:
            self._ended[claims.id] = None
            _bound(self._ended)

    def _signed(self, key_id: str) -> str:
        claims = {
            "sub": key_id,
            "aud": AUDIENCE,
            "jti": secrets.token_hex(8),
            "exp": int(self._now().timestamp()) + LIFE_S,
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def _claims(self, cookie: str) -> _Claims | None:
        try:
            claims = jwt.decode(
                cookie,
                self._secret,
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={"require": ["sub", "jti", "exp"], "verify_exp": False},
            )
        except (jwt.InvalidTokenError, ValueError):
            return None
        expires = claims["exp"]
        if not isinstance(expires, int) or expires <= self._now().timestamp():
            return None
        return _Claims(str(claims["sub"]), str(claims["jti"]), expires)


def set_cookie(response: web.StreamResponse, cookie: str, *, secure: bool) -> None:
    """Out of reach of scripts and of other sites."""
    response.set_cookie(
        COOKIE, cookie, path=PATH, max_age=LIFE_S, httponly=True, samesite="Strict", secure=secure
    )


def from_elsewhere(request: web.Request) -> bool:
    """True where a browser says that another site caused it (Fetch Metadata, RFC 6454)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != request.host
    except ValueError:  # no URL at all
        return True


def _bound(seen: OrderedDict[str, Any]) -> None:
    while len(seen) > REMEMBERED:
        seen.popitem(last=False)
