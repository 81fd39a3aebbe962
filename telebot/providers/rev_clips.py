"""Rev AI for recordings: asynchronous jobs, deleted afterwards.

https://docs.rev.ai/api/asynchronous/reference (jobs, statuses, transcripts by their media type,
problem details). REV_API_KEY is an access token. Reverb is the vendor's `machine` transcriber,
Reverb Turbo its `low_cost` one. Not its SDK, which blocks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from telebot.call.errors import ProviderConfigError
from telebot.providers.clips import HearingAbility, Recording, Transcript, Use, Word
from telebot.providers.http_hearing import JobTranscriber
from telebot.providers.locale import primary
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import account, bearer, file_form

WHO = "rev-ai"
URL = "https://api.rev.ai"
JOBS = "/speechtotext/v1/jobs"
TRANSCRIBERS = {"reverb": "machine", "reverb-turbo": "low_cost"}
LANGUAGE = "en"
TRANSCRIPT = {"Accept": "application/vnd.rev.transcript.v1.0+json"}


class _Job(BaseModel):
    id: str
    status: str  # in_progress, transcribed, failed
    duration_seconds: float | None = None


class _Element(BaseModel):
    type: str  # text, punct (spaces too), unknown
    value: str
    ts: float | None = None
    end_ts: float | None = None
    confidence: float | None = None


class _Monologue(BaseModel):
    speaker: int
    elements: list[_Element]


class _Transcript(BaseModel):
    monologues: list[_Monologue]


def _path(job: _Job) -> str:
    return f"{JOBS}/{job.id}"


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> RevTranscriber:
    """`model` (``reverb``, ``reverb-turbo``), `base_url`, `api_key_env`. Raises
    ProviderConfigError."""
    model = options.get("model") or RevTranscriber.usual
    if model not in TRANSCRIBERS:
        known = " or ".join(TRANSCRIBERS)
        raise ProviderConfigError(f"{WHO} has no model {model!r}; write {known}")
    http = account(options, resources, name="REV", url=URL, headers=bearer, who=WHO)
    return RevTranscriber.of(http, options)


class RevTranscriber(JobTranscriber[_Job]):
    """A `Transcriber`; it must be told the language, or takes it for English."""

    usual = "reverb"
    longest_s = 17 * 3600.0
    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers"}
    )

    async def transcribe(self, recording: Recording) -> Transcript:
        """A job; words always come with their times."""
        http = self._http
        language = primary(recording.language) if recording.language else LANGUAGE
        wanted = {
            "transcriber": TRANSCRIBERS[self.model],
            "language": language,
            "skip_diarization": not recording.speakers,
            **recording.options,
        }
        form = file_form("media", recording.sound.wav(), options=json.dumps(wanted))
        async with self._cleared() as left:
            path = _path(await left.by(http.read(_Job, "POST", JOBS, data=form), _path))
            done = await self._waited(path, recording)
            found = await http.read(_Transcript, "GET", f"{path}/transcript", headers=TRANSCRIPT)
        words = tuple(_words(found, speakers=recording.speakers))
        seconds = done.duration_seconds or recording.sound.seconds
        return Transcript(_text(found), language, None, words, (Use(seconds, "s"),))

    async def _done(self, path: str) -> _Job | None:
        job = await self._http.read(_Job, "GET", path)
        if job.status not in ("in_progress", "transcribed"):
            raise self._failed()
        return job if job.status == "transcribed" else None


def _text(found: _Transcript) -> str:
    said = ("".join(each.value for each in part.elements).strip() for part in found.monologues)
    return " ".join(text for text in said if text)


def _words(found: _Transcript, *, speakers: bool) -> Iterator[Word]:
    for part in found.monologues:
        for each in part.elements:
            if each.type == "text" and each.ts is not None and each.end_ts is not None:
                speaker = str(part.speaker) if speakers else None
                yield Word(each.value, each.ts, each.end_ts, each.confidence, speaker)
