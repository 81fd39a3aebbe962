"""Soniox for recordings: a file, transcribed as a job, both deleted.

https://soniox.com/docs/speech-to-text/core-concepts/async-transcription,
https://soniox.com/docs/stt/api-reference (files, transcriptions). Not its SDK: HTTP does as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from telebot.providers.clips import HearingAbility, Recording, Transcript, Word, mean
from telebot.providers.http_hearing import JobTranscriber
from telebot.providers.locale import primary
from telebot.providers.resources import Resources
from telebot.providers.soniox import API_URL, VENDOR
from telebot.providers.vendor_http import account, bearer, file_form


class _File(BaseModel):
    id: str


class _Job(BaseModel):
    id: str
    status: Literal["queued", "processing", "completed", "error"]


class _Token(BaseModel):
    text: str  # a part of a word; a new word begins with a space
    start_ms: float
    end_ms: float
    confidence: float | None = None
    speaker: str | int | None = None
    language: str | None = None


class _Text(BaseModel):
    text: str
    tokens: list[_Token] = []


def _path(job: _Job) -> str:
    return f"/v1/transcriptions/{job.id}"


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> SonioxTranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    http = account(options, resources, name=VENDOR, url=API_URL, headers=bearer)
    return SonioxTranscriber.of(http.at(http.url.replace("//stt-rt.", "//api.")), options)


class SonioxTranscriber(JobTranscriber[_Job]):
    """A `Transcriber`."""

    usual = "stt-async-v5"
    longest_s = 5 * 3600.0
    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers", "prompt"}
    )

    async def transcribe(self, recording: Recording) -> Transcript:
        """A job; words always come with their times."""
        http, form = self._http, file_form("file", recording.sound.wav())
        async with self._cleared() as left:
            upload = http.read(_File, "POST", "/v1/files", data=form)
            file = await left.by(upload, lambda file: f"/v1/files/{file.id}")
            wanted = {"file_id": file.id, **self._wanted(recording)}
            making = http.read(_Job, "POST", "/v1/transcriptions", json=wanted)
            path = _path(await left.by(making, _path))
            await self._waited(path, recording)
            found = await http.read(_Text, "GET", f"{path}/transcript")
        languages = [token.language for token in found.tokens if token.language]
        language = max(set(languages), key=languages.count) if languages else recording.language
        words = tuple(_words(found.tokens))
        return Transcript(found.text.strip(), language, _sure(found.tokens), words)

    def _wanted(self, recording: Recording) -> dict[str, Any]:
        wanted: dict[str, Any] = {"model": self.model, "enable_language_identification": True}
        if recording.language:
            wanted["language_hints"] = [primary(recording.language)]
        if recording.speakers:
            wanted["enable_speaker_diarization"] = True
        if recording.prompt:
            wanted["context"] = {"text": recording.prompt}
        return {**wanted, **recording.options}

    async def _done(self, path: str) -> _Job | None:
        job = await self._http.read(_Job, "GET", path)
        if job.status == "error":
            raise self._failed()
        return job if job.status == "completed" else None


def _words(tokens: Sequence[_Token]) -> Iterator[Word]:
    """Words of their parts."""
    parts: list[_Token] = []
    for token in tokens:
        if parts and token.text[:1].isspace():
            yield _word(parts)
            parts = []
        if token.text.strip():
            parts.append(token)
    if parts:
        yield _word(parts)


def _word(parts: Sequence[_Token]) -> Word:
    speaker = parts[0].speaker
    return Word(
        "".join(part.text for part in parts).strip(),
        parts[0].start_ms / 1000,
        parts[-1].end_ms / 1000,
        _sure(parts),
        None if speaker is None else str(speaker),
    )


def _sure(tokens: Sequence[_Token]) -> float | None:
    return mean(token.confidence for token in tokens)
