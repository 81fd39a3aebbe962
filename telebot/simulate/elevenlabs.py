"""ElevenLabs' wire: what its REST answers, and where its sockets are.

https://elevenlabs.io/docs/api-reference (voices, models, user, text-to-speech/convert, …/stream),
bodies of errors by https://elevenlabs.io/docs/developer-guides/error-messages and
https://help.elevenlabs.io/hc/en-us/articles/19572237925521; a key that lacks a permission is a 401
with `missing_permissions`. Keys that begin with ``limited`` may speak and hear, and list nothing.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from telebot.simulate.elevenlabs_agents import Agents
from telebot.simulate.elevenlabs_files import ScribeFiles
from telebot.simulate.elevenlabs_scribe import Scribe
from telebot.simulate.elevenlabs_voice import FORMATS, MODELS, VOICES, Voice, encoded
from telebot.simulate.faults import Dropped, Garbage, Refused
from telebot.simulate.server import Routes, Simulator

PREFIX = "/elevenlabs/v1"
LONGEST_TEXT = 40_000  # characters, of the Flash models
REFUSALS = {
    401: ("invalid_api_key", "Invalid API key"),
    429: ("too_many_concurrent_requests", "Too many concurrent requests for your subscription."),
    500: ("internal_server_error", "We are sorry, something went wrong."),
}


def routes(sim: Simulator) -> Routes:
    """Everything of ElevenLabs that is simulated."""
    rest, voice, agents = _Rest(sim), Voice(sim), Agents(sim)
    speech = f"{PREFIX}/text-to-speech/{{voice_id}}"
    return [
        web.get(f"{PREFIX}/voices", rest.voices),
        web.get(f"{PREFIX}/models", rest.models),
        web.get(f"{PREFIX}/user", rest.user),
        web.post(speech, rest.speech),
        web.post(f"{speech}/stream", rest.speech),
        web.get(f"{speech}/multi-stream-input", voice.socket),
        web.post(f"{PREFIX}/speech-to-text", ScribeFiles(sim, refusal).convert),
        web.get(f"{PREFIX}/speech-to-text/realtime", Scribe(sim).socket),
        web.get(f"{PREFIX}/convai/conversation/get-signed-url", agents.signed_url),
        web.get(f"{PREFIX}/convai/conversation", agents.socket),
    ]


def refusal(status: int, code: str = "", message: str = "") -> web.Response:
    """ElevenLabs' error body."""
    usual, says = REFUSALS.get(status, ("invalid_request", "Refused."))
    detail = {"status": code or usual, "message": message or says}
    return web.json_response({"detail": detail}, status=status)


class _Rest:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def voices(self, request: web.Request) -> web.Response:
        data = [
            {"voice_id": voice, "name": name, "category": "premade"}
            for voice, name in VOICES.items()
        ]
        return self._may_list(request, "voices_read") or web.json_response({"voices": data})

    async def models(self, request: web.Request) -> web.Response:
        data = [{"model_id": m, "name": m, "can_do_text_to_speech": True} for m in MODELS]
        return self._may_list(request, "models_read") or web.json_response(data)

    async def user(self, request: web.Request) -> web.Response:
        data = {
            "user_id": "simulated",
            "workspace_id": "simulated",
            "subscription": {"tier": "creator", "character_count": 0, "character_limit": 100_000},
            "is_new_user": False,
            "can_use_delayed_payment_methods": False,
            "is_onboarding_completed": True,
            "is_onboarding_checklist_completed": True,
        }
        return self._may_list(request, "user_read") or web.json_response(data)

    async def speech(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("elevenlabs", "tts")
        try:
            await exchange.reach("connect")
        except Refused as fault:
            return refusal(fault.status)
        if not self._sim.good(request.headers.get("xi-api-key")):
            return refusal(401)
        asked = await _json(request)
        output = request.query.get("output_format", "mp3_44100_128")
        if refused := _speech_fault(request.match_info["voice_id"], asked, output):
            return refused
        said = await self._sim.speech.say(asked["text"], FORMATS[output])
        answer = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await answer.prepare(request)
        try:
            async for piece in exchange.outputs(said.pieces()):
                heard = bytes(len(piece)) if exchange.silent else piece
                await answer.write(encoded(heard, output))
        except Garbage:
            await answer.write(b"\x00\xff\x00 not audio")
        except Refused:  # the status line is out already: all a server can do then
            raise Dropped from None
        return answer

    def _may_list(self, request: web.Request, permission: str) -> web.Response | None:
        key = request.headers.get("xi-api-key", "")
        if not self._sim.good(key):
            return refusal(401)
        if key.startswith("limited"):
            says = f"The API key you used is missing the permission {permission}."
            return refusal(401, "missing_permissions", says)
        return None


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        asked = await request.json()
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _speech_fault(voice_id: str, asked: dict[str, Any], output: str) -> web.Response | None:
    if voice_id not in VOICES:
        return refusal(400, "voice_not_found", f"A voice with voice_id {voice_id} was not found.")
    model = asked.get("model_id", "eleven_multilingual_v2")
    if model not in MODELS:
        return refusal(400, "model_not_found", f"A model with model_id {model} does not exist.")
    if output not in FORMATS:
        return refusal(400, "invalid_output_format", f"{output} is not simulated; ask for PCM.")
    text = asked.get("text")
    if not isinstance(text, str):
        missing = {"type": "missing", "loc": ["body", "text"], "msg": "Field required"}
        return web.json_response({"detail": [missing]}, status=422)
    if len(text) > LONGEST_TEXT:
        return refusal(400, "max_character_limit_exceeded", f"{len(text)} characters.")
    return None
