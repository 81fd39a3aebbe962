"""One-time tokens by which a media stream proves which call it belongs to.

A JSON Web Token (RFC 7519, HS256) that names the call and dies after minutes; that it is used once
is admission's to know. The wall clock is a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

import jwt

from telebot.call.errors import BadToken
from telebot.call.ports import WallClock

MAX_TOKEN_CHARS = 2048  # a longer one is not ours


@dataclass(frozen=True, slots=True)
class StreamTokens:
    """Signs and reads stream tokens. `life_s` is how long one is good."""

    key: str
    life_s: float
    now: WallClock

    def issue(self, call_id: str, audience: str, nonce: str, after_s: float = 0.0) -> str:
        """A token for `call_id`, good for one stream of the carrier `audience`, that may begin
        `after_s` from now."""
        expires = self.now().timestamp() + after_s + self.life_s
        claims = {"sub": call_id, "aud": audience, "jti": nonce, "exp": int(expires)}
        return jwt.encode(claims, self.key, algorithm="HS256")

    def read(self, token: str, audience: str) -> tuple[str, str]:
        """(call id, nonce). Raises `BadToken` on anything forged, foreign or stale."""
        if not token or len(token) > MAX_TOKEN_CHARS:
            raise BadToken("missing" if not token else "too long")
        try:
            claims = jwt.decode(
                token,
                self.key,
                algorithms=["HS256"],
                audience=audience,
                # our own clock decides below, so that tests can turn it
                options={"require": ["sub", "jti", "exp"], "verify_exp": False},
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            raise BadToken(type(error).__name__) from None
        expires = claims["exp"]
        if not isinstance(expires, int) or self.now().timestamp() >= expires:
            raise BadToken("expired")
        return str(claims["sub"]), str(claims["jti"])
