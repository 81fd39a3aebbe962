"""How many requests a key may make a minute, in all and to one endpoint, and how many an address
without a good key.

A sliding window by the package `limits`, in this process or, with a Redis, for all servers at once
(https://limits.readthedocs.io/en/stable/strategies.html). Answers tell what is left in OpenAI's
headers (https://platform.openai.com/docs/guides/rate-limits). Where the Redis does not answer,
requests pass: a limit that cannot be counted must not stop the work.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from aiohttp import web
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.util import WindowStats

from telebot.call.errors import ApiError
from telebot.records.keys import ApiKey, NoKey
from telebot.voice_settings import LimitSettings
from telebot.web.auth import KEY
from telebot.web.errors import Handler

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

LIMITED = ("/v1/voice/", "/v1/audio/")
KEYED = "/v1/"
REDIS_S = 2.0  # to connect, and to answer; a request waits for it
AGAIN_S = 5.0  # before a Redis that did not answer is asked again
T = TypeVar("T")
TOLD = web.RequestKey("rate_limit", tuple[int, WindowStats])

log = structlog.get_logger(__name__)


class RateLimits:
    """Counts requests. `close` it. `peer` tells the address a request really comes from."""

    def __init__(
        self,
        settings: LimitSettings,
        redis_url: str = "",
        peer: Callable[[web.Request], str] = lambda request: request.remote or "",
    ) -> None:
        self._settings = settings
        self._peer = peer
        self._redis: ConnectionPool | None = None
        storage: Storage = MemoryStorage()
        if redis_url:
            from redis.asyncio import ConnectionPool
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
            from redis.exceptions import ConnectionError

            self._redis = ConnectionPool.from_url(
                redis_url,
                socket_connect_timeout=REDIS_S,
                socket_timeout=REDIS_S,
                retry=Retry(NoBackoff(), 1, (ConnectionError,)),  # one that went stale is made anew
            )
            pool: Any = self._redis  # the package types its options as plain values
            storage = RedisStorage(
                f"async+{redis_url}",
                implementation="redispy",
                wrap_exceptions=True,
                connection_pool=pool,
            )
        self._windows = SlidingWindowCounterRateLimiter(storage)
        self._away = False
        self._again_at = 0.0

    @web.middleware
    async def before_keys(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Goes before the gate: an address that comes without a good key too often is not heard.
        Raises `ApiError` (429)."""
        if not request.path.startswith(KEYED):
            return await handler(request)
        address, item = (
            _one_host(self._peer(request)),
            self._per_minute(self._settings.failures_per_minute),
        )
        stats = await self._stats(item, "failures", address)
        if stats is not None and stats.remaining <= 0:
            raise _too_many(stats, "Too many requests without a good key.")
        try:
            return await handler(request)
        except NoKey:
            await self._hit(item, "failures", address)
            raise

    @web.middleware
    async def after_keys(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Goes behind the gate: a key's requests, those to an endpoint with a limit of its own too.
        Raises `ApiError` (429)."""
        key = request.get(KEY)
        if key is not None:
            for amount, where in self._limits_of(request, key):
                await self._count(request, amount, where, "key", key.id)
            most = self._settings.address_requests_per_minute
            if most is not None and request.path.startswith(LIMITED):
                await self._count(request, most, "", "address", _one_host(self._peer(request)))
        return await handler(request)

    def _limits_of(self, request: web.Request, key: ApiKey) -> Iterator[tuple[int, str]]:
        """How many a minute, and to where; "": to all that is limited."""
        resource = request.match_info.route.resource
        path = resource.canonical if resource else ""
        method = "GET" if request.method == "HEAD" else request.method
        for where in (f"{method} {path}", path):
            if amount := self._settings.endpoints.get(where):
                yield amount, where
        if request.path.startswith(LIMITED):
            yield key.requests_per_minute or self._settings.requests_per_minute, ""

    async def _count(
        self, request: web.Request, amount: int, where: str, kind: str, who: str
    ) -> None:
        item = self._per_minute(amount)
        names = (kind, who, where) if where else (kind, who)
        passed = await self._hit(item, *names)
        stats = await self._stats(item, *names)
        if stats is None:
            return
        told = request.get(TOLD)
        if told is None or stats.remaining < told[1].remaining or not passed:
            request[TOLD] = (amount, stats)
        if not passed:
            to = f" to {where}" if where else ""
            raise _too_many(stats, f"This {kind} may make {amount} requests a minute{to}.")

    async def tell(self, request: web.Request, response: web.StreamResponse) -> None:
        """For `on_response_prepare`: what is left of the limit."""
        told = request.get(TOLD)
        if told is None:
            return
        amount, stats = told
        response.headers["x-ratelimit-limit-requests"] = str(amount)
        response.headers["x-ratelimit-remaining-requests"] = str(max(0, stats.remaining))
        response.headers["x-ratelimit-reset-requests"] = f"{_left_s(stats):.1f}s"

    async def close(self) -> None:
        """Let the Redis go."""
        if self._redis is not None:
            await self._redis.aclose()

    @staticmethod
    def _per_minute(amount: int) -> RateLimitItem:
        return RateLimitItemPerMinute(amount)

    async def _hit(self, item: RateLimitItem, *who: str) -> bool:
        passed = await self._asked(lambda: self._windows.hit(item, *who))
        return True if passed is None else passed

    async def _stats(self, item: RateLimitItem, *who: str) -> WindowStats | None:
        return await self._asked(lambda: self._windows.get_window_stats(item, *who))

    async def _asked(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """None where nobody answers, or did not a moment ago: of all requests one in `AGAIN_S`
        waits for a Redis that is away."""
        if self._away and time.monotonic() < self._again_at:
            return None
        self._again_at = time.monotonic() + AGAIN_S
        try:
            answer = await question()
        except StorageError as error:
            self._again_at = time.monotonic() + AGAIN_S
            self._told_away(error)
            return None
        self._away = False
        return answer

    def _told_away(self, error: StorageError) -> None:
        if not self._away:
            self._away = True
            cause = type(error.__cause__ or error).__name__
            log.warning("limits_not_counted", error=cause, hint="is TELEBOT_REDIS_URL right?")


def _one_host(address: str) -> str:
    """An address as it is counted: a host of IPv6 has a whole /64 to come from (RFC 4291 section
    2.5.4)."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4 or parsed.ipv4_mapped:
        return address
    return str(ip_network((parsed, 64), strict=False))


def _left_s(stats: WindowStats) -> float:
    return max(0.0, stats.reset_time - time.time())


def _too_many(stats: WindowStats, message: str) -> ApiError:
    return ApiError(429, "rate_limit_exceeded", message, retry_after_s=_left_s(stats))
