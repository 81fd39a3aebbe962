"""`Idempotency-Key`: a request that is sent again is answered again, and done once.

After https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ . Answers of any
kind, streamed ones too, are kept in memory up to a bound; a restarted server knows nothing of them.
Of the requests a digest is kept. Where memory runs short, those lose who hold the most of it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from telebot.api.streaming import TAPE, UNLIKE, Tape
from telebot.call.errors import ApiError
from telebot.call.ports import Clock

HEADER = "Idempotency-Key"
TOLD = (HEADER, "sent again with the same one, it is answered again and done once")
MAX_KEY_CHARS = 255
KEPT_S = 24 * 3600.0
KEPT_BYTES = 16 << 20
SHARE = 4  # no answer takes more than this part of the whole
ENTRY_BYTES = 1024  # of one, beside its body

Do = Callable[[], Awaitable[web.StreamResponse]]
WhoAsks = Callable[[web.Request], str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; `body` is None where it was too long to be kept."""

    status: int
    headers: dict[str, str]
    body: bytes | None


@dataclass(slots=True)
class _Kept:
    asked: bytes  # digest of the request
    at: float
    outcome: asyncio.Future[Answer | ApiError | None]  # None: whoever waits may do it
    size: int = 0  # once it is answered


class Once:
    """Requests whose answers are kept, up to `most_bytes` in all. What raises one of `final` is not
    tried again either."""

    def __init__(
        self,
        clock: Clock,
        who: WhoAsks,
        final: tuple[type[ApiError], ...] = (),
        *,
        most_bytes: int = KEPT_BYTES,
    ) -> None:
        """`who` gives the id of a request's owner: keys of two owners are never the same."""
        self._clock = clock
        self._who = who
        self._final = final
        self._most = most_bytes
        self._owners: dict[str, OrderedDict[bytes, _Kept]] = {}
        self._held: dict[str, int] = {}  # bytes of each owner's answers

    @property
    def held_bytes(self) -> int:
        return sum(self._held.values())

    async def answer(self, request: web.Request, asked: bytes, do: Do) -> web.StreamResponse:
        """What `do` answers, or what it answered to the same key of the same owner. `asked` is the
        request, or a digest of it. Raises `ApiError`: 400 on a key that is none, 422 on one that
        came with another request, 409 where the answer was too long to be kept."""
        key = request.headers.get(HEADER)
        if key is None:
            return await do()
        if not 0 < len(key) <= MAX_KEY_CHARS or not key.isprintable():
            message = f"{HEADER}: write 1 to {MAX_KEY_CHARS} printable characters."
            raise ApiError(400, "invalid_parameter", message, HEADER)
        owner, name = self._who(request), _digest(request.path, key)
        digest = hashlib.sha256(asked).digest()
        self._forget()
        while True:
            owned = self._owners.get(owner)
            kept = owned.get(name) if owned else None
            if kept is None:
                return await self._first(owner, name, request, digest, do)
            if kept.asked != digest:
                message = f"This {HEADER} came with another request before."
                raise ApiError(422, "idempotency_key_reused", message, HEADER)
            outcome = await asyncio.shield(kept.outcome)
            if outcome is not None:
                return _again(outcome)

    async def _first(
        self, owner: str, name: bytes, request: web.Request, digest: bytes, do: Do
    ) -> web.StreamResponse:
        outcome: asyncio.Future[Answer | ApiError | None]
        outcome = asyncio.get_running_loop().create_future()
        kept = _Kept(digest, self._clock(), outcome)
        self._owners.setdefault(owner, OrderedDict())[name] = kept
        tape = request[TAPE] = Tape(self._most // SHARE)
        try:
            response = await do()
        except self._final as error:
            outcome.set_result(error)
            self._hold(owner, kept, 0)
            raise
        except BaseException as error:  # whatever stopped it: who waits for the same is told
            self._drop(owner, name)
            outcome.set_result(_told(error))
            raise
        answer = _answer(response, tape)
        if answer is None:  # a stream that failed after its head: it may be tried again
            self._drop(owner, name)
            outcome.set_result(_AGAIN)
            return response
        outcome.set_result(answer)
        self._hold(owner, kept, len(answer.body or b""))
        return response

    def _forget(self) -> None:
        """What is a day old."""
        late = self._clock() - KEPT_S
        for owner, owned in list(self._owners.items()):
            name, oldest = next(iter(owned.items()))
            while oldest.at <= late:
                self._drop(owner, name)
                if not owned:
                    break
                name, oldest = next(iter(owned.items()))

    def _hold(self, owner: str, kept: _Kept, body_bytes: int) -> None:
        """Count an answer, and make room for it."""
        kept.size = ENTRY_BYTES + body_bytes
        self._held[owner] = self._held.get(owner, 0) + kept.size
        while self.held_bytes > self._most:
            most = max(self._held, key=self._held.__getitem__)
            self._drop(most, next(key for key, it in self._owners[most].items() if it.size))

    def _drop(self, owner: str, name: bytes) -> None:
        owned = self._owners[owner]
        size = owned.pop(name).size
        if size:
            self._held[owner] -= size
            if not self._held[owner]:
                del self._held[owner]
        if not owned:
            del self._owners[owner]


_AGAIN = ApiError(409, "not_done", "The request before this one failed; send it again.")


def _told(error: BaseException) -> ApiError | None:
    """What those are told who wait for the same. None: who asked first has gone; one of them may do
    it."""
    if isinstance(error, ApiError):
        return error
    return None if isinstance(error, asyncio.CancelledError | ConnectionError) else _AGAIN


def _answer(response: web.StreamResponse, tape: Tape) -> Answer | None:
    """What is kept of an answer; None where it is not one to be given again."""
    if tape.begun:
        if not tape.whole:
            return None
        return Answer(tape.status, tape.headers, None if tape.too_long else bytes(tape.body))
    body = response.body if isinstance(response, web.Response) else None
    if response.status >= 500 or not isinstance(body, bytes | bytearray | None):
        return None
    headers = {key: value for key, value in response.headers.items() if key.lower() not in UNLIKE}
    kept = bytes(body or b"")
    return Answer(response.status, headers, None if len(kept) > tape.most else kept)


def _again(outcome: Answer | ApiError) -> web.Response:
    if isinstance(outcome, ApiError):
        raise outcome
    if outcome.body is None:
        done = outcome.headers.get("x-generation-id", "")
        message = "This was done, and its answer was too long to be kept."
        raise ApiError(409, "answer_not_kept", message, HEADER, metadata={"id": done})
    headers = outcome.headers | {"Idempotent-Replayed": "true"}
    return web.Response(body=outcome.body, status=outcome.status, headers=headers)


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
