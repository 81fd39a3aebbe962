"""Settings of who may come in by somebody else's word: tokens of OpenID Connect issuers.
`settings.py` has them among the others.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, model_validator

from telebot.setting_types import Row, row

# signatures by a public key alone: a shared secret could be the public key itself (RFC 8725, 3.1)
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
ScopeName = Literal["viewer", "operator", "admin"]
ISSUER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def _safe_url(value: Any) -> Any:
    """https, or http to this machine."""
    if not value:
        return value
    parts = urlsplit(str(value))
    if parts.hostname and not parts.query and not parts.fragment and parts.username is None:
        if parts.scheme == "https":
            return value
        if parts.scheme == "http" and _is_loopback(parts.hostname):
            return value
    raise ValueError(f"write https://HOST/PATH (got {value!r})")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


SafeUrl = Annotated[str, BeforeValidator(_safe_url)]
Several = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Issuer(Row):
    """Whose tokens open `/v1`, and what they may do there."""

    issuer: SafeUrl = row(..., "its URL, letter for letter as tokens have it in `iss`")
    audience: Several = row(..., "what tokens must have in `aud`; one of several", min_length=1)
    jwks_url: SafeUrl = row("", "where its keys are; empty: where its discovery says")
    algorithms: tuple[Algorithm, ...] = row(
        ("RS256", "ES256", "EdDSA"), "signatures that count", min_length=1
    )
    scope_claim: str = row(
        "scope",
        "the claim of what somebody may do; `realm_access.roles` too",
        max_length=256,
    )
    scopes: dict[str, ScopeName] = row(
        {}, "its values, and the scope of each: {telebot-admin: admin}; the highest counts"
    )
    default_scope: ScopeName | None = row(
        None, "for tokens with none of these values; empty: they open nothing"
    )
    tenant_claim: str = row(
        "", "a claim that must be there, and tells owners of one subject apart", max_length=256
    )
    tenants: tuple[str, ...] = row((), "its values that count; empty: any")
    requests_per_minute: int | None = row(
        None, "of each subject; empty: limits.requests_per_minute", unit="requests", ge=1
    )
    monthly_budget: float | None = row(None, "of each subject", unit="currency", gt=0)
    models: tuple[str, ...] = row((), 'that they may use, like "vendor/*"; empty: any')
    tier: Literal["high", "normal", "low"] = row("normal", "who goes first where work waits")

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if not self.scopes and self.default_scope is None:
            raise ValueError("write scopes: {VALUE: viewer}, or default_scope: viewer")
        if self.tenants and not self.tenant_claim:
            raise ValueError("tenants: needs tenant_claim")
        return self


def _issuers(value: Any) -> Any:
    for name in value if isinstance(value, dict) else ():
        if not ISSUER_NAME.fullmatch(str(name)):
            raise ValueError(f"write a name of small letters and digits (got {name!r})")
    return value


class AuthSettings(Row):
    """Who may come in besides API keys."""

    oidc: Annotated[dict[str, Issuer], BeforeValidator(_issuers)] = row(
        {}, "issuers of tokens as docs/access.md tells, each by a name of yours"
    )
    clock_skew_s: float = row(
        60.0, "issuers' clocks may be off by this much", unit="s", ge=0, le=600
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        known = [one.issuer for one in self.oidc.values()]
        if len(set(known)) < len(known):
            raise ValueError("two issuers have the same URL: list their audiences in one")
        return self
