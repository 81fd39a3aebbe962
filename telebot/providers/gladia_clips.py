"""Gladia for recordings: uploaded, transcribed as a job, deleted.

https://docs.gladia.io/chapters/pre-recorded-stt/quickstart,
https://docs.gladia.io/api-reference/v2/pre-recorded/init (the file goes with its job). Not its SDK:
HTTP does as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from telebot.providers.clips import HearingAbility, Recording, Transcript, Use, Word, mean
from telebot.providers.http_hearing import JobTranscriber
from telebot.providers.locale import primary
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import account, file_form

URL = "https://api.gladia.io"
JOBS = "/v2/pre-recorded"


class _Uploaded(BaseModel):
    audio_url: str


class _Created(BaseModel):
    id: str


class _Word(BaseModel):
    word: str
    start: float
    end: float
    confidence: float | None = None


class _Utterance(BaseModel):
    confidence: float | None = None
    speaker: int | None = None
    words: list[_Word] = []


class _Transcription(BaseModel):
    full_transcript: str
    languages: list[str] = []
    utterances: list[_Utterance] = []


class _Metadata(BaseModel):
    billing_time: float | None = None  # s


class _Result(BaseModel):
    metadata: _Metadata = _Metadata()
    transcription: _Transcription


class _Job(BaseModel):
    status: str  # queued, processing, done, error
    result: _Result | None = None


def _path(job: _Created) -> str:
    return f"{JOBS}/{job.id}"


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> GladiaTranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    http = account(options, resources, name="GLADIA", url=URL, headers=_headers)
    return GladiaTranscriber.of(http, options)


def _headers(key: str) -> dict[str, str]:
    return {"x-gladia-key": key}


class GladiaTranscriber(JobTranscriber[_Result]):
    """A `Transcriber`."""

    usual = "solaria-1"
    longest_s = 8100.0  # 135 minutes
    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers", "prompt"}
    )

    async def transcribe(self, recording: Recording) -> Transcript:
        """A job; words always come with their times."""
        http, form = self._http, file_form("audio", recording.sound.wav())
        there = await http.read(_Uploaded, "POST", "/v2/upload", data=form)
        wanted = {"audio_url": there.audio_url, **self._wanted(recording)}
        async with self._cleared() as left:
            making = http.read(_Created, "POST", JOBS, json=wanted)
            job = await left.by(making, _path)
            found = await self._waited(_path(job), recording)
        said = found.transcription
        seconds = found.metadata.billing_time or recording.sound.seconds
        return Transcript(
            said.full_transcript.strip(),
            said.languages[0] if said.languages else recording.language,
            mean(each.confidence for each in said.utterances),
            tuple(_words(said, speakers=recording.speakers)),
            (Use(seconds, "s"),),
        )

    def _wanted(self, recording: Recording) -> dict[str, Any]:
        wanted: dict[str, Any] = {"model": self.model}
        if recording.language:
            wanted["language_config"] = {"languages": [primary(recording.language)]}
        if recording.speakers:
            wanted["diarization"] = True
        if recording.prompt:
            wanted["context_prompt"] = recording.prompt
        return {**wanted, **recording.options}

    async def _done(self, path: str) -> _Result | None:
        job = await self._http.read(_Job, "GET", path)
        if job.status == "error" or (job.status == "done" and job.result is None):
            raise self._failed()
        return job.result if job.status == "done" else None


def _words(said: _Transcription, *, speakers: bool) -> Iterator[Word]:
    for part in said.utterances:
        speaker = str(part.speaker) if speakers and part.speaker is not None else None
        for word in part.words:
            yield Word(word.word.strip(), word.start, word.end, word.confidence, speaker)
