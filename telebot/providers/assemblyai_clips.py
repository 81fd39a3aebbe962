"""AssemblyAI for recordings: uploaded, transcribed as a job, deleted.

https://www.assemblyai.com/docs/getting-started/transcribe-an-audio-file,
https://www.assemblyai.com/docs/getting-started/models.md (`speech_models`, languages),
https://www.assemblyai.com/docs/api-reference/transcripts/submit. Not its SDK, which blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from telebot.providers.assemblyai import VENDOR
from telebot.providers.clips import HearingAbility, Recording, Transcript, Use, Word
from telebot.providers.http_hearing import JobTranscriber
from telebot.providers.locale import primary
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import VendorHttp, account

URL = "https://api.assemblyai.com"
# what it says of a recording without words where it is to find the language
NO_WORDS = "no spoken audio"


class _Uploaded(BaseModel):
    upload_url: str


class _Word(BaseModel):
    text: str
    start: float  # ms
    end: float
    confidence: float | None = None
    speaker: str | None = None


class _Job(BaseModel):
    id: str
    status: Literal["queued", "processing", "completed", "error"]
    text: str | None = None
    error: str | None = None
    language_code: str | None = None
    confidence: float | None = None
    audio_duration: float | None = None  # s
    words: list[_Word] | None = None


def _path(job: _Job) -> str:
    return f"/v2/transcript/{job.id}"


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> AssemblyTranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    http = account(options, resources, name=VENDOR, url=URL, headers=_headers)
    return AssemblyTranscriber.of(http.at(http.url.replace("//streaming.", "//api.")), options)


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": key}


class AssemblyTranscriber(JobTranscriber[_Job]):
    """A `Transcriber`."""

    usual = "universal-3-5-pro"
    longest_s = 10 * 3600.0

    def __init__(self, http: VendorHttp, model: str) -> None:
        super().__init__(http, model)
        abilities: set[HearingAbility] = {"language", "words", "confidence", "speakers"}
        if model.startswith("universal-3"):
            abilities.add("prompt")
        self.abilities = frozenset(abilities)

    async def transcribe(self, recording: Recording) -> Transcript:
        """A job; words always come with their times."""
        audio = recording.sound.wav()
        there = await self._http.read(_Uploaded, "POST", "/v2/upload", data=audio)
        wanted = {"audio_url": there.upload_url, **self._wanted(recording)}
        async with self._cleared() as left:
            making = self._http.read(_Job, "POST", "/v2/transcript", json=wanted)
            job = await left.by(making, _path)
            done = await self._waited(_path(job), recording)
        return _transcript(done, recording)

    def _wanted(self, recording: Recording) -> dict[str, Any]:
        wanted: dict[str, Any] = {"speech_models": [self.model]}
        if recording.language:
            wanted["language_code"] = primary(recording.language)
        else:
            wanted["language_detection"] = True
        if recording.speakers:
            wanted["speaker_labels"] = True
        if recording.prompt and "prompt" in self.abilities:
            wanted["prompt"] = recording.prompt
        return {**wanted, **recording.options}

    async def _done(self, path: str) -> _Job | None:
        job = await self._http.read(_Job, "GET", path)
        if job.status == "error" and NO_WORDS not in (job.error or ""):
            raise self._failed()
        return job if job.status in ("completed", "error") else None


def _transcript(job: _Job, recording: Recording) -> Transcript:
    words = tuple(
        Word(each.text, each.start / 1000, each.end / 1000, each.confidence, each.speaker)
        for each in job.words or ()
    )
    seconds = job.audio_duration or recording.sound.seconds
    return Transcript(
        (job.text or "").strip(),
        job.language_code or recording.language,
        job.confidence,
        words,
        (Use(float(seconds), "s"),),
    )
