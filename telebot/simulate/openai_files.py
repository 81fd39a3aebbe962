"""Transcription of a file on OpenAI's wire: as JSON (short or long), as text, or streamed.

https://platform.openai.com/docs/api-reference/audio/createTranscription,
https://platform.openai.com/docs/api-reference/audio/transcript-text-delta-event
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.web_request import FileField

from telebot.audio import wav
from telebot.simulate.faults import Exchange
from telebot.simulate.openai_chat import events

if TYPE_CHECKING:
    from telebot.simulate.openai import OpenAIWire

FORMATS = ("json", "text", "verbose_json")  # of Whisper, but for subtitles
SUBTITLES = ("srt", "vtt")
SHORT = ("json", "text")  # of the models that are no Whisper
SHORTEST_S = 0.1
TOKENS_A_SECOND = 10


@dataclass(frozen=True, slots=True)
class Heard:
    """What was in a file."""

    model: str
    form: Mapping[str, Any]
    text: str
    seconds: float

    @property
    def usage(self) -> dict[str, Any]:
        """Whisper is billed by time, the others by tokens."""
        if self.model.startswith("whisper"):
            return {"type": "duration", "seconds": round(self.seconds + 0.5)}
        sent, said = round(self.seconds * TOKENS_A_SECOND), len(self.text.split()) + 1
        details = {"audio_tokens": sent, "text_tokens": 0}
        total = {"input_tokens": sent, "output_tokens": said, "total_tokens": sent + said}
        return {"type": "tokens", **total, "input_token_details": details}

    @property
    def short(self) -> dict[str, Any]:
        found = {"languages": [{"code": "en"}]} if self.model == "gpt-transcribe" else {}
        return {"text": self.text, **found, "usage": self.usage}

    @property
    def long(self) -> dict[str, Any]:
        """With one segment, and words spread over it."""
        segment = {"id": 0, "seek": 0, "start": 0.0, "end": self.seconds, "text": self.text}
        sure = {"tokens": [], "temperature": 0.0, "avg_logprob": -0.2, "no_speech_prob": 0.0}
        whole = {"task": "transcribe", "language": "english", "duration": self.seconds}
        segments = [{**segment, **sure, "compression_ratio": 1.0}] if self.text else []
        answer = {**whole, "text": self.text, "segments": segments, "usage": self.usage}
        if "word" in self.form.get("timestamp_granularities[]", ()):
            words = self.text.split()
            each_s = self.seconds / max(1, len(words))
            times = [(n * each_s, (n + 1) * each_s, word) for n, word in enumerate(words)]
            answer["words"] = [{"start": a, "end": b, "word": word} for a, b, word in times]
        return answer


async def reply(wire: OpenAIWire, request: web.Request, exchange: Exchange) -> web.StreamResponse:
    """The answer to a request, right or not."""
    form = await _form(request)
    try:
        return await _reply(wire, request, form, exchange)
    finally:
        for value in form.values():
            if isinstance(value, FileField):
                value.file.close()


async def _reply(
    wire: OpenAIWire, request: web.Request, form: dict[str, Any], exchange: Exchange
) -> web.StreamResponse:
    translates = request.path.endswith("/translations")
    if refused := fault(wire, form) or (_untranslatable(wire, form) if translates else None):
        return refused
    try:
        pcm16, rate_hz = wav.read(form["file"].file.read())
    except ValueError:
        return wire.refusal(400, "The file cannot be decoded.", "file", "invalid_value")
    seconds = len(pcm16) / 2 / rate_hz
    if seconds < SHORTEST_S:
        return wire.refusal(
            400, f"Audio of {seconds:.2f}s is too short.", "file", "audio_too_short"
        )
    await exchange.reach("first")
    text = await wire.sim.speech.hear(pcm16, rate_hz)
    heard = Heard(str(form["model"]), form, text, seconds)
    if form.get("stream") == "true" and not heard.model.startswith("whisper"):
        return await _stream(wire, request, heard, exchange)
    await exchange.reach("middle")
    await exchange.reach("end")
    if exchange.silent:
        await exchange.stay()
    return _whole(wire, heard)


def _whole(wire: OpenAIWire, heard: Heard) -> web.Response:
    kind = heard.form.get("response_format", "json")
    if kind == "text":
        return web.Response(text=f"{heard.text}\n")
    answer = heard.long if kind == "verbose_json" else heard.short
    return web.json_response(wire.stamp(answer, first=True, usage=None))


async def _form(request: web.Request) -> dict[str, Any]:
    """The fields of a form; those that may come more than once (``…[]``) as lists."""
    if not (request.content_type or "").startswith("multipart/"):
        return {}
    try:
        posted = await request.post()
    except ValueError:
        return {}
    form: dict[str, Any] = {}
    for name, value in posted.items():
        if name.endswith("[]"):
            form.setdefault(name, []).append(value)
        else:
            form[name] = value
    return form


def _untranslatable(wire: OpenAIWire, form: Mapping[str, Any]) -> web.Response | None:
    """createTranslation has fewer fields, and Whisper alone."""
    if odd := form.keys() & {"language", "timestamp_granularities[]", "stream"}:
        return wire.refusal(400, f"Unknown parameter: '{min(odd)}'.", min(odd), "unknown")
    if not str(form["model"]).startswith("whisper"):
        return wire.refusal(400, f"{form['model']} does not translate.", "model", "invalid")
    return None


def fault(wire: OpenAIWire, form: Mapping[str, Any]) -> web.Response | None:
    """The refusal of a form that is not right."""
    return next(_faults(wire, form), None)


def _faults(wire: OpenAIWire, form: Mapping[str, Any]) -> Iterator[web.Response]:
    if not isinstance(form.get("file"), FileField):
        yield wire.refusal(400, "'file' is missing.", "file", "missing_required_parameter")
    model = form.get("model")
    if not model:
        yield wire.refusal(400, "'model' is missing.", "model", "missing_required_parameter")
    if model not in wire.file_models:
        yield wire.refusal(404, f"There is no transcription model `{model}` for this account.")
    kind, whisper = form.get("response_format", "json"), str(model).startswith("whisper")
    if kind in SUBTITLES:
        yield wire.refusal(400, f"{kind} is not simulated.", "response_format", "invalid_value")
    if kind not in (FORMATS if whisper else SHORT):
        yield wire.refusal(400, f"{model} gives no {kind}.", "response_format", "invalid_value")
    language = form.get("language")
    if language is not None and not re.fullmatch(r"[a-z]{2,3}", str(language)):
        yield wire.refusal(400, "No ISO-639-1 language.", "language", "invalid_language_format")
    try:
        warm = float(form.get("temperature", 0))
    except ValueError:
        warm = -1.0
    if not 0 <= warm <= 1:
        yield wire.refusal(400, "'temperature' is out of range.", "temperature", "invalid_value")


async def _stream(
    wire: OpenAIWire, request: web.Request, heard: Heard, exchange: Exchange
) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await answer.prepare(request)

    async def send(event: Mapping[str, Any]) -> None:
        if not exchange.silent:
            await answer.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    async with events(wire, answer):
        pieces = re.findall(r"\s*\S+", heard.text)
        for number, piece in enumerate(pieces):
            if number == len(pieces) // 2:
                await exchange.reach("middle")
            await send({"type": "transcript.text.delta", "delta": piece})
        await exchange.reach("end")
        await send({"type": "transcript.text.done", **heard.short})
        if exchange.silent:
            await exchange.stay()
        await answer.write(b"data: [DONE]\n\n")
    return answer
