"""`POST /v1/voice/realtime/session`: a one-time token for `WS /v1/voice/realtime`, or a vendor's
own short-lived credential (`docs/realtime.md`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal
from uuid import uuid4

from aiohttp import web
from pydantic import Field

from telebot.api import openapi
from telebot.api.answers import answer
from telebot.api.calls import Endpoint
from telebot.api.query import body_of, read
from telebot.call.errors import ApiError
from telebot.models import LazyModel
from telebot.records.keys import ApiKey, Scope
from telebot.voice.credentials import Given
from telebot.voice.promises import Promises, TooManyPromised, session_id
from telebot.voice.sessions import PROTOCOL, SessionRequest

PATH = "/v1/voice/realtime/session"
SOCKET = "/v1/voice/realtime"
TOLD = openapi.Socket(SOCKET, "Talk with an agent, or with a realtime model", "docs/realtime.md")


class SessionAnswer(LazyModel):
    """A session that may begin: here by `token`, or at a vendor by `client_secret`."""

    id: str
    target: Literal["telebot", "vendor"]
    url: str = Field(description="of the WebSocket")
    expires_at: datetime | None = Field(description="until when it can be opened")
    protocol: str | None = Field(description="the subprotocol to offer")
    token: str | None = Field(None, description="offered as `telebot.token.TOKEN` beside it")
    sample_rate: int | None = Field(None, description="Hz, both ways")
    mode: Literal["chain", "direct"] | None = None
    agent: str | None = None
    is_byok: bool | None = Field(None, description="made by a stored key of one's own")
    client_secret: str | None = Field(None, description="the vendor's own credential")
    provider: str | None = None
    model: str | None = None


Vendors = Callable[[str, SessionRequest], Awaitable[Given]]  # by the id of the asking key


class RealtimeSessions:
    """The endpoint. `base` is the scheme and host by which a request came, `key` whose it is;
    `agents` may be named; `vendors` makes credentials of their own."""

    def __init__(
        self,
        promises: Promises,
        agents: frozenset[str],
        *,
        base: Callable[[web.Request], str],
        key: Callable[[web.Request], ApiKey],
        vendors: Vendors,
    ) -> None:
        self._promises = promises
        self._agents = agents
        self._base = base
        self._key = key
        self._vendors = vendors

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST",
                PATH,
                self.create_session,
                Scope.OPERATOR,
                "A one-time token for a realtime session, or a vendor's own credential",
                SessionAnswer,
                failures=(400, 404, 408, 413, 429, 502),
                body=SessionRequest,
                status=201,
                bare=True,
            )
        ]

    async def create_session(self, request: web.Request) -> web.Response:
        asked = read(SessionRequest, await body_of(request) or b"{}")
        if asked.agent is not None and asked.agent not in self._agents:
            raise ApiError(404, "agent_not_found", f"There is no agent {asked.agent!r}.", "agent")
        key = self._key(request)
        if asked.target == "vendor":
            return answer(_vendors(await self._vendors(key.id, asked), asked), status=201)
        try:
            promised, token = self._promises.make(key, asked)
        except TooManyPromised as error:
            raise ApiError(429, "too_many_tokens", str(error), retry_after_s=60) from None
        base = self._base(request).replace("http", "ws", 1)
        told = SessionAnswer(
            id=promised.id,
            target="telebot",
            url=base + SOCKET,
            expires_at=promised.expires_at,
            protocol=PROTOCOL,
            token=token,
            sample_rate=asked.sample_rate,
            mode=asked.mode,
            agent=asked.agent,
        )
        return answer(told, status=201)


def _vendors(given: Given, asked: SessionRequest) -> SessionAnswer:
    made = given.credential
    return SessionAnswer(
        id=session_id(uuid4().hex),
        target="vendor",
        url=made.url,
        expires_at=made.expires_at,
        protocol=None,
        agent=asked.agent,
        client_secret=made.secret,
        provider=given.provider,
        model=made.model,
        is_byok=given.own_key,
    )
