"""Speechmatics' batch jobs: a file and its configuration, a status, a transcript in ``json-v2``.

https://docs.speechmatics.com/api-ref/batch/create-a-new-job (error bodies: `code`, `error`,
`detail`), https://docs.speechmatics.com/speech-to-text/batch/output.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from telebot.simulate.asked import bearer, json_object
from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Job, Jobs, Recordings, Told, Unfit, form_of
from telebot.simulate.server import Routes, Simulator

PREFIX = "/speechmatics/v2/jobs"
LANGUAGES = ("auto", "en", "de", "es", "fr", "it", "nl", "pt")
MODELS = ("standard", "enhanced", "melia-1")
SAYS = {
    400: "Bad Request",
    401: "Permission Denied",
    404: "Job not found",
    429: "Rate Limited",
    500: "Internal Server Error",
}


def routes(sim: Simulator) -> Routes:
    """Everything of Speechmatics' batch jobs that is simulated."""
    wire = _Files(sim)
    served = wire.recordings.served
    return [
        web.post(PREFIX, served(wire.submit)),
        web.get(f"{PREFIX}/{{id}}", served(wire.look)),
        web.get(f"{PREFIX}/{{id}}/transcript", served(wire.transcript)),
        web.delete(f"{PREFIX}/{{id}}", served(wire.delete)),
    ]


def _refusal(status: int, says: str) -> web.Response:
    body = {"code": status, "error": SAYS[status], "detail": says}
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response(body, status=status, headers=headers)


class _Files:
    def __init__(self, sim: Simulator) -> None:
        self.recordings = Recordings(sim, "speechmatics", lambda r: sim.good(bearer(r)), _refusal)
        self._jobs = Jobs(self.recordings)

    async def submit(self, request: web.Request, _: Exchange) -> web.Response:
        form = await form_of(request)
        config = json_object(form.get("config")) or {}
        wanted = config.get("transcription_config")
        if config.get("type") != "transcription" or not isinstance(wanted, dict):
            raise Unfit(400, "config is malformed")
        if wanted.get("language") not in LANGUAGES:
            raise Unfit(400, f"lang pack [{wanted.get('language')}] is not supported")
        if wanted.get("model", "standard") not in MODELS:
            raise Unfit(400, "model is malformed")
        if not isinstance(form.get("data_file"), bytes):
            raise Unfit(400, "Missing data_file")
        job = self._jobs.add(form["data_file"], wanted)
        return web.json_response({"id": job.id}, status=201)

    async def look(self, request: web.Request, exchange: Exchange) -> web.Response:
        job = await self._jobs.look(request.match_info["id"], exchange)
        return web.json_response({"job": _row(job)})

    async def transcript(self, request: web.Request, _: Exchange) -> web.Response:
        job = self._jobs.find(request.match_info["id"])
        if job.told is None or request.query.get("format", "json-v2") != "json-v2":
            raise Unfit(404, "Transcription not ready")
        metadata = {"type": "transcription", "language_pack_info": {"word_delimiter": " "}}
        results = _results(job.told, job.wants)
        return web.json_response(
            {"format": "2.9", "job": _row(job), "metadata": metadata, "results": results}
        )

    async def delete(self, request: web.Request, _: Exchange) -> web.Response:
        job = self._jobs.find(request.match_info["id"])
        self._jobs.drop(job.id)
        return web.json_response({"job": {**_row(job), "status": "deleted"}})


def _row(job: Job) -> dict[str, Any]:
    seconds = job.told.seconds if job.told else 0.0
    status = "running" if job.told is None else "done"
    config = {"type": "transcription", "transcription_config": job.wants}
    return {"id": job.id, "status": status, "duration": seconds, "config": config}


def _results(told: Told, wants: dict[str, Any]) -> list[dict[str, Any]]:
    """Words, and marks as results of their own."""
    rows: list[dict[str, Any]] = []
    speaker = {"speaker": "S1"} if wants.get("diarization") == "speaker" else {}
    language = "en" if wants["language"] == "auto" else wants["language"]
    for text, start_s, end_s in told.words:
        word = text.rstrip(".,?!")
        said = {"confidence": 0.98, "language": language, **speaker}
        times = {"start_time": start_s, "end_time": end_s}
        rows.append({"type": "word", **times, "alternatives": [{"content": word, **said}]})
        if mark := text[len(word) :]:
            hung = {"attaches_to": "previous", "alternatives": [{"content": mark, **said}]}
            rows.append({"type": "punctuation", "start_time": end_s, "end_time": end_s, **hung})
    return rows
