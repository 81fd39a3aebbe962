"""Gladia for recordings: uploaded, transcribed as a job, deleted.

https://docs.gladia.io/chapters/pre-recorded-stt/quickstart,
https://docs.gladia.io/api-reference/v2/pre-recorded/init (the file goes with its job). Not its SDK:
HTTP does as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from telebot.providers.clips import HearingAbility, Recording, Transcript, Use, Word, lost
from telebot.providers.failure import Cause
from telebot.providers.jobs import cleared, patience_s, waited
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import VendorHttp, account, file_form

URL = "https://api.gladia.io"
JOBS = "/v2/pre-recorded"
MODEL = "solaria-1"
LONGEST_S = 8100.0  # 135 minutes


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


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> GladiaTranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    http = account(
        options, resources, name="GLADIA", url=URL, headers=lambda key: {"x-gladia-key": key}
    )
    return GladiaTranscriber(http, str(options.get("model") or MODEL))


class GladiaTranscriber:
    """A `Transcriber`."""

    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers", "prompt"}
    )
    longest_s = LONGEST_S

    def __init__(self, http: VendorHttp, model: str) -> None:
        self._http = http
        self.model = model

    async def transcribe(self, recording: Recording) -> Transcript:
        """A job; words always come with their times."""
        http, form = self._http, file_form("audio", recording.sound.wav())
        there = await http.read(_Uploaded, "POST", "/v2/upload", data=form)
        wanted = {"audio_url": there.audio_url, **self._wanted(recording)}
        async with cleared(http) as paths:
            job = await http.read(_Created, "POST", JOBS, json=wanted)
            paths.append(path := f"{JOBS}/{job.id}")
            found = await waited(
                lambda: self._done(path), who=http.who, within_s=patience_s(recording)
            )
        said = found.transcription
        sure = [each.confidence for each in said.utterances if each.confidence is not None]
        seconds = found.metadata.billing_time or recording.sound.seconds
        return Transcript(
            said.full_transcript.strip(),
            said.languages[0] if said.languages else recording.language,
            round(sum(sure) / len(sure), 4) if sure else None,
            tuple(_words(said, speakers=recording.speakers)),
            (Use(seconds, "s"),),
        )

    def _wanted(self, recording: Recording) -> dict[str, Any]:
        wanted: dict[str, Any] = {"model": self.model}
        if recording.language:
            wanted["language_config"] = {"languages": [recording.language.partition("-")[0]]}
        if recording.speakers:
            wanted["diarization"] = True
        if recording.prompt:
            wanted["context_prompt"] = recording.prompt
        return {**wanted, **recording.options}

    async def _done(self, path: str) -> _Result | None:
        job = await self._http.read(_Job, "GET", path)
        if job.status == "error" or (job.status == "done" and job.result is None):
            raise lost(Cause.ERROR, f"{self._http.who} could not transcribe it")
        return job.result if job.status == "done" else None


def _words(said: _Transcription, *, speakers: bool) -> Iterator[Word]:
    for part in said.utterances:
        speaker = str(part.speaker) if speakers and part.speaker is not None else None
        for word in part.words:
            yield Word(word.word.strip(), word.start, word.end, word.confidence, speaker)
