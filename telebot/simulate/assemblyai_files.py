"""AssemblyAI's recordings: uploads, transcripts as jobs.

https://www.assemblyai.com/docs/api-reference/transcripts/submit (fields, statuses); errors are
``{"error": …}``. A transcript that is to find the language of silence ends in an error.
"""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Job, Jobs, Recordings, Unfit, object_of
from telebot.simulate.server import Routes, Simulator

PREFIX = "/assemblyai/v2"
MODELS = ("universal-3-5-pro", "universal-3-pro", "universal-2")
CDN = "https://cdn.assemblyai.com/upload"
SAYS = {
    401: "Authentication error, API token missing/invalid",
    429: "Too many requests",
    500: "Server error",
}
KNOWN = {
    "audio_url", "speech_models", "language_code", "language_detection", "speaker_labels",
    "prompt", "keyterms_prompt", "format_text", "punctuate",
}  # fmt: skip


def routes(sim: Simulator) -> Routes:
    """Everything of AssemblyAI's recordings that is simulated."""
    wire = _Files(sim)
    served = wire.recordings.served
    return [
        web.post(f"{PREFIX}/upload", served(wire.upload)),
        web.post(f"{PREFIX}/transcript", served(wire.submit)),
        web.get(f"{PREFIX}/transcript/{{id}}", served(wire.look)),
        web.delete(f"{PREFIX}/transcript/{{id}}", served(wire.delete)),
    ]


def _refusal(status: int, says: str) -> web.Response:
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response({"error": says or SAYS[status]}, status=status, headers=headers)


class _Files:
    def __init__(self, sim: Simulator) -> None:
        self.recordings = Recordings(
            sim,
            "assemblyai",
            lambda request: sim.good(request.headers.get("Authorization")),
            _refusal,
        )
        self._jobs = Jobs(self.recordings)
        self._uploads: dict[str, bytes] = {}

    async def upload(self, request: web.Request, _: Exchange) -> web.Response:
        url = f"{CDN}/{uuid.uuid4()}"
        self._uploads[url] = await request.read()
        return web.json_response({"upload_url": url})

    async def submit(self, request: web.Request, _: Exchange) -> web.Response:
        asked = await object_of(request)
        if unknown := sorted(set(asked) - KNOWN):
            raise Unfit(400, f"Invalid endpoint schema: {unknown[0]}")
        models = asked.get("speech_models")
        if not isinstance(models, list) or not models or not set(models) <= set(MODELS):
            raise Unfit(400, f'"speech_models" must be a non-empty list of {list(MODELS)}')
        audio = self._uploads.pop(str(asked.get("audio_url")), None)
        if audio is None:
            raise Unfit(400, "Download error, unable to download the audio_url")
        job = self._jobs.add(audio, asked)
        return web.json_response(_row(job, "queued"))

    async def look(self, request: web.Request, exchange: Exchange) -> web.Response:
        job = await self._jobs.look(request.match_info["id"], exchange)
        if job.told is None:
            return web.json_response(_row(job, "processing"))
        if not job.told.text and job.wants.get("language_detection"):
            why = "language_detection cannot be performed on files with no spoken audio."
            return web.json_response({**_row(job, "error"), "error": why})
        return web.json_response({**_row(job, "completed"), **_heard(job)})

    async def delete(self, request: web.Request, _: Exchange) -> web.Response:
        job = self._jobs.find(request.match_info["id"])
        self._jobs.drop(job.id)
        return web.json_response({**_row(job, "completed"), "text": "Deleted by user."})


def _row(job: Job, status: str) -> dict[str, Any]:
    row = {"id": job.id, "status": status, "text": None, "words": None, "error": None}
    return {**row, "audio_url": job.wants["audio_url"], "language_code": None}


def _heard(job: Job) -> dict[str, Any]:
    assert job.told is not None
    speaker = "A" if job.wants.get("speaker_labels") else None
    words = [
        {
            "text": text,
            "start": round(start_s * 1000),
            "end": round(end_s * 1000),
            "confidence": 0.98,
            "speaker": speaker,
        }
        for text, start_s, end_s in job.told.words
    ]
    return {
        "text": job.told.text,
        "words": words,
        "language_code": job.wants.get("language_code") or "en",
        "confidence": 0.98,
        "audio_duration": round(job.told.seconds),
        "speech_model_used": job.wants["speech_models"][0],
    }
