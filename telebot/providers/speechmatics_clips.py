"""Speechmatics for recordings: its batch jobs, deleted afterwards.

https://docs.speechmatics.com/api-ref/batch/create-a-new-job,
https://docs.speechmatics.com/speech-to-text/batch/output (statuses, ``json-v2``),
https://docs.speechmatics.com/speech-to-text/models (`model`, which its SDK speechmatics-batch 0.5
takes in place of `operating_point`, deprecated there). Not its SDK, which opens connections of its
own for each client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from telebot.providers.clips import HearingAbility, Recording, Transcript, Word, mean
from telebot.providers.http_hearing import JobTranscriber
from telebot.providers.locale import primary
from telebot.providers.resources import Resources
from telebot.providers.speechmatics import VENDOR
from telebot.providers.vendor_http import account, bearer, file_form

URL = "https://eu1.asr.api.speechmatics.com/v2"
LIVE = "/agent"  # what an address for calls may end in


class _Created(BaseModel):
    id: str


class _Status(BaseModel):
    status: str  # running, done, rejected, deleted, expired


class _Job(BaseModel):
    job: _Status


class _Said(BaseModel):
    content: str
    confidence: float | None = None
    language: str | None = None
    speaker: str | None = None


class _Result(BaseModel):
    type: str  # word, punctuation, entity
    start_time: float
    end_time: float
    attaches_to: str | None = None
    alternatives: list[_Said] = []


class _Pack(BaseModel):
    word_delimiter: str = " "


class _Metadata(BaseModel):
    language_pack_info: _Pack = _Pack()


class _Transcript(BaseModel):
    results: list[_Result]
    metadata: _Metadata = _Metadata()


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> SpeechmaticsTranscriber:
    """`model` (``enhanced``, ``standard``), `base_url`, `api_key_env`. Raises
    ProviderConfigError."""
    http = account(options, resources, name=VENDOR, url=URL, headers=bearer)
    # an address for calls stands for the same region's
    address = http.url.replace(".rt.speechmatics", ".asr.api.speechmatics").removesuffix(LIVE)
    return SpeechmaticsTranscriber.of(http.at(address), options)


class SpeechmaticsTranscriber(JobTranscriber[str]):
    """A `Transcriber`."""

    usual = "enhanced"
    longest_s = 2 * 3600.0
    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers"}
    )

    async def transcribe(self, recording: Recording) -> Transcript:
        """A job; words always come with their times."""
        http = self._http
        config = json.dumps(self._config(recording))
        form = file_form("data_file", recording.sound.wav(), config=config)
        async with self._cleared() as left:
            making = http.read(_Created, "POST", "/jobs", data=form)
            job = await left.by(making, lambda job: f"/jobs/{job.id}?force=true")
            path = f"/jobs/{job.id}"
            await self._waited(path, recording)
            found = await http.read(_Transcript, "GET", f"{path}/transcript?format=json-v2")
        words = tuple(_words(found.results))
        languages = [said.language for each in found.results for said in each.alternatives[:1]]
        return Transcript(
            _text(found),
            next(filter(None, languages), None) or recording.language,
            mean(word.confidence for word in words),
            words,
        )

    def _config(self, recording: Recording) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "language": primary(recording.language) if recording.language else "auto",
            "model": self.model,
        }
        if recording.speakers:
            wanted["diarization"] = "speaker"
        return {"type": "transcription", "transcription_config": {**wanted, **recording.options}}

    async def _done(self, path: str) -> str | None:
        status = (await self._http.read(_Job, "GET", path)).job.status
        if status not in ("running", "done"):
            raise self._failed(f" ({status[:20]})")
        return status if status == "done" else None


def _words(results: Sequence[_Result]) -> Iterator[Word]:
    """Words, each with the punctuation that hangs on it."""
    words: list[Word] = []
    for each in results:
        if not each.alternatives:
            continue
        said = each.alternatives[0]
        if each.type == "punctuation" and words and each.attaches_to != "next":
            last = words.pop()
            word = replace(last, text=last.text + said.content)
        else:
            word = Word(said.content, each.start_time, each.end_time, said.confidence, said.speaker)
        words.append(word)
    yield from words


def _text(found: _Transcript) -> str:
    between = found.metadata.language_pack_info.word_delimiter
    return between.join(word.text for word in _words(found.results))
