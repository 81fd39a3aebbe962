"""A call over any carrier's wire without a word spoken: dialled by its exchange, in real time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from edge_server import Edge, Heard

from telebot.phone.destination import Destination
from telebot.phone.exchange import Exchange, exchange_class
from telebot.phone.line import Line
from telebot.phone.microphone import Microphone
from telebot.phone.stream import CarrierStream

TIMEOUT_S = 20.0


@dataclass
class CarrierCall:
    """A call that is up."""

    exchange: Exchange
    line: Line
    session: aiohttp.ClientSession

    @property
    def stream(self) -> CarrierStream:
        return self.line.stream

    def happened(self, name: str, detail: str | None = None) -> bool:
        return any(
            one.name == name and detail in (None, one.detail) for one in self.stream.happenings
        )

    async def until(self, name: str, detail: str | None = None) -> None:
        """Wait for something that the server asks for; fails where it does not come."""
        assert await self.line.until(lambda: self.happened(name, detail), TIMEOUT_S), name

    async def over(self) -> str:
        """Wait for the server to hang up; what the carrier then says."""
        await self.line.until(self.line.over.is_set, TIMEOUT_S)
        assert self.line.ended_by == "bot"
        await self.line.close()
        return await self.exchange.after(self.session)


async def talked(to: Destination, server: Edge) -> Heard:
    """A call that is greeted, heard, cleared by one key and hung up by the bot at another; who
    listened to it."""
    async with calling(to) as call:
        await call.until("played", "greeting")
        await server.until(server.heard)
        await call.line.press("5")
        await call.line.press("*")  # the listener clears
        await call.until("clear")
        await call.line.press("#")  # the listener hangs up
        assert await call.over() == ""
        assert call.stream.faults == []
    [heard] = server.listeners.all
    assert heard.digits == ["5", "*", "#"]
    return heard


@asynccontextmanager
async def calling(to: Destination) -> AsyncIterator[CarrierCall]:
    """Dial; hang up at the end. Raises `CannotCall`, `CallRefused`."""
    exchange = exchange_class(to.carrier)(to)
    async with aiohttp.ClientSession(trust_env=False) as session:
        line = Line(await exchange.dial(session, Microphone(None)))
        await line.open()
        try:
            yield CarrierCall(exchange, line, session)
        finally:
            await line.hang_up()
