"""Rev AI's asynchronous jobs: a form with a recording, a status, a transcript.

https://docs.rev.ai/api/asynchronous/reference. Errors are problem details (RFC 9457's forerunner
7807), a transcript comes by its own media type, words and marks as elements of monologues.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from telebot.simulate.asked import bearer, json_object
from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Job, Jobs, Recordings, Told, Unfit, form_of
from telebot.simulate.server import Routes, Simulator

PREFIX = "/rev-ai/speechtotext/v1/jobs"
MEDIA = "application/vnd.rev.transcript.v1.0+json"
TRANSCRIBERS = ("machine", "low_cost", "fusion")
LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "pt")
TITLES = {
    400: "Your request parameters didn't validate.",
    401: "Authorization has been denied for this request.",
    404: "could not find job",
    406: "Invalid Accept header",
    409: "Job is in invalid state",
    429: "You have exceeded the rate limit.",
    500: "Something went wrong.",
}


def routes(sim: Simulator) -> Routes:
    """Everything of Rev AI that is simulated."""
    wire = _Files(sim)
    served = wire.recordings.served
    return [
        web.post(PREFIX, served(wire.submit)),
        web.get(f"{PREFIX}/{{id}}", served(wire.look)),
        web.get(f"{PREFIX}/{{id}}/transcript", served(wire.transcript)),
        web.delete(f"{PREFIX}/{{id}}", served(wire.delete)),
    ]


def _refusal(status: int, says: str) -> web.Response:
    body = {"title": TITLES[status], "status": status, "detail": says, "type": "about:blank"}
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response(
        body, status=status, headers=headers, content_type="application/problem+json"
    )


class _Files:
    def __init__(self, sim: Simulator) -> None:
        self.recordings = Recordings(sim, "rev-ai", lambda r: sim.good(bearer(r)), _refusal)
        self._jobs = Jobs(self.recordings)

    async def submit(self, request: web.Request, _: Exchange) -> web.Response:
        form = await form_of(request)
        options = json_object(form.get("options") or "{}")
        if options is None or not isinstance(form.get("media"), bytes):
            raise Unfit(400, "media is required")
        if options.get("transcriber", "machine") not in TRANSCRIBERS:
            raise Unfit(400, "The transcriber is not supported.")
        if options.get("language", "en") not in LANGUAGES:
            raise Unfit(400, "The language is not supported.")
        return web.json_response(_row(self._jobs.add(form["media"], options)))

    async def look(self, request: web.Request, exchange: Exchange) -> web.Response:
        return web.json_response(_row(await self._jobs.look(request.match_info["id"], exchange)))

    async def transcript(self, request: web.Request, _: Exchange) -> web.Response:
        job = self._jobs.find(request.match_info["id"])
        if request.headers.get("Accept") != MEDIA:
            raise Unfit(406, "")
        if job.told is None:
            raise Unfit(409, "")
        return web.json_response({"monologues": _monologues(job.told)}, content_type=MEDIA)

    async def delete(self, request: web.Request, _: Exchange) -> web.Response:
        if self._jobs.find(request.match_info["id"]).told is None:
            raise Unfit(409, "")
        self._jobs.drop(request.match_info["id"])
        return web.Response(status=204)


def _row(job: Job) -> dict[str, Any]:
    row = {"id": job.id, "created_on": "2026-01-01T00:00:00Z", "type": "async"}
    if job.told is None:
        return {**row, "status": "in_progress"}
    return {**row, "status": "transcribed", "duration_seconds": job.told.seconds}


def _monologues(told: Told) -> list[dict[str, Any]]:
    elements: list[dict[str, Any]] = []
    for text, start_s, end_s in told.words:
        if elements:
            elements.append({"type": "punct", "value": " "})
        word = text.rstrip(".,?!")
        times = {"ts": start_s, "end_ts": end_s, "confidence": 0.96}
        elements.append({"type": "text", "value": word, **times})
        if mark := text[len(word) :]:
            elements.append({"type": "punct", "value": mark})
    return [{"speaker": 0, "elements": elements}] if elements else []
