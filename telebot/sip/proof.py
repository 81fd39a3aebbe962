"""Proof of who we are, where a peer asks for it: digest credentials for a challenge. Pure.

RFC 7616 (digest, SHA-256), RFC 8760 (several challenges: the first that we can answer),
RFC 2617 (MD5, also without qop), RFC 3261 section 22. The other way round is `security.py`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from telebot.sip.security import parameters
from telebot.sip.trunks import Account

HASHES: dict[str, Callable[[bytes], hashlib._Hash]] = {
    "MD5": hashlib.md5,
    "SHA-256": hashlib.sha256,
}
ANSWERS = {  # status → the challenge's header, the answer's
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}


def is_stale(challenges: Sequence[str]) -> bool:
    """The credentials were right, only their nonce was old: worth another try."""
    return any(parameters(one).get("stale", "").lower() == "true" for one in challenges)


def proof(
    challenges: Sequence[str],
    account: Account,
    method: str,
    uri: str,
    *,
    body: bytes = b"",
    cnonce: str = "",
) -> str | None:
    """The value of the header that answers the first challenge which we can answer; None where
    there is none. `uri` is the request's own, as it is written."""
    for challenge in challenges:
        asked = parameters(challenge)
        algorithm = asked.get("algorithm", "MD5").upper().removesuffix("-SESS")
        qop = _protection(asked.get("qop"))
        if algorithm in HASHES and "nonce" in asked and "realm" in asked and qop is not None:
            made = Proof(asked, qop, account, method, uri, body, cnonce or secrets.token_hex(16))
            return str(made)
    return None


def _protection(offered: str | None) -> str | None:
    """The qop to use: "" where none was offered, None where none of it is known."""
    if offered is None:
        return ""
    names = [name.strip().lower() for name in offered.split(",")]
    return next((name for name in ("auth", "auth-int") if name in names), None)


@dataclass(frozen=True, slots=True)
class Proof:
    """The answer to one challenge, whose parameters are `asked`."""

    asked: Mapping[str, str]
    qop: str
    account: Account
    method: str
    uri: str
    body: bytes
    cnonce: str

    @property
    def algorithm(self) -> str:
        """As the challenge writes it."""
        return self.asked.get("algorithm", "MD5")

    @property
    def response(self) -> str:
        """RFC 7616 section 3.4.1; without qop as RFC 2069 had it."""
        digest = HASHES[self.algorithm.upper().removesuffix("-SESS")]

        def hashed(*parts: str) -> str:
            return digest(":".join(parts).encode("utf-8")).hexdigest()

        nonce = self.asked["nonce"]
        secret = hashed(self.account.user, self.asked["realm"], self.account.password)
        if self.algorithm.upper().endswith("-SESS"):
            secret = hashed(secret, nonce, self.cnonce)
        whole = [digest(self.body).hexdigest()] if self.qop == "auth-int" else []
        counted = [nonce, "00000001", self.cnonce, self.qop] if self.qop else [nonce]
        return hashed(secret, *counted, hashed(self.method, self.uri, *whole))

    def __str__(self) -> str:
        """The header's value."""
        asked = self.asked
        fields = [
            f'username="{_quoted(self.account.user)}"',
            f'realm="{_quoted(asked["realm"])}"',
            f'nonce="{_quoted(asked["nonce"])}"',
            f'uri="{self.uri}"',
            f'response="{self.response}"',
        ]
        fields += [f"algorithm={self.algorithm}"] if "algorithm" in asked else []
        if self.qop or self.algorithm.upper().endswith("-SESS"):
            fields.append(f'cnonce="{self.cnonce}"')
        fields += [f"qop={self.qop}", "nc=00000001"] if self.qop else []
        fields += [f'opaque="{_quoted(asked["opaque"])}"'] if "opaque" in asked else []
        return "Digest " + ", ".join(fields)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
