"""`Idempotency-Key`: a request that is sent again is answered again, and done once.

After https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ . Answers are kept
in memory, so a restarted server knows nothing of them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from telebot.api.answers import PRIVATE
from telebot.call.errors import ApiError
from telebot.call.ports import Clock

HEADER = "Idempotency-Key"
MAX_KEY_CHARS = 255
KEPT = 10_000
KEPT_S = 24 * 3600.0

Do = Callable[[], Awaitable[web.Response]]


@dataclass(slots=True)
class _Kept:
    asked: bytes  # digest of the request
    at: float
    outcome: asyncio.Future[bytes | ApiError]
    status: int = 200


class Once:
    """The requests of one endpoint. What raises one of `final` is not tried again either."""

    def __init__(self, clock: Clock, final: type[ApiError]) -> None:
        self._clock = clock
        self._final = final
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    async def answer(self, request: web.Request, body: bytes, do: Do) -> web.Response:
        """What `do` answers, or what it answered to the same key of the same API key. Raises
        `ApiError`: 400 on a key that is none, 422 on one that came with another request."""
        key = request.headers.get(HEADER)
        if key is None:
            return await do()
        if not 0 < len(key) <= MAX_KEY_CHARS or not key.isprintable():
            message = f"{HEADER}: write 1 to {MAX_KEY_CHARS} printable characters."
            raise ApiError(400, "invalid_parameter", message, HEADER)
        owner = request.headers.get("Authorization", "")
        name, asked = _digest(owner, request.path, key), hashlib.sha256(body).digest()
        self._forget()
        kept = self._kept.get(name)
        if kept is None:
            return await self._first(name, asked, do)
        if kept.asked != asked:
            message = f"This {HEADER} came with another request before."
            raise ApiError(422, "idempotency_key_reused", message, HEADER)
        outcome = await asyncio.shield(kept.outcome)
        if isinstance(outcome, ApiError):
            raise outcome
        return web.Response(
            body=outcome,
            status=kept.status,
            content_type="application/json",
            headers=PRIVATE | {"Idempotent-Replayed": "true"},
        )

    async def _first(self, name: bytes, asked: bytes, do: Do) -> web.Response:
        outcome: asyncio.Future[bytes | ApiError] = asyncio.get_running_loop().create_future()
        kept = self._kept[name] = _Kept(asked, self._clock(), outcome)
        try:
            response = await do()
        except self._final as error:
            outcome.set_result(error)
            raise
        except BaseException as error:
            del self._kept[name]  # nothing was done: it may be tried again
            told = error if isinstance(error, ApiError) else _AGAIN
            outcome.set_result(told)
            raise
        kept.status = response.status
        outcome.set_result(bytes(response.body) if isinstance(response.body, bytes) else b"")
        return response

    def _forget(self) -> None:
        late = self._clock() - KEPT_S
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if oldest.at > late and len(self._kept) < KEPT:
                return
            self._kept.popitem(last=False)


_AGAIN = ApiError(409, "not_done", "The request before this one failed; send it again.")


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
