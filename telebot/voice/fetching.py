"""Fetches a recording that a request names by its URL, but nothing inside the operator's network.

Against server-side request forgery (OWASP has a cheat sheet of that name): names are resolved here,
and a connection goes to the very address that was judged.
Redirects are followed by hand, each judged anew. Bounded in time and size.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from ipaddress import ip_address, ip_network
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from telebot.call.errors import ApiError
from telebot.voice.threads import Threads

WITHIN_S = 30.0
CONNECT_S = 5.0
REDIRECTS = 3
LOOK_UPS = 4  # of names at once
MOST_URL = 2048
_UNICAST = ip_network("2000::/3")  # all that is public of IPv6 (RFC 4291 section 2.4)


class Forbidden(OSError):
    """An address that lies in nobody's public network."""


class Fetcher:
    """Owns its connections; `close` it. `hosts`: names and addresses that may be fetched although
    they are not public, as the operator lists them."""

    def __init__(self, hosts: Collection[str] = (), *, most_bytes: int) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._most_bytes = most_bytes
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str) -> tuple[bytes, str]:
        """The body and its media type. Raises `ApiError` (400, 413, 422, 504)."""
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._fetch(url)
        except TimeoutError:
            raise _refused(504, "url_too_slow", "does not answer in time") from None
        except Forbidden as error:
            raise _refused(400, "url_forbidden", f"{error}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error.__cause__, Forbidden):
                raise _refused(400, "url_forbidden", f"{error.__cause__}") from None
            raise _refused(422, "url_unreachable", "cannot be fetched") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _fetch(self, text: str) -> tuple[bytes, str]:
        if len(text) > MOST_URL:
            raise _refused(400, "invalid_parameter", f"longer than {MOST_URL} characters")
        url = URL(text)
        for _ in range(REDIRECTS + 1):
            self._judge(url)
            async with self._opened().get(url, allow_redirects=False) as answer:
                if answer.status in (301, 302, 303, 307, 308):
                    url = url.join(URL(answer.headers.get("Location", "")[:MOST_URL]))
                    continue
                if answer.status != 200:
                    raise _refused(422, "url_unreachable", f"answers {answer.status}")
                return await self._body(answer), answer.content_type
        raise _refused(422, "url_unreachable", "redirects too often")

    def _judge(self, url: URL) -> None:
        """Judges the URL as the connection reads it: other parsers see other hosts in the same text
        (``127。0。0。1``). Raises `ApiError`, or `Forbidden` on an address written as numbers."""
        host = (url.raw_host or "").lower()
        if url.scheme not in ("http", "https") or not host:
            raise _refused(400, "invalid_parameter", "write http:// or https:// and a host")
        if url.user is not None or url.password is not None:
            raise _refused(400, "invalid_parameter", "may hold no user or password")
        if host in self._hosts:
            return
        try:
            address = ip_address(host)
        except ValueError:
            if host.replace(".", "").isdigit() or host.startswith("0x"):  # 2130706433 is 127.0.0.1
                raise Forbidden("is an address that may not be fetched") from None
            return
        _public(str(address))

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        if (answer.content_length or 0) > self._most_bytes:
            raise self._too_large()
        body = bytearray()
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > self._most_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> ApiError:
        return _refused(413, "too_large", f"holds more than {self._most_bytes} bytes")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=_PublicResolver(self._hosts), use_dns_cache=False, limit=32
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=WITHIN_S, sock_connect=CONNECT_S),
                headers={"Accept": "audio/*", "Accept-Encoding": "identity"},
                trust_env=False,
                auto_decompress=False,  # none was asked for: a few bytes could hold gigabytes
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


class _PublicResolver(AbstractResolver):
    """Gives public addresses only, so that what was judged is what is connected to."""

    def __init__(self, hosts: Collection[str]) -> None:
        self._hosts = hosts
        self._threads = Threads(LOOK_UPS, "look-up")  # one that hangs holds up no call's

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        infos = await self._threads.run(
            socket.getaddrinfo,
            host,
            port,
            family=family,
            type=socket.SOCK_STREAM,
            flags=socket.AI_ADDRCONFIG,
        )
        found = [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=family,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, _, proto, _, address in infos
        ]
        if host.lower() not in self._hosts:
            for each in found:
                _public(each["host"])
        return found

    async def close(self) -> None:
        self._threads.close()


def _public(address: str) -> None:
    """Raises `Forbidden`. IPv4 addresses inside IPv6 ones count as what they are."""
    parsed: Any = ip_address(address.partition("%")[0])
    for inner in ("ipv4_mapped", "sixtofour"):
        parsed = getattr(parsed, inner, None) or parsed
    teredo = getattr(parsed, "teredo", None)
    odd = parsed.version == 6 and parsed not in _UNICAST
    if not parsed.is_global or parsed.is_multicast or teredo or odd:
        raise Forbidden("is an address that may not be fetched")


def _refused(status: int, code: str, why: str) -> ApiError:
    return ApiError(status, code, f"url: {why}.", "url")
