"""A vendor's REST over aiohttp, bounded: five seconds and three tries a request, growing pauses.

A request that may be sent again is tried again on what may pass (429, 5xx, no connection); one
that may not (a call that would be dialled twice) only where it surely was not taken. Each vendor's
own `*_rest.py` says what the answers mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote

import orjson
from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout
from aiohttp_retry import ExponentialRetry, RetryClient

from telebot.call.errors import CarrierError

TIMEOUT_S = 5.0
TRIES = 3
FIRST_PAUSE_S = 0.2
MAX_ANSWER_BYTES = 256 * 1024

_REST_URL = re.compile(r"https?://[^\s/?#@]+/?")


def rest_url(example: str) -> Callable[[Any], Any]:
    """A check for settings: scheme and host, no path."""

    def checked(value: Any) -> Any:
        if not _REST_URL.fullmatch(str(value)):
            raise ValueError(f"write https://HOST, for example {example} (got {value!r})")
        return value

    return checked


@dataclass(frozen=True, slots=True)
class Told:
    """What the vendor answered; `tree` is {} where that was no JSON object."""

    status: int
    tree: dict[str, Any] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def text(self, name: str) -> str:
        """A member that is a text, '' where it is none."""
        value = self.tree.get(name)
        return value if isinstance(value, str) else ""


class Closes(Protocol):
    """A client that has connections."""

    async def close(self) -> None: ...


Client = TypeVar("Client", bound=Closes)


class OnDemand(Generic[Client]):
    """A client that is made when it is first asked for, and not before: its HTTP session belongs to
    the running loop. `make` raises `Unable` where the settings lack what it needs."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._made: Client | None = None

    def __call__(self) -> Client:
        if self._made is None:
            self._made = self._make()
        return self._made

    async def close(self) -> None:
        """Close its connections, where there are any."""
        if self._made is not None:
            await self._made.close()


class JsonRest:
    """A client of one account. `authorization` makes the header of each request. Belongs to the
    running loop; give it back with `close`."""

    def __init__(self, vendor: str, base_url: str, authorization: Callable[[], str]) -> None:
        self._vendor = vendor
        self._base = base_url.rstrip("/")
        self._authorization = authorization
        self._closed = False
        self._client = RetryClient(
            client_session=ClientSession(timeout=ClientTimeout(total=TIMEOUT_S), trust_env=False)
        )

    async def ask(
        self,
        method: str,
        path: tuple[str, ...],
        json: Mapping[str, Any] | None = None,
        *,
        form: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> Told:
        """`path` in its parts, each of which is quoted; a last one of '' ends it with a slash.
        Raises `CarrierError` on the line to the vendor, and where it goes on saying 429 or 5xx."""
        if self._closed:
            raise CarrierError(f"{self._vendor}'s REST: the server is being stopped")
        url = "/".join((self._base, *(quote(part, safe=":") for part in path)))
        headers = {"Authorization": self._authorization(), "Accept": "application/json"}
        data: bytes | Mapping[str, str] | None = form
        if json is not None:
            data = orjson.dumps(json)
            headers["Content-Type"] = "application/json"
        try:
            async with self._client.request(
                method,
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                retry_options=_once() if once else _again(),
            ) as response:
                body = await _read(response.content)
                told = Told(response.status, _tree(body))
        except (ClientError, OSError) as error:  # TimeoutError is an OSError
            raise CarrierError(f"{self._vendor}'s REST: {type(error).__name__}") from error
        if told.status == 429 or told.status >= 500:
            raise CarrierError(f"{self._vendor}'s REST: HTTP {told.status}")
        return told

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        await self._client.close()


def _again() -> ExponentialRetry:
    return ExponentialRetry(
        attempts=TRIES,
        start_timeout=FIRST_PAUSE_S,
        statuses={429},
        exceptions={ClientError, OSError},
    )


def _once() -> ExponentialRetry:
    return ExponentialRetry(
        attempts=TRIES,
        start_timeout=FIRST_PAUSE_S,
        statuses={429},
        exceptions={ClientConnectorError},
        retry_all_server_errors=False,
    )


async def _read(content: Any) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ClientError("the answer is too long")
    return bytes(body)


def _tree(body: bytes) -> dict[str, Any]:
    try:
        tree = orjson.loads(body)
    except ValueError:
        return {}
    return tree if isinstance(tree, dict) else {}
