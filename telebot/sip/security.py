"""Who is believed: digest authentication, lock-out, and how many INVITEs an address may send.

Pure; clocks and keys are handed in. Used in sippy's thread by `incoming.py`, the rate by the
receiver's thread alone. RFC 3261 section 22, RFC 7616 (SHA-256), RFC 8760. MD5 is offered
first, against the advice of RFC 8760: telephones that know nothing else look at the first challenge
alone, and either digest is as strong as its password.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from telebot.sip.trunks import Credentials

ALGORITHMS = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
NONCE_LIFE_S = 60.0
NONCE_HEX = 32
MOST_ADDRESSES = 4096
MOST_NONCES = 65_536
MOST_PARAMETERS = 32
ATTEMPTS = 5  # wrong passwords of one address before it is locked out
LOCKED_S, LONGEST_LOCK_S = 60.0, 3600.0
# user agents that give a call up where they see any other algorithm, even behind MD5
MD5_ALONE = re.compile(r"baresip v[01]\.", re.IGNORECASE)
PARAMETER = re.compile(
    r'\s*([A-Za-z0-9_-]{1,32})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)'
)


class Verdict(Enum):
    """What an INVITE's credentials are worth."""

    GOOD = "good"
    MISSING = "missing"  # none for us: challenge
    STALE = "stale"  # right, but the nonce was used or is old: challenge again
    WRONG = "wrong"
    LOCKED = "locked"  # too many wrong ones from there


