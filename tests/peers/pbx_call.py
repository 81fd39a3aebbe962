"""A call of any carrier's phone against the edge, without speech: what its switch and its stream
say on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from telebot.phone.destination import Destination
from telebot.phone.exchange import exchange_class
from telebot.phone.line import Line
from telebot.phone.microphone import Microphone


@asynccontextmanager
async def calling(url: str, carrier: str, secret: str = "", **fields: Any) -> AsyncIterator[Line]:
    """A line that was put through; hung up when the test is done."""
    to = Destination(url, secret, carrier=carrier, **fields)
    async with aiohttp.ClientSession() as session:
        exchange = exchange_class(carrier)(to)
        line = Line(await exchange.dial(session, Microphone(-62.0)))
        await line.open()
        try:
            yield line
        finally:
            await line.hang_up()


async def heard(line: Line, ulaw: bytes, within_s: float = 30.0) -> None:
    """Wait until `ulaw` was played, whatever the wire made of its ends."""
    middle = ulaw[len(ulaw) // 4 : len(ulaw) // 2]
    await until(lambda: middle in line.stream.playout.heard(), within_s)


async def until(condition: Any, within_s: float = 30.0) -> None:
    """Give everybody their turns until `condition()`."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # any condition, of either side
            await asyncio.sleep(0.005)
