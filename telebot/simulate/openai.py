"""OpenAI's wire: chat completions and speech, refused and streamed as OpenAI does.

https://platform.openai.com/docs/api-reference/chat/create, …/audio/createSpeech, …/models,
https://platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.speech import wav

PREFIX = "/openai/v1"
MODELS = (
    "gpt-4.1", "gpt-4.1-mini", "gpt-4o-mini", "gpt-4o-mini-tts", "tts-1", "tts-1-hd",
    "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "whisper-1",
)  # fmt: skip
VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
    "shimmer", "verse",
)  # fmt: skip
SPEECH_HZ = 24000
SPEECH_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
LONGEST_INPUT = 4096  # characters of a speech request
ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
}


def routes(sim: Simulator) -> Routes:
    """Everything of OpenAI that is simulated."""
    wire = _OpenAI(sim)
    return [
        web.get(f"{PREFIX}/models", wire.models),
        web.post(f"{PREFIX}/chat/completions", wire.chat),
        web.post(f"{PREFIX}/audio/speech", wire.speech),
    ]


def refusal(status: int, message: str = "", param: str | None = None) -> web.Response:
    """OpenAI's error body."""
    kind, code = ERRORS.get(status, ERRORS[400])
    error = {"message": message or "refused on command", "type": kind, "param": param, "code": code}
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response({"error": error}, status=status, headers=headers)


class _OpenAI:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def models(self, request: web.Request) -> web.Response:
        if not self._authorised(request):
            return refusal(401, "Incorrect API key provided.")
        data = [{"id": name, "object": "model", "owned_by": "openai"} for name in MODELS]
        return web.json_response({"object": "list", "data": data})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("openai", "llm")
        try:
            await exchange.reach("connect")
        except Refused as fault:
            return refusal(fault.status)
        if not self._authorised(request):
            return refusal(401, "Incorrect API key provided.")
        asked = await _json(request)
        if refused := _chat_fault(asked):
            return refused
        return await stream_chat(request, asked, exchange, self._sim)

    async def speech(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("openai", "tts")
        try:
            await exchange.reach("connect")
        except Refused as fault:
            return refusal(fault.status)
        if not self._authorised(request):
            return refusal(401, "Incorrect API key provided.")
        asked = await _json(request)
        if refused := _speech_fault(asked):
            return refused
        return await stream_speech(request, asked, exchange, self._sim)

    def _authorised(self, request: web.Request) -> bool:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        return scheme == "Bearer" and self._sim.good(key)


async def stream_chat(
    request: web.Request, asked: Mapping[str, Any], exchange: Exchange, sim: Simulator
) -> web.StreamResponse:
    """A reply as server-sent events; also of the vendors that copy this wire."""
    tokens = sim.answers.tokens(asked["messages"])
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": asked["model"],
    }

    async def send(delta: Mapping[str, Any] | None, finish: str | None = None, **more: Any) -> None:
        if exchange.silent:
            return
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        event = {**head, "choices": choices, **more}
        await answer.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    try:
        await answer.prepare(request)
        outputs = exchange.outputs(tokens)
        await send({"role": "assistant", "content": ""})
        async for token in outputs:
            await send({"content": token})
        await send({}, "stop")
        if (asked.get("stream_options") or {}).get("include_usage"):
            sent = sum(len(str(m.get("content"))) for m in asked["messages"]) // 4
            count = {"prompt_tokens": sent, "completion_tokens": len(tokens)}
            await send(None, usage={**count, "total_tokens": sum(count.values())})
        if exchange.silent:
            await exchange.stay()
        await answer.write(b"data: [DONE]\n\n")
    except Garbage:
        await answer.write(b"data: {\x00\xff not json\n\n")
    except Refused:
        body = {"error": {"message": "refused on command", "type": "server_error", "code": None}}
        await answer.write(b"data: " + json.dumps(body).encode() + b"\n\n")
    return answer


async def stream_speech(
    request: web.Request, asked: Mapping[str, Any], exchange: Exchange, sim: Simulator
) -> web.StreamResponse:
    """Speech as it is made; also of the servers that copy this wire. PCM and WAV only: what the
    call asks for."""
    said = await sim.speech.say(str(asked["input"]), SPEECH_HZ)
    answer = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    await answer.prepare(request)
    if asked.get("response_format") == "wav":
        await answer.write(wav(b"", SPEECH_HZ))
    try:
        async for piece in exchange.outputs(said.pieces()):
            await answer.write(bytes(len(piece)) if exchange.silent else piece)
    except Garbage:
        await answer.write(b"\x00\xff\x00 not audio")
    except Refused:  # the status line is out already: all a server can do then
        raise Dropped from None
    return answer


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        asked = await request.json()
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _chat_fault(asked: Mapping[str, Any]) -> web.Response | None:
    if asked.get("model") not in MODELS:
        return refusal(404, f"The model `{asked.get('model')}` does not exist", "model")
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        return refusal(400, "Missing required parameter: 'messages'.", "messages")
    roles = {"system", "developer", "user", "assistant", "tool"}
    if any(not isinstance(m, dict) or m.get("role") not in roles for m in messages):
        return refusal(400, "Invalid value for 'messages'.", "messages")
    return None


def _speech_fault(asked: Mapping[str, Any]) -> web.Response | None:
    if asked.get("model") not in MODELS:
        return refusal(404, f"The model `{asked.get('model')}` does not exist", "model")
    if asked.get("voice") not in VOICES:
        return refusal(400, f"Invalid voice: {asked.get('voice')!r}", "voice")
    text = asked.get("input")
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_INPUT:
        return refusal(400, "Invalid 'input'.", "input")
    if asked.get("response_format", "mp3") not in SPEECH_FORMATS:
        return refusal(400, "Invalid 'response_format'.", "response_format")
    return None
