"""`POST /v1/calls/{id}/hangup`, `/transfer` and `/digits`: what an operator does to a live call.

The same parts do it that do it for the bot: the conversation's ending (`speech/closing.py`), its
transfers (`speech/transfers.py`), the carrier. Each answers with the call's row as soon as it is
under way; what came of it is in the call's events and its termination.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from aiohttp import web
from pydantic import ConfigDict, Field

from telebot.api.answers import answer
from telebot.api.calls import Endpoint, call_id_of
from telebot.api.control import Number
from telebot.api.query import body_of, read
from telebot.call.admission import Admission
from telebot.call.errors import ApiError, Unable
from telebot.call.model import Call
from telebot.call.numbers import normalised
from telebot.dialog.actions import Transfer
from telebot.models import LazyModel
from telebot.records import shape
from telebot.records.keys import Scope
from telebot.records.reading import summary
from telebot.speech.conversation import Conversation


class TransferCall(LazyModel):
    """Where the caller is to be put through to."""

    model_config = ConfigDict(extra="forbid")

    to: Number = Field(description="e.g. +442079460018 or sip:person@example.com")
    warm: bool = Field(False, description="ring that person up first, where the carrier can")


class SendDigits(LazyModel):
    """Keys to be sent to the other party."""

    model_config = ConfigDict(extra="forbid")

    digits: Annotated[str, Field(pattern=r"^[0-9*#A-Dw]{1,64}$")] = Field(
        description="0-9, *, #, A-D; w is a pause of half a second"
    )


class SteeringApi:
    """The handlers. `conversation` finds what is talked on a live call, `give_up` ends a call at
    its carrier, `send_digits` keys them there or on its stream."""

    def __init__(
        self,
        admission: Admission,
        conversation: Callable[[Call], Conversation | None],
        give_up: Callable[[Call], None],
        send_digits: Callable[[Call, str], Awaitable[None]],
        sees: Callable[[web.Request], str | None] = lambda request: None,
    ) -> None:
        self._admission = admission
        self._conversation = conversation
        self._give_up = give_up
        self._send_digits = send_digits
        self._sees = sees

    def endpoints(self) -> list[Endpoint]:
        one, operator = "/v1/calls/{id}", Scope.OPERATOR
        with_body = (400, 404, 408, 409, 413)
        return [
            Endpoint(
                "POST",
                f"{one}/hangup",
                self.hangup,
                operator,
                "End a live call; one that rings is given up",
                shape.CallSummary,
                failures=(404,),
                status=202,
            ),
            Endpoint(
                "POST",
                f"{one}/transfer",
                self.transfer,
                operator,
                "Put the caller of a live call through, behind a sentence that says so",
                shape.CallSummary,
                failures=with_body,
                body=TransferCall,
                status=202,
            ),
            Endpoint(
                "POST",
                f"{one}/digits",
                self.digits,
                operator,
                "Send keys to the other party of a live call",
                shape.CallSummary,
                failures=(*with_body, 502),
                body=SendDigits,
                status=202,
            ),
        ]

    async def hangup(self, request: web.Request) -> web.Response:
        call = self._live(request)
        conversation = self._conversation(call)
        if conversation is not None:
            conversation.note_event("operator", does="hangup")
            conversation.closing.hang_up("operator_hangup")
        else:
            self._admission.end(call, "cancelled" if call.offer.outbound else "operator_hangup")
            self._give_up(call)
        return answer(summary(call), 202)

    async def transfer(self, request: web.Request) -> web.Response:
        call, asked = self._live(request), read(TransferCall, await body_of(request))
        try:
            to = normalised(asked.to)
        except ValueError as error:
            raise ApiError(400, "invalid_parameter", f"to: {error}.", "to") from None
        conversation = self._talked_on(call)
        transfers = conversation.parts.transfers
        if not transfers.possible:
            raise ApiError(409, "unable", f"{call.offer.carrier} cannot transfer.")
        if not transfers.allowed(to):
            message = "Nobody is put through to this number: see transfer.allowed_prefixes."
            raise ApiError(403, "number_not_allowed", message, "to")
        if conversation.closing.ending:
            raise ApiError(409, "ending", "The call is ending, or being transferred already.")
        conversation.note_event("operator", does="transfer")
        conversation.closing.announce(Transfer(to, asked.warm))
        return answer(summary(call), 202)

    async def digits(self, request: web.Request) -> web.Response:
        call, asked = self._live(request), read(SendDigits, await body_of(request))
        conversation = self._talked_on(call)
        try:
            await self._send_digits(call, asked.digits)
        except Unable as error:
            raise ApiError(409, "unable", f"{error}.") from error
        conversation.note_event("operator", does="digits", digits=asked.digits)
        return answer(summary(call), 202)

    def _live(self, request: web.Request) -> Call:
        call = self._admission.live.get(call_id_of(request))
        sees = self._sees(request)
        if call is None or (call.offer.key_id and sees is not None and call.offer.key_id != sees):
            raise ApiError(404, "not_live", "There is no such live call on this server.", "id")
        return call

    def _talked_on(self, call: Call) -> Conversation:
        conversation = self._conversation(call)
        if conversation is None:
            raise ApiError(409, "not_answered", "Nobody talks on this call yet.", "id")
        return conversation
