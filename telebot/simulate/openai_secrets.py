"""OpenAI's client secrets: a session's configuration behind a short-lived key.

https://developers.openai.com/api/reference/resources/realtime/subresources/client_secrets/methods/create
The secret opens realtime sessions until it expires, and nothing else.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from telebot.simulate.asked import bearer
from telebot.simulate.faults import Refused
from telebot.simulate.openai_socket import unknown

if TYPE_CHECKING:
    from telebot.simulate.openai import OpenAIWire

PREFIX = "ek_"
USUAL_S, LEAST_S, MOST_S = 600, 10, 7200


class Secrets:
    """Those that were given, with what their sessions are to be."""

    def __init__(self, wire: OpenAIWire) -> None:
        self._wire = wire
        self._given: dict[str, tuple[float, dict[str, Any]]] = {}

    def session(self, request: web.Request) -> dict[str, Any] | None:
        """The configuration behind a request's secret; None where it has no good one."""
        until, session = self._given.get(bearer(request), (0.0, {}))
        return session if until > time.time() else None

    async def create(self, request: web.Request) -> web.Response:
        wire = self._wire
        try:
            await wire.sim.exchange(wire.vendor, "realtime").reach("connect")
        except Refused as fault:
            return wire.refusal(fault.status)
        if (refused := wire.keyed(request)) is not None:
            return refused
        asked = await _json(request)
        if asked is None:
            return wire.refusal(400, "We could not parse the JSON body of your request.")
        if wrong := self._wrong(asked):
            return wire.refusal(400, f"Invalid value: '{wrong}'.", wrong, "invalid_value")
        lasts_s = (asked.get("expires_after") or {}).get("seconds", USUAL_S)
        until = int(time.time()) + lasts_s
        value = f"{PREFIX}{secrets.token_hex(16)}"
        session = asked.get("session") or {"type": "realtime"}
        self._given[value] = (until, session)
        told = {"object": "realtime.session", "id": f"sess_{secrets.token_hex(8)}", **session}
        return web.json_response({"value": value, "expires_at": until, "session": told})

    def _wrong(self, asked: dict[str, Any]) -> str | None:
        """The parameter at fault."""
        if extra := asked.keys() - {"expires_after", "session"}:
            return min(extra)
        after = asked.get("expires_after") or {}
        seconds = after.get("seconds", USUAL_S)
        if after.get("anchor", "created_at") != "created_at":
            return "expires_after.anchor"
        if type(seconds) is not int or not LEAST_S <= seconds <= MOST_S:
            return "expires_after.seconds"
        return self._wrong_session(asked.get("session") or {"type": "realtime"})

    def _wrong_session(self, session: Any) -> str | None:
        from telebot.simulate.openai_talking import Talks

        if not isinstance(session, dict) or session.get("type") != "realtime":
            return "session.type"
        if param := unknown(session, Talks.known):
            return param
        if session.get("model", self._wire.talk_models[0]) not in self._wire.talk_models:
            return "session.model"
        voice = ((session.get("audio") or {}).get("output") or {}).get("voice", "marin")
        return None if voice in self._wire.voices else "session.audio.output.voice"


async def _json(request: web.Request) -> dict[str, Any] | None:
    try:
        asked = await request.json()
    except ValueError:
        return None
    return asked if isinstance(asked, dict) else None