def parameters(header: str) -> dict[str, str]:
    """The parameters of an `Authorization: Digest …`; empty for anything else."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "digest":
        return {}
    found: dict[str, str] = {}
    at = 0
    while at < len(rest) and len(found) < MOST_PARAMETERS:
        match = PARAMETER.match(rest, at)
        if match is None or match.end() == at:
            return {}
        name, quoted, plain = match.groups()
        if name.lower() in found:
            return {}
        found[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        at = match.end()
    return found


def response(given: Mapping[str, str], credentials: Credentials, method: str) -> str:
    """The digest that `given` ought to bear (RFC 7616 section 3.4.1, qop auth)."""
    digest = ALGORITHMS[given.get("algorithm", "MD5").upper()]

    def hashed(*parts: str) -> str:
        return digest(":".join(parts).encode("utf-8", "replace")).hexdigest()

    secret = hashed(credentials.user, credentials.realm, credentials.password)
    asked = hashed(method, given["uri"])
    return hashed(secret, given["nonce"], given["nc"], given["cnonce"], given["qop"], asked)


class Nonces:
    """Nonces that need no memory until they come back: time and address, signed. Each is good
    once, for one address, for `NONCE_LIFE_S`."""

    def __init__(self, clock: Callable[[], float], key: bytes | None = None) -> None:
        self._clock = clock
        self._key = key or secrets.token_bytes(32)
        self._used: OrderedDict[str, float] = OrderedDict()

    def issue(self, address: str) -> str:
        """A new one."""
        body = f"{int(self._clock() * 1000):012x}{secrets.token_hex(8)}"
        return body + self._signature(body, address)

    def ours(self, nonce: str, address: str) -> bool:
        """Whether we gave it to that address, however long ago."""
        body, signature = nonce[:28], nonce[28:]
        return hmac.compare_digest(signature.encode(), self._signature(body, address).encode())

    def spend(self, nonce: str) -> bool:
        """Use one of ours up; False where that was done before, or it is too old."""
        now = self._clock()
        while self._used and (
            len(self._used) > MOST_NONCES or next(iter(self._used.values())) <= now
        ):
            self._used.popitem(last=False)
        ends = int(nonce[:12], 16) / 1000 + NONCE_LIFE_S
        if ends <= now or nonce in self._used:
            return False
        self._used[nonce] = now + NONCE_LIFE_S
        return True

    def _signature(self, body: str, address: str) -> str:
        text = f"{body}@{address}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:NONCE_HEX]


@dataclass(slots=True)
class _Failures:
    count: int = 0
    locks: int = 0
    until: float = 0.0


class Guard:
    """Judges credentials. Only wrong answers to a nonce that went to that very address count
    against it, so nobody is locked out by packets that bear his address."""

    def __init__(self, clock: Callable[[], float], key: bytes | None = None) -> None:
        self._clock = clock
        self._nonces = Nonces(clock, key)
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self.failed = self.locked = 0

    def challenges(
        self, address: str, credentials: Credentials, agent: str = "", *, stale: bool = False
    ) -> list[str]:
        """The values of `WWW-Authenticate`, one for each algorithm that `agent` bears."""
        nonce = self._nonces.issue(address)
        told = ", stale=true" if stale else ""
        return [
            f'Digest realm="{credentials.realm}", nonce="{nonce}", algorithm={name}, '
            f'qop="auth"{told}'
            for name in credentials.algorithms
            if name == "MD5" or "MD5" not in credentials.algorithms or not MD5_ALONE.match(agent)
        ]

    def judge(
        self, header: str | None, credentials: Credentials, method: str, address: str
    ) -> Verdict:
        """What an `Authorization` header proves. A nonce is spent whatever comes of it."""
        if self.locked_out(address):
            return Verdict.LOCKED
        given = parameters(header) if header else {}
        if not self._for_us(given, credentials, address):
            return Verdict.MISSING
        fresh = self._nonces.spend(given["nonce"])
        wanted = response(given, credentials, method)
        right = hmac.compare_digest(wanted.encode(), given["response"].lower().encode())
        if not right or given["username"] != credentials.user:
            self._fail(address)
            return Verdict.WRONG
        if not fresh or given["nc"] != "00000001":
            return Verdict.STALE
        self._failures.pop(address, None)
        return Verdict.GOOD

    def locked_out(self, address: str) -> bool:
        """Whether nothing of that address is believed for now."""
        failures = self._failures.get(address)
        return failures is not None and self._clock() < failures.until

    def _for_us(self, given: Mapping[str, str], credentials: Credentials, address: str) -> bool:
        needed = ("username", "realm", "nonce", "uri", "response", "nc", "cnonce", "qop")
        return (
            all(name in given for name in needed)
            and given["realm"] == credentials.realm
            and given["qop"].lower() == "auth"
            and given.get("algorithm", "MD5").upper() in credentials.algorithms
            and self._nonces.ours(given["nonce"], address)
        )

    def _fail(self, address: str) -> None:
        self.failed += 1
        failures = self._failures.pop(address, _Failures())
        self._failures[address] = failures
        if len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)
        failures.count += 1
        if failures.count >= ATTEMPTS:
            self.locked += 1
            failures.until = self._clock() + min(LONGEST_LOCK_S, LOCKED_S * 2**failures.locks)
            failures.locks = min(failures.locks + 1, 16)
            failures.count = 0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True)
class InviteRate:
    """A bucket of INVITEs for each address: `rate_of` of them a second, twice as many at once.

    A retransmission is no second INVITE: what was let in stays let in."""

    clock: Callable[[], float]
    rate_of: Callable[[str], float]
    refused: int = 0
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)
    _seen: OrderedDict[bytes, bool] = field(default_factory=OrderedDict)

    def allows(self, address: str, invite: bytes) -> bool:
        """Whether this INVITE may be looked at."""
        known = hashlib.blake2b(invite, digest_size=16).digest()
        if known in self._seen:
            return self._seen[known]
        allowed = self._take(address)
        self._seen[known] = allowed
        if len(self._seen) > MOST_ADDRESSES:
            self._seen.popitem(last=False)
        self.refused += not allowed
        return allowed

    def _take(self, address: str) -> bool:
        now, rate = self.clock(), self.rate_of(address)
        most = max(2.0, rate * 2)
        bucket = self._buckets.pop(address, None) or _Bucket(most, now)
        self._buckets[address] = bucket
        if len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        bucket.tokens = min(most, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
