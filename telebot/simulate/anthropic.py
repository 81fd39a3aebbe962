"""Anthropic's wire: messages, whole or as server-sent events, and the list of models.

https://platform.claude.com/docs/en/api/messages, …/api/models-list, …/api/errors,
https://platform.claude.com/docs/en/build-with-claude/streaming (events and their order),
…/build-with-claude/mid-conversation-system-messages (a `system` message within the conversation).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from telebot.simulate.anthropic_request import MODELS, Wrong, check, conversation, form
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.server import Routes, Simulator

PREFIX = "/anthropic/v1"
REQUEST_ID = "req_011CSHoEeqs5C35K2UUqR7Fy"
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
}
WORDS = {
    401: "invalid x-api-key",
    429: "This request would exceed your organization's rate limit.",
    500: "Internal server error",
}


def routes(sim: Simulator) -> Routes:
    """Everything of Anthropic that is simulated."""
    wire = _Anthropic(sim)
    return [
        web.get(f"{PREFIX}/models", wire.models),
        web.get(f"{PREFIX}/models/{{model}}", wire.model),
        web.post(f"{PREFIX}/messages", wire.messages),
    ]


def _body(status: int, message: str = "") -> dict[str, Any]:
    error = {"type": TYPES[status], "message": message or WORDS[status]}
    return {"type": "error", "error": error, "request_id": REQUEST_ID}


def _refusal(status: int, message: str = "") -> web.Response:
    headers = {"request-id": REQUEST_ID, "x-should-retry": "true" if status >= 429 else "false"}
    if status == 429:
        headers["retry-after"] = "1"
    return web.json_response(_body(status, message), status=status, headers=headers)


def _entry(model: str) -> dict[str, str]:
    return {
        "type": "model",
        "id": model,
        "display_name": model.replace("-", " ").title(),
        "created_at": "2026-09-28T00:00:00Z",
    }


class _Anthropic:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def models(self, request: web.Request) -> web.Response:
        if refused := self._stranger(request):
            return refused
        ids = list(MODELS)
        page = {"has_more": False, "first_id": ids[0], "last_id": ids[-1]}
        return web.json_response({"data": [_entry(model) for model in ids], **page})

    async def model(self, request: web.Request) -> web.Response:
        if refused := self._stranger(request):
            return refused
        model = request.match_info["model"]
        if model not in MODELS:
            return _refusal(404, f"model: {model}")
        return web.json_response(_entry(model))

    async def messages(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("anthropic", "llm")
        try:
            await exchange.reach("connect")
        except Refused as fault:
            return _refusal(fault.status)
        if refused := self._stranger(request):
            return refused
        try:
            asked = check(await request.text())
        except Wrong as wrong:
            return _refusal(wrong.status, str(wrong))
        tokens = self._sim.answers.tokens(conversation(asked["messages"]), form(asked))
        if asked.get("stream"):
            return await _Reply(request, asked, exchange).stream(tokens)
        return await _whole(asked, exchange, tokens)

    def _stranger(self, request: web.Request) -> web.Response | None:
        """The refusal of a request without the version, or without a good key."""
        key = request.headers.get("x-api-key")
        if not key:
            return _refusal(401, "x-api-key header is required")
        if not self._sim.good(key):
            return _refusal(401)
        if not request.headers.get("anthropic-version"):
            return _refusal(400, "anthropic-version: header is required")
        return None


def _message(asked: Mapping[str, Any], content: list[dict[str, str]]) -> dict[str, Any]:
    sent = sum(len(json.dumps(m)) for m in asked["messages"]) // 4
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": sent,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 1,
            "service_tier": "standard",
        },
    }


async def _whole(asked: Mapping[str, Any], exchange: Exchange, tokens: list[str]) -> web.Response:
    try:
        text = "".join([token async for token in exchange.outputs(tokens)])
    except Refused as fault:
        return _refusal(fault.status)
    except Garbage:
        return web.Response(body=b"\x00\xff not json", content_type="application/json")
    if exchange.silent:
        await exchange.stay()
    message = _message(asked, [{"type": "text", "text": text}])
    message["stop_reason"] = "end_turn"
    message["usage"]["output_tokens"] = len(tokens)
    return web.json_response(message, headers={"request-id": REQUEST_ID})


class _Reply:
    """One reply on its way as server-sent events."""

    def __init__(self, request: web.Request, asked: Mapping[str, Any], exchange: Exchange) -> None:
        self._request = request
        self._asked = asked
        self._exchange = exchange
        self._answer = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
                "request-id": REQUEST_ID,
            }
        )

    async def stream(self, tokens: list[str]) -> web.StreamResponse:
        await self._answer.prepare(self._request)
        try:
            await self._send("message_start", message=_message(self._asked, []))
            await self._send("ping")
            await self._text(tokens)
            if self._exchange.silent:
                await self._exchange.stay()
            delta = {"stop_reason": "end_turn", "stop_sequence": None}
            await self._send("message_delta", delta=delta, usage={"output_tokens": len(tokens)})
            await self._send("message_stop")
        except Garbage:
            await self._answer.write(b"event: content_block_delta\ndata: {\x00\xff not json\n\n")
        except Refused as fault:
            await self._event("error", _body(fault.status))
        return self._answer

    async def _text(self, tokens: list[str]) -> None:
        block = {"type": "text", "text": ""}
        begun = False
        async for token in self._exchange.outputs(tokens):
            if not begun:
                begun = True
                await self._send("content_block_start", index=0, content_block=block)
            delta = {"type": "text_delta", "text": token}
            await self._send("content_block_delta", index=0, delta=delta)
        await self._send("content_block_stop", index=0)

    async def _send(self, kind: str, **data: Any) -> None:
        if not self._exchange.silent:
            await self._event(kind, {"type": kind, **data})

    async def _event(self, kind: str, data: Mapping[str, Any]) -> None:
        await self._answer.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
