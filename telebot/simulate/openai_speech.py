"""Speech on OpenAI's wire: PCM, WAV and MP3, as bytes or as events.

https://platform.openai.com/docs/api-reference/audio/createSpeech,
https://platform.openai.com/docs/api-reference/audio/speech-audio-delta-event
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from telebot.audio import files
from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.openai_chat import events
from telebot.simulate.speech import Said

if TYPE_CHECKING:
    from telebot.simulate.openai import OpenAIWire

RATE_HZ = 24000
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
SIMULATED = ("wav", "pcm", "mp3")
LONGEST = 4096  # characters
SLOWEST, FASTEST = 0.25, 4.0
NOT_AUDIO = b"\x00\xff\x00 not audio"


def fault(wire: OpenAIWire, asked: Mapping[str, Any]) -> web.Response | None:
    """The refusal of a request that is not right."""
    return next(_faults(wire, asked), None)


def _faults(wire: OpenAIWire, asked: Mapping[str, Any]) -> Iterator[web.Response]:
    for name in ("model", "input", "voice"):
        if asked.get(name) is None:
            yield wire.refusal(400, f"'{name}' is missing.", name, "missing_required_parameter")
    if asked["model"] not in wire.speech_models:
        yield wire.refusal(404, f"There is no speech model `{asked['model']}` for this account.")
    if asked["voice"] not in wire.voices:
        yield wire.refusal(400, f"There is no voice {asked['voice']!r}.", "voice", "invalid_value")
    text = asked["input"]
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
        code = "string_too_long" if text else "string_too_short"
        yield wire.refusal(400, f"'input' must have 1 to {LONGEST} characters.", "input", code)
    kind = asked.get("response_format", "mp3")
    if kind not in FORMATS:
        yield wire.refusal(400, "No such format.", "response_format", "invalid_value")
    if kind not in SIMULATED:
        yield wire.refusal(400, f"{kind} is not simulated.", "response_format", "invalid_value")
    speed = asked.get("speed", 1.0)
    if not isinstance(speed, int | float) or not SLOWEST <= speed <= FASTEST:
        yield wire.refusal(400, "'speed' is out of range.", "speed", "invalid_value")


async def reply(
    wire: OpenAIWire, request: web.Request, asked: Mapping[str, Any], exchange: Exchange
) -> web.StreamResponse:
    """The audio as it is made."""
    said = await wire.sim.speech.say(str(asked["input"]), RATE_HZ)
    if asked.get("stream_format") == "sse":
        return await _events(wire, request, said, exchange)
    coder = files.Encoder(
        str(asked.get("response_format", "mp3")), RATE_HZ, pcm_bytes=len(said.pcm16)
    )
    kind = coder.media_type.partition(";")[0]
    answer = web.StreamResponse(headers={"Content-Type": kind})
    await answer.prepare(request)
    try:
        async for piece in exchange.outputs(said.pieces()):
            await answer.write(coder.feed(bytes(len(piece)) if exchange.silent else piece))
        await answer.write(coder.finish())
    except Garbage:
        await answer.write(NOT_AUDIO)
    except Refused:  # the status line is out already: all a server can do then
        raise Dropped from None
    return answer


async def _events(
    wire: OpenAIWire, request: web.Request, said: Said, exchange: Exchange
) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await answer.prepare(request)

    async def send(event: Mapping[str, Any]) -> None:
        await answer.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    async with events(wire, answer):
        async for piece in exchange.outputs(said.pieces()):
            sound = bytes(len(piece)) if exchange.silent else piece
            await send({"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode()})
        tokens = {"input_tokens": len(said.words), "output_tokens": round(said.seconds * 20)}
        usage = {**tokens, "total_tokens": sum(tokens.values())}
        await send({"type": "speech.audio.done", "usage": usage})
    return answer
