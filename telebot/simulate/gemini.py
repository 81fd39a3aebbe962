"""Gemini's wire: content generated whole or as server-sent events, and the list of models.

https://ai.google.dev/api/generate-content, https://ai.google.dev/api/models,
https://ai.google.dev/gemini-api/docs/troubleshooting (statuses),
https://ai.google.dev/gemini-api/docs/thought-signatures (the last part of a reply carries one).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from telebot.simulate import gemini_live
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.gemini_request import LIVE, MODELS, Wrong, check, conversation, form
from telebot.simulate.server import Routes, Simulator

PREFIX = "/gemini/v1beta"
RPC = "type.googleapis.com/google.rpc"
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
}
WORDS = {
    401: "Request had invalid authentication credentials.",
    403: "Method doesn't allow unregistered callers. Please use API Key.",
    429: "You exceeded your current quota, please check your plan and billing details.",
    500: "An internal error has occurred.",
}
BAD_KEY = "API key not valid. Please pass a valid API key."


def routes(sim: Simulator) -> Routes:
    """Everything of Gemini that is simulated."""
    wire = _Gemini(sim)
    return [
        web.get(f"{PREFIX}/models", wire.models),
        web.get(f"{PREFIX}/models/{{model}}", wire.model),
        web.post(f"{PREFIX}/models/{{model:[^:/]+}}:{{method}}", wire.generate),
        *gemini_live.routes(sim),
    ]


def _body(status: int, message: str = "", *details: Mapping[str, Any]) -> dict[str, Any]:
    message = message or WORDS[status]
    if status == 429:
        details = ({"@type": f"{RPC}.RetryInfo", "retryDelay": "1s"},)
    error = {"code": status, "message": message, "status": STATUSES[status]}
    return {"error": {**error, "details": list(details)} if details else error}


def _refusal(status: int, message: str = "", *details: Mapping[str, Any]) -> web.Response:
    return web.json_response(_body(status, message, *details), status=status)


def _entry(model: str) -> dict[str, Any]:
    methods = ["bidiGenerateContent"] if model in LIVE else ["generateContent", "countTokens"]
    return {
        "name": f"models/{model}",
        "version": "001",
        "displayName": model.replace("-", " ").title(),
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": methods,
    }


class _Gemini:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def models(self, request: web.Request) -> web.Response:
        if refused := self._stranger(request):
            return refused
        return web.json_response({"models": [_entry(name) for name in (*MODELS, *LIVE)]})

    async def model(self, request: web.Request) -> web.Response:
        if refused := self._stranger(request):
            return refused
        model = request.match_info["model"]
        if model not in (*MODELS, *LIVE):
            return _refusal(404, f"Model is not found: models/{model} for api version v1beta")
        return web.json_response(_entry(model))

    async def generate(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("gemini", "llm")
        try:
            await exchange.reach("connect")
        except Refused as fault:
            return _refusal(fault.status)
        if refused := self._stranger(request):
            return refused
        model, method = request.match_info["model"], request.match_info["method"]
        try:
            asked = check(model, method, await request.text())
        except Wrong as wrong:
            return _refusal(wrong.status, str(wrong))
        tokens = self._sim.answers.tokens(conversation(asked["contents"]), form(asked))
        reply = _Reply(model, asked, exchange)
        if method == "streamGenerateContent":
            return await reply.stream(request, tokens)
        return await reply.whole(tokens)

    def _stranger(self, request: web.Request) -> web.Response | None:
        key = request.headers.get("x-goog-api-key") or request.query.get("key")
        if not key:
            return _refusal(403)
        if self._sim.good(key):
            return None
        info = {
            "@type": f"{RPC}.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }
        return _refusal(400, BAD_KEY, info)


class _Reply:
    """One reply, in chunks of a word each."""

    def __init__(self, model: str, asked: Mapping[str, Any], exchange: Exchange) -> None:
        self._model = model
        self._prompt = sum(len(json.dumps(each)) for each in asked["contents"]) // 4
        self._exchange = exchange

    def _chunk(self, text: str, count: int, finish: str | None = None) -> dict[str, Any]:
        part: dict[str, Any] = {"text": text}
        if finish and not self._model.startswith("gemini-2"):
            part["thoughtSignature"] = "c2lnbmVk"
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        usage = {
            "promptTokenCount": self._prompt,
            "candidatesTokenCount": count,
            "totalTokenCount": self._prompt + count,
        }
        return {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": self._model,
            "responseId": "VZsmacWzB5-u1e8P",
        }

    async def whole(self, tokens: list[str]) -> web.Response:
        try:
            text = "".join([token async for token in self._exchange.outputs(tokens)])
        except Refused as fault:
            return _refusal(fault.status)
        except Garbage:
            return web.Response(body=b"\x00\xff not json", content_type="application/json")
        if self._exchange.silent:
            await self._exchange.stay()
        return web.json_response(self._chunk(text, len(tokens), "STOP"))

    async def stream(self, request: web.Request, tokens: list[str]) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)

        async def send(data: Mapping[str, Any]) -> None:
            await answer.write(f"data: {json.dumps(data)}\r\n\r\n".encode())

        try:
            count = 0
            async for token in self._exchange.outputs(tokens):
                count += 1
                if not self._exchange.silent:
                    await send(self._chunk(token, count))
            if self._exchange.silent:
                await self._exchange.stay()
            await send(self._chunk("", count, "STOP"))
        except Garbage:
            await answer.write(b"data: {\x00 not json\r\n\r\n")
        except Refused as fault:
            await send(_body(fault.status))
        return answer
