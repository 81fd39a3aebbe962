"""Gemini's ephemeral tokens (https://ai.google.dev/gemini-api/docs/live-api/ephemeral-tokens): each
opens Live sessions so often, until it is too late to begin one, as they were fixed with it.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from telebot.simulate.faults import Refused
from telebot.simulate.gemini_request import LIVE
from telebot.simulate.server import Simulator

KNOWN = {"uses", "expireTime", "newSessionExpireTime", "bidiGenerateContentSetup", "fieldMask"}
LONGEST = timedelta(hours=20)


class Tokens:
    """Those that were given."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._given: dict[str, tuple[int, datetime, dict[str, Any]]] = {}

    async def create(self, request: web.Request) -> web.Response:
        try:
            await self._sim.exchange("gemini", "realtime").reach("connect")
        except Refused as fault:
            return _refusal(fault.status, "refused")
        if not self._sim.good(request.headers.get("x-goog-api-key")):
            return _refusal(400, "API key not valid. Please pass a valid API key.")
        try:
            asked = await request.json()
            uses, begins, setup = _read(asked)
        except (ValueError, TypeError, AttributeError, KeyError) as wrong:
            return _refusal(400, f"Request contains an invalid argument: {wrong}")
        name = f"auth_tokens/{secrets.token_hex(16)}"
        self._given[name] = (uses, begins, setup)
        return web.json_response({"name": name})

    def spend(self, name: str) -> dict[str, Any] | None:
        """What the session of a token is to be; None where it opens none."""
        uses, begins, setup = self._given.get(name, (0, datetime.min.replace(tzinfo=UTC), {}))
        if uses < 1 or begins <= datetime.now(UTC):
            return None
        self._given[name] = (uses - 1, begins, setup)
        return setup


def _read(asked: dict[str, Any]) -> tuple[int, datetime, dict[str, Any]]:
    if extra := asked.keys() - KNOWN:
        raise ValueError(min(extra))
    now = datetime.now(UTC)
    expires = datetime.fromisoformat(asked.get("expireTime") or str(now + timedelta(minutes=30)))
    begins = datetime.fromisoformat(
        asked.get("newSessionExpireTime") or str(now + timedelta(seconds=60))
    )
    if not now < begins <= expires <= now + LONGEST:
        raise ValueError("newSessionExpireTime")
    setup = asked.get("bidiGenerateContentSetup") or {}
    if setup and str(setup["model"]).removeprefix("models/") not in LIVE:
        raise ValueError("model")
    return int(asked.get("uses", 1)), begins, dict(setup)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"code": status, "message": message}}, status=status)
