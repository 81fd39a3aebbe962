"""Who called us, by which URL: what a signature covers, seen through proxies.

Forwarded headers (RFC 7239, and the older X-Forwarded-*) are believed from configured proxies
alone; from anyone else they only tell that there was one. Next: `web/webhooks.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp import web

from telebot.carriers.port import Webhook

_HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]*))\s*')
_PROXY_HEADERS = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "true-client-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
    }
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as its sender made it. `base` is scheme and host, without a slash at the end."""

    base: str
    peer: str
    forwarded: bool


class PublicUrl:
    """Reconstructs the URLs that others use for us."""

    def __init__(self, public_url: str, trusted_proxies: Iterable[str]) -> None:
        self._public = public_url.rstrip("/")
        self._trusted = [ip_network(network, strict=False) for network in trusted_proxies]

    def seen(self, request: web.BaseRequest, *, by_host: bool = False) -> Seen:
        """Who sent a request to which base URL. `by_host`: as the Host header says, whatever the
        public URL is, and without listening to any proxy."""
        peer = _address(request.remote or "")
        forwarded = any(
            name.lower() in _PROXY_HEADERS or name.lower().startswith("x-forwarded")
            for name in request.headers
        )
        scheme, host = request.scheme, request.host
        if not by_host and forwarded and self._trusts(peer):
            hops = _hops(request)
            scheme = hops.proto or scheme
            host = hops.host or host
            peer = self._first_untrusted(hops.peers) or peer
        base = self._public if self._public and not by_host else f"{scheme}://{host}"
        return Seen(base, peer, forwarded)

    def webhook(self, request: web.BaseRequest, body: bytes, *, by_host: bool = False) -> Webhook:
        """The request as its carrier made it."""
        seen = self.seen(request, by_host=by_host)
        return Webhook(
            method=request.method,
            url=seen.base + _target(request),
            headers={
                name.lower(): value for name, value in reversed(list(request.headers.items()))
            },
            body=body,
            peer=seen.peer,
            forwarded=seen.forwarded,
        )

    def _trusts(self, peer: str) -> bool:
        address = _parsed(peer)
        return address is not None and any(address in network for network in self._trusted)

    def _first_untrusted(self, peers: list[str]) -> str | None:
        """The nearest hop that no trusted proxy is; what lies beyond it anyone can claim."""
        for peer in reversed(peers):
            if not self._trusts(peer):
                return peer
        return peers[0] if peers else None


@dataclass(frozen=True, slots=True)
class _Hops:
    proto: str
    host: str
    peers: list[str]  # the farthest first


def _hops(request: web.BaseRequest) -> _Hops:
    """What the nearest proxy says: it appends, so its own word is the last one."""
    elements = [
        {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(element)}
        for element in _list(request, "Forwarded")
    ]
    if elements:
        proto, host = elements[-1].get("proto", ""), elements[-1].get("host", "")
        peers = [element["for"] for element in elements if "for" in element]
    else:
        proto = (_list(request, "X-Forwarded-Proto") or [""])[-1]
        host = (_list(request, "X-Forwarded-Host") or [""])[-1]
        peers = _list(request, "X-Forwarded-For")
    proto = {"ws": "http", "wss": "https"}.get(proto.lower(), proto.lower())
    return _Hops(
        proto if proto in ("http", "https") else "",
        host if _HOST.fullmatch(host) else "",
        [_address(_without_port(peer)) for peer in peers],
    )


def _list(request: web.BaseRequest, name: str) -> list[str]:
    values = ",".join(request.headers.getall(name, []))
    return [value.strip() for value in values.split(",") if value.strip()]


def _without_port(peer: str) -> str:
    if peer.startswith("["):
        return peer[1:].partition("]")[0]
    return peer.partition(":")[0] if peer.count(":") == 1 else peer


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _address(text: str) -> str:
    """An address in its plain form (IPv4 behind ::ffff: too); anything else as it is."""
    address = _parsed(text)
    return text if address is None else str(address)


def _target(request: web.BaseRequest) -> str:
    """Path and query exactly as they were sent: the signature covers every character."""
    target = request.raw_path
    if target.startswith("/"):
        return target
    return "/" + target.partition("://")[2].partition("/")[2]  # absolute form, RFC 9112 3.2.2
