"""Secrets that leave this server: sealed by a key that is made of a passphrase.

scrypt (RFC 7914) with the parameters that OWASP's password storage cheat sheet names for 32 MiB,
then AES-256-GCM with what the secret is for authenticated beside it, so that none is opened in the
place of another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telebot.call.errors import Local

N, R, P = 1 << 15, 8, 3
MOST_N, MOST_P = 1 << 17, 8  # of what another server wrote
SALT_BYTES, NONCE_BYTES, KEY_BYTES = 16, 12, 32
MEMORY = 192 << 20


class DoesNotOpen(Local):
    """Another passphrase, or a file that was changed."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """How the key was made; no secret. `salt` is base64."""

    n: int
    r: int
    p: int
    salt: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A passphrase at work. Made by `of`, which takes a tenth of a second and 32 MiB: not in the
    event loop."""

    parameters: Parameters
    _cipher: AESGCM = field(repr=False)

    @classmethod
    def of(cls, passphrase: str, parameters: Parameters | None = None) -> Sealed:
        """To seal anew, or to open what was sealed with `parameters`. Raises `DoesNotOpen` on such
        as nobody should follow."""
        if parameters is None:
            salt = secrets.token_bytes(SALT_BYTES)
            parameters = Parameters(N, R, P, base64.b64encode(salt).decode())
        n, p = parameters.n, parameters.p
        if not (1 < n <= MOST_N and n & (n - 1) == 0 and parameters.r == R and 1 <= p <= MOST_P):
            raise DoesNotOpen("its key was made in a way that is not known here")
        salt = _bytes(parameters.salt)
        key = hashlib.scrypt(
            passphrase.encode("utf-8", "surrogatepass"),
            salt=salt, n=n, r=R, p=p, maxmem=MEMORY, dklen=KEY_BYTES,
        )  # fmt: skip
        return cls(parameters, AESGCM(key))

    def seal(self, secret: str, bound: bytes) -> str:
        """`bound` is what it is for; base64."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.encode(), bound)
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, bound: bytes) -> str:
        """Raises `DoesNotOpen`."""
        data = _bytes(sealed)
        try:
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], bound).decode()
        except (InvalidTag, ValueError):
            raise DoesNotOpen("another passphrase, or a file that was changed") from None


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DoesNotOpen("not base64") from None
