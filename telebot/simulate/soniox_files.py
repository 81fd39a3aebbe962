"""Soniox's recordings: files, transcriptions as jobs, transcripts in tokens.

https://soniox.com/docs/stt/api-reference. Errors as of the rest of Soniox' HTTP
(https://soniox.com/docs/api-reference/errors).
"""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from telebot.simulate.asked import bearer
from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Job, Jobs, Recordings, Told, Unfit, form_of, object_of
from telebot.simulate.server import Routes, Simulator

PREFIX = "/soniox/v1"
MODELS = ("stt-async-v5", "stt-async-v4")
ERRORS = {
    400: ("invalid_request", "Invalid request."),
    401: ("unauthenticated", "Incorrect API key provided."),
    404: ("not_found", "Not found."),
    409: ("transcription_invalid_state", "The transcription is not completed."),
    429: ("rate_limit_exceeded", "Rate limit exceeded."),
    500: ("internal_error", "The server had an error."),
}


def routes(sim: Simulator) -> Routes:
    """Everything of Soniox' recordings that is simulated."""
    wire = _Files(sim)
    served = wire.recordings.served
    job = f"{PREFIX}/transcriptions/{{id}}"
    return [
        web.post(f"{PREFIX}/files", served(wire.upload)),
        web.delete(f"{PREFIX}/files/{{id}}", served(wire.forget)),
        web.post(f"{PREFIX}/transcriptions", served(wire.submit)),
        web.get(job, served(wire.look)),
        web.get(f"{job}/transcript", served(wire.transcript)),
        web.delete(job, served(wire.delete)),
    ]


def _refusal(status: int, says: str) -> web.Response:
    kind, usual = ERRORS[status]
    body = {"status_code": status, "error_type": kind, "message": says or usual}
    body |= {"validation_errors": [], "request_id": str(uuid.uuid4())}
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response(body, status=status, headers=headers)


class _Files:
    def __init__(self, sim: Simulator) -> None:
        self.recordings = Recordings(sim, "soniox", lambda r: sim.good(bearer(r)), _refusal)
        self._jobs = Jobs(self.recordings)
        self._files: dict[str, bytes] = {}

    async def upload(self, request: web.Request, _: Exchange) -> web.Response:
        file = (await form_of(request)).get("file")
        if not isinstance(file, bytes):
            raise Unfit(400, "file is required.")
        number = str(uuid.uuid4())
        self._files[number] = file
        row = {"id": number, "filename": "audio.wav", "size": len(file)}
        return web.json_response(row, status=201)

    async def forget(self, request: web.Request, _: Exchange) -> web.Response:
        if self._files.pop(request.match_info["id"], None) is None:
            raise Unfit(404, "File not found.")
        return web.Response(status=204)

    async def submit(self, request: web.Request, _: Exchange) -> web.Response:
        asked = await object_of(request)
        if asked.get("model") not in MODELS:
            raise Unfit(400, "Invalid model specified.")
        audio = self._files.get(str(asked.get("file_id")))
        if audio is None:
            raise Unfit(400, "file_id or audio_url is required.")
        return web.json_response(_row(self._jobs.add(audio, asked), "queued"), status=201)

    async def look(self, request: web.Request, exchange: Exchange) -> web.Response:
        job = await self._jobs.look(request.match_info["id"], exchange)
        return web.json_response(_row(job, "processing" if job.told is None else "completed"))

    async def transcript(self, request: web.Request, _: Exchange) -> web.Response:
        job = self._jobs.find(request.match_info["id"])
        if job.told is None:
            raise Unfit(409, "")
        tokens = _tokens(job.told, job.wants)
        return web.json_response({"id": job.id, "text": job.told.text, "tokens": tokens})

    async def delete(self, request: web.Request, _: Exchange) -> web.Response:
        self._jobs.drop(request.match_info["id"])
        return web.Response(status=204)


def _row(job: Job, status: str) -> dict[str, Any]:
    return {"id": job.id, "status": status, "model": job.wants["model"], "error_message": None}


def _tokens(told: Told, wants: dict[str, Any]) -> list[dict[str, Any]]:
    """Each word in two parts, the first with the space before it."""
    tokens: list[dict[str, Any]] = []
    for text, start_s, end_s in told.words:
        half = max(1, len(text) // 2)
        middle_s = (start_s + end_s) / 2
        parts = [(text[:half], start_s, middle_s), (text[half:], middle_s, end_s)]
        for part, begins_s, ends_s in parts:
            if part:
                space = " " if tokens and part is parts[0][0] else ""
                token: dict[str, Any] = {"text": f"{space}{part}", "confidence": 0.97}
                token |= {"start_ms": round(begins_s * 1000), "end_ms": round(ends_s * 1000)}
                if wants.get("enable_speaker_diarization"):
                    token["speaker"] = "1"
                if wants.get("enable_language_identification"):
                    token["language"] = "en"
                tokens.append(token)
    return tokens
