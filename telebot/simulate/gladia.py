"""Gladia's recordings: uploads, and jobs that are asked for their result.

https://docs.gladia.io/api-reference/v2/pre-recorded/init, …/get, …/delete, and …/upload. Errors
have `statusCode`, `message`, `path`, `request_id`.
"""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Job, Jobs, Recordings, Unfit, form_of, object_of
from telebot.simulate.server import Routes, Simulator

PREFIX = "/gladia/v2"
MODELS = ("solaria-1", "solaria-3")
FILES = "https://api.gladia.io/file"
SAYS = {401: "gladia key not found", 429: "Too Many Requests", 500: "Internal server error"}


def routes(sim: Simulator) -> Routes:
    """Everything of Gladia that is simulated."""
    wire = _Files(sim)
    served = wire.recordings.served
    return [
        web.post(f"{PREFIX}/upload", served(wire.upload)),
        web.post(f"{PREFIX}/pre-recorded", served(wire.submit)),
        web.get(f"{PREFIX}/pre-recorded/{{id}}", served(wire.look)),
        web.delete(f"{PREFIX}/pre-recorded/{{id}}", served(wire.delete)),
    ]


def _refusal(status: int, says: str) -> web.Response:
    body = {"statusCode": status, "message": says or SAYS[status], "request_id": "G-simulated"}
    body |= {"timestamp": "2026-01-01T00:00:00.000Z", "path": "/v2"}
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response(body, status=status, headers=headers)


class _Files:
    def __init__(self, sim: Simulator) -> None:
        self.recordings = Recordings(
            sim, "gladia", lambda request: sim.good(request.headers.get("x-gladia-key")), _refusal
        )
        self._jobs = Jobs(self.recordings)
        self._uploads: dict[str, bytes] = {}

    async def upload(self, request: web.Request, _: Exchange) -> web.Response:
        audio = (await form_of(request)).get("audio")
        if not isinstance(audio, bytes):
            raise Unfit(400, "audio is required")
        number = str(uuid.uuid4())
        self._uploads[url := f"{FILES}/{number}"] = audio
        return web.json_response(
            {"audio_url": url, "audio_metadata": {"id": number, "size": len(audio)}}
        )

    async def submit(self, request: web.Request, _: Exchange) -> web.Response:
        asked = await object_of(request)
        audio = self._uploads.pop(str(asked.get("audio_url")), None)
        if audio is None:
            raise Unfit(400, "audio_url cannot be fetched")
        if asked.get("model", MODELS[0]) not in MODELS:
            raise Unfit(422, f"model must be one of {', '.join(MODELS)}")
        job = self._jobs.add(audio, asked)
        url = f"https://api.gladia.io/v2/pre-recorded/{job.id}"
        return web.json_response({"id": job.id, "result_url": url}, status=201)

    async def look(self, request: web.Request, exchange: Exchange) -> web.Response:
        job = await self._jobs.look(request.match_info["id"], exchange)
        row = {"id": job.id, "kind": "pre-recorded", "version": 2}
        if job.told is None:
            return web.json_response({**row, "status": "processing", "result": None})
        return web.json_response({**row, "status": "done", "result": _result(job)})

    async def delete(self, request: web.Request, _: Exchange) -> web.Response:
        self._jobs.drop(request.match_info["id"])
        return web.Response(status=202)


def _result(job: Job) -> dict[str, Any]:
    assert job.told is not None
    told = job.told
    words = [
        {"word": f" {text}", "start": start_s, "end": end_s, "confidence": 0.97}
        for text, start_s, end_s in told.words
    ]
    utterance: dict[str, Any] = {
        "text": told.text, "language": "en", "start": 0.0, "end": told.seconds, "channel": 0,
        "confidence": 0.97, "words": words,
    }  # fmt: skip
    if job.wants.get("diarization"):
        utterance["speaker"] = 0
    languages = (job.wants.get("language_config") or {}).get("languages") or ["en"]
    return {
        "metadata": {
            "audio_duration": told.seconds,
            "number_of_distinct_channels": 1,
            "billing_time": told.seconds,
            "transcription_time": 0.1,
        },
        "transcription": {
            "full_transcript": told.text,
            "languages": languages if words else [],
            "utterances": [utterance] if words else [],
        },
    }
