"""The keys by which an OpenID Connect issuer signs: fetched when needed, kept while it is away.

Where they are, its discovery document says (OpenID Connect Discovery 1.0 section 4); what they look
like stands in RFC 7517. Fetches are bounded in time, size and number. Next: `bearers.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from telebot.auth_settings import Issuer
from telebot.call.errors import Remote
from telebot.call.ports import Clock

DISCOVERY = "/.well-known/openid-configuration"
WITHIN_S = 5.0  # a document; who waits for its keys waits as long
MOST_BYTES = 256 * 1024
MOST_KEYS = 100
FRESH_S = 600.0  # after this they are fetched again, beside the work
STALE_S = 24 * 3600.0  # so long they are good while the issuer is away
AGAIN_S = 10.0  # between two fetches, whatever tokens come
LEAST_RSA_BITS = 2048  # RFC 7518 section 3.3
KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
PUBLIC = frozenset({"kty", "kid", "use", "key_ops", "alg", "crv", "x", "y", "n", "e"})

log = structlog.get_logger(__name__)


class IssuerAway(Remote):
    """Its keys cannot be had; the message says why."""


class IssuerKeys:
    """The keys of one issuer. `close` it."""

    def __init__(self, settings: Issuer, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._settings = settings
        self._session = session
        self._clock = clock
        self._keys: list[dict[str, Any]] = []
        self._built: dict[tuple[str | None, str], PyJWK | None] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._why = ""
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """The key of that id for that algorithm; without an id the only one that fits. None where
        there is none, also after having looked again. Raises `IssuerAway`."""
        await self._current()
        found = self._find(kid, algorithm)
        if found is None and self._may_try():
            await self._fetch()
            found = self._find(kid, algorithm)
        return found

    async def usable(self) -> int:
        """How many keys can be used, fetched now; for `telebot doctor`. Raises `IssuerAway`."""
        await self._fetch()
        self._known()
        fits = [each for each in self._keys if any(map(_fits(each), self._settings.algorithms))]
        if not fits:
            raise IssuerAway("none of its keys is for " + ", ".join(self._settings.algorithms))
        return len(fits)

    async def close(self) -> None:
        """Idempotent."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _current(self) -> None:
        age_s = float("inf") if self._read_at is None else self._clock() - self._read_at
        if age_s < FRESH_S:
            return
        if self._may_try():
            fetching = self._fetch()
            if age_s < STALE_S:
                return  # beside the work
            await fetching
        self._known()

    def _known(self) -> None:
        if self._read_at is None or self._clock() - self._read_at >= STALE_S:
            raise IssuerAway(self._why or "its keys have not been fetched yet")

    def _may_try(self) -> bool:
        if self._fetching is not None and not self._fetching.done():
            return True  # joins it
        return self._tried_at is None or self._clock() - self._tried_at >= AGAIN_S

    def _fetch(self) -> asyncio.Future[None]:
        """One at a time; whoever waits is not what it hangs on."""
        if self._fetching is None or self._fetching.done():
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch_all(), name="issuer keys")
        return asyncio.shield(self._fetching)

    async def _fetch_all(self) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                url = self._settings.jwks_url or await self._discovered()
                keys = (await self._document(url)).get("keys")
            if not isinstance(keys, list):
                raise IssuerAway(f"{url}: no key set")
        except TimeoutError:
            self._failed(f"no answer within {WITHIN_S:.0f} s")
        except (aiohttp.ClientError, OSError) as error:
            self._failed(f"{type(error).__name__}: {error}"[:200])
        except IssuerAway as error:
            self._failed(str(error))
        else:
            self._keys = [
                {name: value for name, value in key.items() if name in PUBLIC}
                for key in keys[:MOST_KEYS]
                if isinstance(key, dict)
            ]
            self._built.clear()
            self._read_at, self._why = self._clock(), ""

    def _failed(self, why: str) -> None:
        if why != self._why:
            log.warning("issuer_away", issuer=self._settings.issuer, why=why)
        self._why = why

    async def _discovered(self) -> str:
        told = await self._document(self._settings.issuer.rstrip("/") + DISCOVERY)
        if told.get("issuer") != self._settings.issuer:
            raise IssuerAway(f"its discovery says it is {told.get('issuer')!r}"[:200])
        url = told.get("jwks_uri")
        ours = urlsplit(self._settings.issuer).scheme
        if not isinstance(url, str) or urlsplit(url).scheme not in ("https", ours):
            raise IssuerAway("its discovery names no https address of its keys")
        return url

    async def _document(self, url: str) -> dict[str, Any]:
        async with self._session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise IssuerAway(f"{url} answers {answer.status}")
            body = bytearray()
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > MOST_BYTES:
                    raise IssuerAway(f"{url}: more than {MOST_BYTES} bytes")
        try:
            told = orjson.loads(body)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise IssuerAway(f"{url}: no JSON object")
        return told

    def _find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        if (kid, algorithm) not in self._built:
            fits = [key for key in self._keys if _fits(key)(algorithm)]
            mine = fits if kid is None else [key for key in fits if key.get("kid") == kid]
            if len(mine) != 1:
                return None  # nothing is kept of ids that are made up
            self._built[kid, algorithm] = _built(mine[0], algorithm)
        return self._built[kid, algorithm]


def _fits(key: dict[str, Any]) -> Any:
    """Whether a key is for signatures of an algorithm (RFC 7517 section 4)."""

    def fits(algorithm: str) -> bool:
        curve = CURVES.get(algorithm)
        names = {None, algorithm, "Ed25519" if algorithm == "EdDSA" else algorithm}  # RFC 9864
        operations = key.get("key_ops")
        return (
            key.get("kty") == KEY_TYPES[algorithm[:2]]
            and key.get("use") in (None, "sig")
            and (not isinstance(operations, list) or "verify" in operations)
            and _plain(key.get("alg")) in names
            and (curve is None or key.get("crv") == curve)
        )

    return fits


def _plain(value: Any) -> str | None:
    return value if value is None else str(value)


def _built(key: dict[str, Any], algorithm: str) -> PyJWK | None:
    try:
        built = PyJWK({**key, "alg": algorithm}, algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None
    if isinstance(built.key, RSAPublicKey) and built.key.key_size < LEAST_RSA_BITS:
        return None
    return built
