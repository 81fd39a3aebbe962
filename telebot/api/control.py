"""`POST /v1/calls`: calls that programs have us make.

The work is done by `carriers/dialling.py`; what this answers is the new call's row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from aiohttp import web
from pydantic import ConfigDict, Field

from telebot.api.answers import answer
from telebot.api.calls import Endpoint
from telebot.api.idempotency import HEADER, Once
from telebot.api.query import Text, body_of, read
from telebot.call.ports import Clock
from telebot.carriers.dialling import DialFailed, Dialling, Wanted
from telebot.models import LazyModel
from telebot.records import shape
from telebot.records.keys import Scope
from telebot.records.reading import summary

Number = Annotated[str, Field(min_length=1, max_length=256)]
_META_KEY = Annotated[str, Field(min_length=1, max_length=64)]
_META_VALUE = Annotated[str, Field(max_length=500)]


class PlaceCall(LazyModel):
    """A call to be made."""

    model_config = ConfigDict(extra="forbid")

    to: Number = Field(description="who is rung up, e.g. +442079460018 or sip:person@example.com")
    phone_from: Number | None = Field(
        None, alias="from", description="the number to call from; else outbound.caller_id"
    )
    agent: Text | None = Field(
        None, description="the agent that speaks; else the one that answers the number called from"
    )
    carrier: Text | None = Field(None, description="who dials; else the one that can")
    trunk: Text | None = Field(None, description="the SIP trunk it goes over")
    metadata: dict[_META_KEY, _META_VALUE] = Field(
        {}, max_length=20, description="kept in the call's record"
    )


class ControlApi:
    """The handlers. `written` waits until the record can be read."""

    def __init__(
        self,
        dialling: Dialling,
        written: Callable[[], Awaitable[None]],
        clock: Clock,
        who: Callable[[web.Request], str],
    ) -> None:
        self._dialling = dialling
        self._written = written
        self._once = Once(clock, who, (DialFailed,))

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST",
                "/v1/calls",
                self.place,
                Scope.OPERATOR,
                "Make a call; answers as soon as it is on its way",
                shape.CallSummary,
                failures=(400, 408, 409, 413, 422, 429, 502),
                body=PlaceCall,
                status=201,
                headers=((HEADER, "sent again with the same one, the call is made once"),),
            ),
        ]

    async def place(self, request: web.Request) -> web.StreamResponse:
        body = await body_of(request)
        return await self._once.answer(request, body, lambda: self._place(body))

    async def _place(self, body: bytes) -> web.Response:
        asked = read(PlaceCall, body)
        wanted = Wanted(
            to=asked.to,
            phone_from=asked.phone_from,
            agent=asked.agent,
            carrier=asked.carrier,
            trunk=asked.trunk,
            metadata=asked.metadata,
        )
        call = await self._dialling.call(wanted)
        await self._written()
        response = answer(summary(call), 201)
        response.headers["Location"] = f"/v1/calls/{call.id}"
        return response
