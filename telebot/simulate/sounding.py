"""Sound that simulated vendors send as the answer to one request, the fault points on the way."""

from __future__ import annotations

import struct

from aiohttp import web

from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Simulator

ENDLESS = 0xFFFFFFFF  # the length of what is not finished yet


def wav_head(rate_hz: int) -> bytes:
    """Of 16-bit mono PCM whose length is not known."""
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * 2, 2, 16)
    head = b"RIFF" + struct.pack("<I", ENDLESS) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", ENDLESS)


async def sounding(
    sim: Simulator,
    request: web.Request,
    exchange: Exchange,
    text: str,
    rate_hz: int,
    *,
    kind: str = "audio/pcm",
    head: bytes = b"",
) -> web.StreamResponse:
    """`text` as int16 PCM, `head` before it. Raises Refused before the answer has begun, Dropped
    afterwards."""
    said = await sim.speech.say(text, rate_hz)
    answer = web.StreamResponse(headers={"Content-Type": kind})
    answer.enable_chunked_encoding()
    try:
        async for piece in exchange.outputs(said.pieces()):
            if not answer.prepared:
                await answer.prepare(request)
                await answer.write(head)
            await answer.write(bytes(len(piece)) if exchange.silent else piece)
    except Garbage:
        if not answer.prepared:
            await answer.prepare(request)
        await answer.write(b"\x00\xff\x00 not audio")
    except Refused:
        if answer.prepared:  # the status is out already: all a server can do then
            raise Dropped from None
        raise
    if not answer.prepared:
        await answer.prepare(request)
    return answer
