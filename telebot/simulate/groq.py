"""Groq's wire: OpenAI's, with its own models, errors and counts.

https://console.groq.com/docs/openai (fields that it refuses), https://console.groq.com/docs/errors,
https://console.groq.com/docs/rate-limits, https://console.groq.com/docs/reasoning,
https://console.groq.com/docs/speech-to-text
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from telebot.simulate.openai import OpenAIWire
from telebot.simulate.server import Routes, Simulator

PREFIX = "/groq/openai/v1"
REFUSED = ("logprobs", "logit_bias", "top_logprobs")
EFFORTS = {
    "openai/gpt-oss": ("low", "medium", "high"),
    "qwen/": ("none", "default", "low", "medium", "high"),
}
REQUEST = "req_simulated"
ERRORS = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "This API key is not known."),
    404: ("invalid_request_error", "model_not_found", "There is no such model."),
    429: ("tokens", "rate_limit_exceeded", "Too many tokens a minute; try again in 1s."),
    500: ("internal_server_error", None, "An error happened on the server."),
}


def routes(sim: Simulator) -> Routes:
    """Everything of Groq that is simulated."""
    return GroqWire(sim).routes(PREFIX)


class GroqWire(OpenAIWire):
    vendor = "groq"
    chat_models = ("openai/gpt-oss-120b", "openai/gpt-oss-20b", "qwen/qwen3.8-27b")
    file_models = ("whisper-large-v3", "whisper-large-v3-turbo")
    speech_models = voices = live_models = talk_models = ()
    errors = ERRORS

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [route for route in super().routes(prefix) if not route.path.endswith("/speech")]

    def error(
        self, status: int, message: str = "", param: str | None = None, code: str | None = ""
    ) -> dict[str, Any]:
        """Fields that say nothing are left out."""
        whole = super().error(status, message, param, code)
        return {name: value for name, value in whole.items() if value is not None}

    def keyed(self, request: web.Request) -> web.Response | None:
        refused = super().keyed(request)
        return refused and self.refusal(401)

    def model(self, name: str) -> dict[str, Any]:
        row = {"id": name, "object": "model", "created": 1700000000, "active": True}
        return {**row, "owned_by": name.partition("/")[0], "context_window": 131072}

    def stamp(
        self, event: dict[str, Any], *, first: bool, usage: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The request's name in the first and the last event, where the counts are as well."""
        own: dict[str, Any] = {"id": REQUEST} if first or usage else {}
        if usage:
            times = {"queue_time": 0.01, "prompt_time": 0.01, "completion_time": 0.1}
            own["usage"] = {**usage, **times, "total_time": 0.11}
        return {**event, "x_groq": own} if own else event

    def chat_fault(self, asked: Mapping[str, Any]) -> web.Response | None:
        wrong = next((name for name in REFUSED if asked.get(name) is not None), None)
        if any("name" in message for message in asked["messages"]):
            wrong = "messages[].name"
        if asked.get("n", 1) != 1:
            wrong = "n"
        form = asked.get("response_format") or {}
        if form.get("type") == "json_schema" and asked.get("stream"):
            wrong = "stream"
        effort, model = asked.get("reasoning_effort"), str(asked["model"])
        known = next((said for name, said in EFFORTS.items() if model.startswith(name)), ())
        if effort is not None and effort not in known:
            wrong = "reasoning_effort"
        return self.refusal(400, f"'{wrong}' is not supported with `{model}`.") if wrong else None
