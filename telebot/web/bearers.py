"""Tokens of OpenID Connect issuers in place of API keys: whose they are, and what they may do.

A JWT (RFC 7519) signed by an issuer of the settings, checked as RFC 8725 and RFC 9068 section 4
say: the algorithm by our list, never by the token alone, and the key for it; issuer, audience and
times. What comes out is an `ApiKey` like any other, so limits, budgets and stored keys hold for it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import aiohttp
import jwt
import orjson

from telebot.auth_settings import AuthSettings, Issuer
from telebot.call.errors import ApiError
from telebot.call.ports import Clock, WallClock
from telebot.records.keys import ApiKey, NoKey, Scope, Tier, WrongScope
from telebot.records.rows import clean
from telebot.records.tables import NAME_CHARS
from telebot.web.issuers import AGAIN_S, IssuerAway, IssuerKeys

K = TypeVar("K")
V = TypeVar("V")
MOST_CHARS = 16 * 1024
MOST_SUBJECT = 255
REMEMBERED = 10_000  # owners; tokens
GOOD_S = 10.0  # a token that was checked is not checked again for so long
# of access tokens; not a logout token, or one that is no bearer's (RFC 8725 section 3.11)
TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
LATEST = datetime.max.replace(tzinfo=UTC).timestamp()


class Bearers:
    """Checks tokens. `close` it."""

    def __init__(self, settings: AuthSettings, now: WallClock, clock: Clock) -> None:
        self._settings = settings
        self._now = now
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._issuers: dict[str, tuple[str, Issuer]] = {
            one.issuer: (name, one) for name, one in settings.oidc.items()
        }
        self._keys: dict[str, IssuerKeys] = {}
        self._seen: OrderedDict[str, ApiKey] = OrderedDict()
        self._good: OrderedDict[bytes, tuple[float, ApiKey]] = OrderedDict()  # by tokens' hashes

    def issued(self, secret: str | None) -> bool:
        """Whether it says it is of one of the issuers; nothing of it is checked yet."""
        if not self._issuers or not secret or secret.count(".") != 2:
            return False
        if len(secret) > MOST_CHARS:
            return False
        return self._checked(secret) is not None or _issuer_of(secret) in self._issuers

    async def check(self, secret: str, wanted: Scope) -> ApiKey:
        """Whose token it is. Raises `NoKey`, `WrongScope`, and `ApiError` (503) where its issuer's
        keys cannot be had."""
        key = self._checked(secret)
        if key is None:
            name, issuer = self._issuers[_issuer_of(secret)]
            claims = await self._verified(secret, issuer)
            key = self._owner(name, issuer, claims)
            _put(self._good, _digest(secret), (self._clock(), key))
        _put(self._seen, key.id, key)
        key.require(wanted)
        return key

    def _checked(self, secret: str) -> ApiKey | None:
        """Whose token it is, where that was found out a moment ago: a signature takes longer to
        check than all the rest of a request here."""
        at, key = self._good.get(_digest(secret), (float("-inf"), None))
        good = key is not None and key.live(self._now()) and self._clock() - at < GOOD_S
        return key if good else None

    def by_id(self, key_id: str) -> ApiKey | None:
        """An owner whose token was seen here and is good still."""
        key = self._seen.get(key_id)
        return key if key is not None and key.live(self._now()) else None

    def keys_of(self, issuer: Issuer) -> IssuerKeys:
        """The keys by which it signs."""
        if issuer.issuer not in self._keys:
            if self._session is None:
                self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
            self._keys[issuer.issuer] = IssuerKeys(issuer, self._session, self._clock)
        return self._keys[issuer.issuer]

    async def close(self) -> None:
        """Close the connections to issuers."""
        for keys in self._keys.values():
            await keys.close()
        if self._session is not None:
            await self._session.close()

    async def _verified(self, secret: str, issuer: Issuer) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(secret)
            algorithm, kid = header.get("alg"), header.get("kid")
            kind = str(header.get("typ", "")).lower()
            if algorithm not in issuer.algorithms or kind not in TYPES:
                raise NoKey("token of a kind that does not count")
            key = await self.keys_of(issuer).key(kid, algorithm)
            if key is None:
                raise NoKey("token signed by an unknown key")
            claims: dict[str, Any] = jwt.decode(
                secret,
                key,
                algorithms=[algorithm],
                audience=issuer.audience,
                issuer=issuer.issuer,
                options={
                    "require": ["iss", "sub", "aud", "exp"],
                    "verify_exp": False,  # by our own clock, below
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except IssuerAway as error:
            message = f"The issuer of this token cannot be asked for its keys: {error}."
            raise ApiError(503, "issuer_away", message, retry_after_s=AGAIN_S) from None
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
            raise NoKey("token does not hold") from None
        self._in_time(claims)
        return claims

    def _in_time(self, claims: Mapping[str, Any]) -> None:
        now, skew_s = self._now().timestamp(), self._settings.clock_skew_s
        for name, late in (("exp", True), ("nbf", False), ("iat", False)):
            at = claims.get(name)
            if at is None and name != "exp":
                continue
            if not isinstance(at, int | float) or isinstance(at, bool) or not 0 <= at <= LATEST:
                raise NoKey(f"token with no {name}")
            if (at + skew_s <= now) if late else (at - skew_s > now):
                raise NoKey("token expired" if late else "token not good yet")

    def _owner(self, name: str, issuer: Issuer, claims: Mapping[str, Any]) -> ApiKey:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= MOST_SUBJECT or "cnf" in claims:
            raise NoKey("token of nobody")  # or one that its sender must prove (RFC 7800)
        tenant = _claim(claims, issuer.tenant_claim) if issuer.tenant_claim else ""
        if not isinstance(tenant, str) or (issuer.tenant_claim and not tenant):
            raise NoKey("token of no tenant")
        if issuer.tenants and tenant not in issuer.tenants:
            raise NoKey("token of another tenant")
        scope = _scope(issuer, claims)
        if scope is None:
            raise WrongScope("token has none of the scopes that count here")
        skew_s = self._settings.clock_skew_s
        return ApiKey(
            id=owner_id(issuer.issuer, tenant, subject),
            name=clean(f"{name}:{subject}", NAME_CHARS),
            scope=scope,
            source="oidc",
            created_at=self._now(),
            last_used_at=None,
            revoked_at=None,
            requests_per_minute=issuer.requests_per_minute,
            monthly_budget=issuer.monthly_budget,
            models=issuer.models,
            tier=Tier(issuer.tier),
            expires_at=datetime.fromtimestamp(min(claims["exp"] + skew_s, LATEST - 1), UTC),
        )


def _put(kept: OrderedDict[K, V], name: K, value: V) -> None:
    """As the newest of at most `REMEMBERED`."""
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def owner_id(issuer: str, tenant: str, subject: str) -> str:
    """Whose keys, sessions and usage they are, whatever token comes. Longer than an API key's: a
    subject may be chosen by who signs up, so no two of them may be made to meet."""
    return hashlib.sha256(orjson.dumps([issuer, tenant, subject])).hexdigest()[:32]


def _issuer_of(secret: str) -> str:
    """Whose it says it is; nothing of it is checked."""
    try:
        found = jwt.decode(secret, options={"verify_signature": False}).get("iss")
    except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


def _scope(issuer: Issuer, claims: Mapping[str, Any]) -> Scope | None:
    given = _claim(claims, issuer.scope_claim)
    words = given.split() if isinstance(given, str) else given
    known = words if isinstance(words, list) else []
    texts = [word for word in known if isinstance(word, str)]
    found = [Scope(issuer.scopes[word]) for word in texts if word in issuer.scopes]
    if issuer.default_scope is not None:
        found.append(Scope(issuer.default_scope))
    return max(found, key=list(Scope).index, default=None)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by the way to it: names of issuers' own may hold dots."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


class KnowsKeys(Protocol):
    """API keys (`records.keys.Keys`)."""

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey: ...

    async def by_id(self, key_id: str) -> ApiKey | None: ...


class Askers:
    """Whoever may come in: by a token of an issuer, else by an API key."""

    def __init__(self, keys: KnowsKeys, bearers: Bearers) -> None:
        self._keys = keys
        self._bearers = bearers

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        """Raises `NoKey`, `WrongScope`, `RecordsAway` and `ApiError` (503)."""
        if secret and self._bearers.issued(secret):
            return await self._bearers.check(secret, wanted)
        return await self._keys.check(secret, wanted)

    async def by_id(self, key_id: str) -> ApiKey | None:
        """Raises `RecordsAway`."""
        return self._bearers.by_id(key_id) or await self._keys.by_id(key_id)

    async def close(self) -> None:
        """Close the connections to issuers."""
        await self._bearers.close()
