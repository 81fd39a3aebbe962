"""Who may offer a call where no carrier signs anything: a PBX, by HTTP Basic credentials, else by
its address.

Without credentials and without a list of peers only this machine itself is let in, and a web page
in one of its browsers is not. Used by the carriers whose PBX calls us (`dialplan.py`).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from hmac import compare_digest
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from telebot.call.errors import NotAuthentic
from telebot.carriers.port import Webhook

MAX_HEADER_CHARS = 1024


class Door:
    """Lets in who shows `user` and `password` (HTTP Basic, RFC 7617) where they are set; `peers`
    are networks, and none means anybody with the credentials, or this machine where there are
    none."""

    def __init__(self, user: str, password: str, peers: Iterable[str] = ()) -> None:
        self._secret = f"{user}:{password}" if password else ""
        self._peers = [ip_network(peer, strict=False) for peer in peers]

    def check(self, request: Webhook) -> None:
        """Raises `NotAuthentic`."""
        if self._secret and not compare_digest(_basic(request), self._secret.encode()):
            raise NotAuthentic("no credentials, or wrong ones")
        if self._peers or not self._secret:
            self.check_peer(request.peer, forwarded=request.forwarded)
        _check_origin(request)

    def check_peer(self, peer: str, *, forwarded: bool = False) -> None:
        """Raises `NotAuthentic` where an address is not on the list. What a proxy forwards is never
        this machine's own."""
        try:
            address = ip_address(peer)
        except ValueError:
            raise NotAuthentic("no address") from None
        address = getattr(address, "ipv4_mapped", None) or address
        here = address.is_loopback
        known = any(address in network for network in self._peers) if self._peers else here
        if not known or (here and forwarded):
            raise NotAuthentic("not a peer that may call here")


def _basic(request: Webhook) -> bytes:
    header = request.headers.get("authorization", "")[:MAX_HEADER_CHARS]
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(value, validate=True)
    except ValueError:
        return b""


def _check_origin(request: Webhook) -> None:
    """A browser names the page that asks (RFC 6454); some PBXs name us."""
    origin = request.headers.get("origin", "")
    if not origin:
        return
    try:
        named = urlsplit(origin if "//" in origin else f"//{origin}").hostname
        ours = urlsplit(request.url).hostname
    except ValueError:
        named = ours = None
    if named is None or named != ours:
        raise NotAuthentic("a web page may not call here")
