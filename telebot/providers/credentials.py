"""Short-lived credentials of vendors' own realtime endpoints, for clients that speak to a vendor
without this server in between.

A vendor's file has `async credential(options, wanted, resources) -> Credential`; `registry.py`
lists them. Next: `voice/credentials.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the session will be, as far as the vendor lets it be fixed; "" is the vendor's usual.
    `life_s`: how long the credential should be good for beginning one."""

    model: str = ""
    voice: str = ""
    language: str = ""
    instructions: str = ""
    life_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Credential:
    """`secret` opens a session at `url` (a WebSocket) until `expires_at`."""

    model: str
    secret: str
    url: str
    expires_at: datetime
