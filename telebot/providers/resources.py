"""What every provider may be built from: the models of this machine, the keys, shared clients.

Owned by `app.py`, which closes it; handed to the builders in the vendors' files by `registry.py`.
Imports no Pipecat and no vendor's package.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, TypeVar, cast

import aiohttp

from telebot.providers.catalogue import Catalogue, shipped
from telebot.providers.local_speech import LocalSpeech

T = TypeVar("T")

CONNECT_S = 3.0
READ_S = 30.0  # longer than any deadline of a chain
CONNECTIONS = 512  # to all vendors at once; the calls' own limits come first
PLACES = ("_BASE_URL", "_REGION")  # ends of the variables that say where a vendor is
KEPT_S = 60.0  # an idle connection spares the next call a handshake


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(slots=True)
class Resources:
    """`environ` holds keys and ``<VENDOR>_BASE_URL``; nothing else reads the environment.
    `catalogue` knows which vendors and models are gone by `today`."""

    local: LocalSpeech
    environ: Mapping[str, str]
    catalogue: Catalogue = field(default_factory=shipped)
    today: Callable[[], date] = _today
    _kept: dict[str, Any] = field(default_factory=dict, repr=False)

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """The process's one object of this name, made when it is first asked for; its `aclose` or
        `close` is called when the server stops. For a vendor's HTTP client, whose connections all
        calls share. Call it on the event loop."""
        if name not in self._kept:
            self._kept[name] = make()
        return cast("T", self._kept[name])

    def http(self) -> aiohttp.ClientSession:
        """The client for vendors without one of their own."""
        return self.kept("http", _client)

    def with_key(self, provider: str, secret: str) -> Resources:
        """The same machine and connections with this one key and no other; where the vendors are
        stays as it is. Not to be closed."""
        places = {name: at for name, at in self.environ.items() if name.endswith(PLACES)}
        whole = f"{provider.upper().replace('-', '_')}_API_KEY"
        vendor = f"{provider.upper().partition('-')[0]}_API_KEY"  # of several names of one vendor
        return replace(self, environ={**places, whole: secret, vendor: secret})

    async def close(self) -> None:
        """Close what was kept; the models belong to their own owner."""
        kept, self._kept = self._kept, {}
        for each in kept.values():
            done = (getattr(each, "aclose", None) or each.close)()
            if inspect.isawaitable(done):
                await done


def _client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEPT_S),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),  # requests of many owners go by these connections
    )
