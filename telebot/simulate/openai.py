"""OpenAI's wire over HTTP: models, chat completions, speech and transcriptions; the sockets are in
`openai_socket.py`.

https://platform.openai.com/docs/api-reference (chat/create, audio/createSpeech,
audio/createTranscription, models/list), https://platform.openai.com/docs/guides/error-codes,
https://platform.openai.com/docs/guides/rate-limits (headers).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from telebot.simulate import openai_chat, openai_files, openai_secrets, openai_speech
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.openai_socket import serve
from telebot.simulate.server import Routes, Simulator

PREFIX = "/openai/v1"
ERRORS: Mapping[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "This API key is not known."),
    404: ("invalid_request_error", "model_not_found", "There is no such model for this account."),
    429: ("requests", "rate_limit_exceeded", "Too many requests a minute; try again in 1s."),
    500: ("server_error", None, "An error happened on the server."),
}
# https://developers.openai.com/api/docs/deprecations: what ends soon, and when
ENDS = {
    "gpt-4.1": "2027-01-14",
    "gpt-4.1-mini": "2027-01-14",
    "gpt-4o-mini": "2027-01-14",
    "gpt-4o-mini-tts": "2027-01-06",
    "tts-1": "2027-01-06",
    "tts-1-hd": "2027-01-06",
    "gpt-4o-transcribe": "2027-02-26",
    "gpt-4o-mini-transcribe": "2027-02-26",
    "whisper-1": "2027-02-26",
}
Answer = Callable[[web.Request, Exchange], Awaitable[web.StreamResponse]]
GARBAGE = b"\x00\xff not json"


def routes(sim: Simulator) -> Routes:
    """Everything of OpenAI that is simulated."""
    wire = OpenAIWire(sim)
    return [
        *wire.routes(PREFIX),
        web.get(f"{PREFIX}/realtime", wire.realtime),
        web.post(f"{PREFIX}/realtime/client_secrets", wire.secrets.create),
    ]


def masked(key: str) -> str:
    """A key as an error shows it: the ends of a long one."""
    return f"{key[:3]}{'*' * (len(key) - 7)}{key[-4:]}" if len(key) > 24 else "*" * len(key)


class OpenAIWire:
    """What the vendors that copy this wire do alike; they override what they do otherwise."""

    vendor = "openai"
    chat_models: tuple[str, ...] = (
        "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-luna", "gpt-4.1", "gpt-4.1-mini", "gpt-4o-mini",
    )  # fmt: skip
    speech_models: tuple[str, ...] = ("gpt-4o-mini-tts", "tts-1", "tts-1-hd")
    voices: tuple[str, ...] = (
        "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx",
        "sage", "shimmer", "verse",
    )  # fmt: skip
    file_models: tuple[str, ...] = (
        "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "whisper-1",
    )  # fmt: skip
    live_models: tuple[str, ...] = ("gpt-live-transcribe", "gpt-realtime-whisper")
    talk_models: tuple[str, ...] = ("gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime")
    errors: Mapping[int, tuple[str, str | None, str]] = ERRORS

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.secrets = openai_secrets.Secrets(self)

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [
            web.get(f"{prefix}/models", self.models),
            web.post(f"{prefix}/chat/completions", self.chat),
            web.post(f"{prefix}/audio/speech", self.speech),
            web.post(f"{prefix}/audio/transcriptions", self.transcriptions),
            web.post(f"{prefix}/audio/translations", self.transcriptions),
        ]

    # --- errors --------------------------------------------------------------------------------

    def error(
        self, status: int, message: str = "", param: str | None = None, code: str | None = ""
    ) -> dict[str, Any]:
        """The object of an error; `code` "" is the usual one of the status."""
        kind, usual, words = self.errors.get(status, self.errors[400])
        said = usual if code == "" else code
        return {"message": message or words, "type": kind, "param": param, "code": said}

    def refusal(
        self, status: int, message: str = "", param: str | None = None, code: str | None = ""
    ) -> web.Response:
        """The answer that carries it."""
        headers = {"x-request-id": "req_simulated"}
        if status == 429:
            headers |= {"retry-after": "1", "x-ratelimit-remaining-requests": "0"}
        body = {"error": self.error(status, message, param, code)}
        return web.json_response(body, status=status, headers=headers)

    def keyed(self, request: web.Request) -> web.Response | None:
        """The refusal of a request without a good key."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if key.startswith(openai_secrets.PREFIX):  # opens realtime sessions alone
            told = f"Incorrect API key provided: {masked(key)}"
            live = request.path.endswith("/realtime") and self.secrets.session(request) is not None
            return None if live else self.refusal(401, told)
        if scheme == "Bearer" and self.sim.good(key):
            return None
        if scheme != "Bearer" or not key:
            return self.refusal(401, "No API key was sent in an Authorization header.", code=None)
        return self.refusal(401, f"Incorrect API key provided: {masked(key)}")

    # --- requests ------------------------------------------------------------------------------

    def model(self, name: str) -> dict[str, Any]:
        """A row of the list of models."""
        row = {"id": name, "object": "model", "created": 1700000000, "owned_by": self.vendor}
        return {**row, "shutdown_date": ENDS.get(name)}

    async def models(self, request: web.Request) -> web.Response:
        if refused := self.keyed(request):
            return refused
        kinds = (
            self.chat_models,
            self.speech_models,
            self.file_models,
            self.live_models,
            self.talk_models,
        )
        names = [name for kind in kinds for name in kind]
        return web.json_response({"object": "list", "data": [self.model(name) for name in names]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "llm", self._chat)

    async def speech(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "tts", self._speech)

    async def transcriptions(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "stt", self._transcription)

    async def realtime(self, request: web.Request) -> web.StreamResponse:
        return await serve(self, request)

    async def _answer(self, request: web.Request, kind: str, answer: Answer) -> web.StreamResponse:
        exchange = self.sim.exchange(self.vendor, kind)
        try:
            await exchange.reach("connect")
            if refused := self.keyed(request):
                return refused
            return await answer(request, exchange)
        except Refused as fault:
            return self.refusal(fault.status)
        except Garbage:
            return web.Response(body=GARBAGE, content_type="application/json")

    async def _chat(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        asked = await body(request)
        if asked is None:
            return self.refusal(400, "The body of the request is no JSON object.")
        if fault := openai_chat.fault(self, asked):
            return fault
        return await openai_chat.reply(self, request, asked, exchange)

    async def _speech(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        asked = await body(request)
        if asked is None:
            return self.refusal(400, "The body of the request is no JSON object.")
        if fault := openai_speech.fault(self, asked):
            return fault
        return await openai_speech.reply(self, request, asked, exchange)

    async def _transcription(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        return await openai_files.reply(self, request, exchange)

    # --- where copies differ -------------------------------------------------------------------

    def stamp(
        self, event: dict[str, Any], *, first: bool, usage: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """A chunk of a chat as this vendor sends it; `usage` is there for the last choice."""
        return event

    def chat_fault(self, asked: Mapping[str, Any]) -> web.Response | None:
        """What this vendor refuses of a chat that is right otherwise.

        Thinking models: no `max_tokens`, and functions only without thinking
        (https://developers.openai.com/api/docs/models/gpt-6-luna); the others: no effort.
        """
        thinks = str(asked["model"]).startswith("gpt-6")
        effort = asked.get("reasoning_effort")
        wrong = None
        if thinks and asked.get("max_tokens") is not None:
            wrong = ("max_tokens", "write 'max_completion_tokens' instead")
        elif thinks and asked.get("tools") and effort != "none":
            wrong = ("reasoning_effort", "functions need the effort 'none'")
        elif not thinks and effort is not None:
            wrong = ("reasoning_effort", "this model does not reason")
        if wrong is None:
            return None
        param, why = wrong
        return self.refusal(400, f"Unsupported: '{param}': {why}.", param, "unsupported_parameter")


async def body(request: web.Request) -> dict[str, Any] | None:
    """The JSON object of a request."""
    try:
        asked = await request.json()
    except ValueError:
        return None
    return asked if isinstance(asked, dict) else None
