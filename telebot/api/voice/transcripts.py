"""A transcript in the formats of `/v1/audio/transcriptions` (`compatible.py` names the page): JSON
of three sorts, text, subtitles.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from telebot.api.answers import PRIVATE
from telebot.api.voice.told import attempts_headers
from telebot.providers.clips import Recording, Transcript, Word
from telebot.voice.done import Done

CUE_WORDS, CUE_S = 12, 5.0  # of one subtitle


def transcript_answer(
    kind: str, heard: Transcript, recording: Recording, done: Done
) -> web.Response:
    """Of the format `kind`: ``json``, ``text``, ``srt``, ``vtt``, ``verbose_json``,
    ``diarized_json``."""
    headers = PRIVATE | {"x-generation-id": done.id, "x-provider": done.provider}
    headers |= attempts_headers(done.attempts, done.skipped)
    if done.cost.amount is not None:
        headers["x-cost"] = f"{done.cost.amount:f}"
    if kind == "text":
        return web.Response(text=f"{heard.text}\n", headers=headers)
    if kind in ("srt", "vtt"):
        return web.Response(text=_subtitles(kind, heard, recording.sound.seconds), headers=headers)
    body: dict[str, Any] = {"text": heard.text, "usage": usage_of(recording, done)}
    if kind == "verbose_json":
        body |= _verbose(heard, recording)
    if kind == "diarized_json":
        body |= _diarized(heard, recording)
    return web.Response(body=orjson.dumps(body), content_type="application/json", headers=headers)


def _diarized(heard: Transcript, recording: Recording) -> dict[str, Any]:
    seconds = round(recording.sound.seconds, 3)
    words = heard.words or ((Word(heard.text, 0.0, seconds),) if heard.text else ())
    segments = [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{number}",
            "start": word.start_s,
            "end": word.end_s,
            "text": word.text,
            "speaker": word.speaker or "A",
        }
        for number, word in enumerate(words)
    ]
    return {"segments": segments, "task": "transcribe", "duration": seconds}


def _verbose(heard: Transcript, recording: Recording) -> dict[str, Any]:
    seconds = round(recording.sound.seconds, 3)
    segment = {
        "id": 0,
        "seek": 0,
        "start": heard.words[0].start_s if heard.words else 0.0,
        "end": heard.words[-1].end_s if heard.words else seconds,
        "text": heard.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
    return {
        "task": recording.task,
        "language": heard.language or recording.language or "",
        "duration": seconds,
        "segments": [segment] if heard.text else [],
        "words": [
            {"word": word.text, "start": word.start_s, "end": word.end_s} for word in heard.words
        ],
    }


def usage_of(recording: Recording, done: Done) -> dict[str, Any]:
    """What was used: tokens where the vendor bills them, else whole seconds."""
    counted = {use.unit: use.quantity for use in done.uses}
    if "tokens_in" in counted:
        sent, said = int(counted["tokens_in"]), int(counted.get("tokens_out", 0))
        total = {"input_tokens": sent, "output_tokens": said, "total_tokens": sent + said}
        return {"type": "tokens", **total}
    return {"type": "duration", "seconds": round(recording.sound.seconds + 0.4999)}


def _subtitles(kind: str, heard: Transcript, seconds: float) -> str:
    """SubRip, or WebVTT (https://www.w3.org/TR/webvtt1/), a few words each."""
    cues: list[tuple[float, float, str]] = []
    for word in heard.words:
        last = cues[-1] if cues else None
        full = last is None or len(last[2].split()) >= CUE_WORDS or word.end_s - last[0] > CUE_S
        if last is None or full:
            cues.append((word.start_s, word.end_s, word.text))
        else:
            cues[-1] = (last[0], word.end_s, f"{last[2]} {word.text}")
    if not cues and heard.text:
        cues = [(0.0, seconds, heard.text)]
    mark = "," if kind == "srt" else "."
    lines = [] if kind == "srt" else ["WEBVTT", ""]
    for number, (start, end, text) in enumerate(cues, 1):
        lines += [str(number)] if kind == "srt" else []
        lines += [f"{_clock(start, mark)} --> {_clock(end, mark)}", text, ""]
    return "\n".join(lines)


def _clock(at_s: float, mark: str) -> str:
    ms = round(at_s * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{mark}{ms % 1000:03}"
