"""Recordings as they are sent: forms with a file, JSON with base64, URLs. Bounded in size and time.

The body is read once and kept; every provider that is asked gets its own rebuilt from it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from pydantic import BaseModel

from telebot.api.idempotency import HEADER
from telebot.api.query import shallow, valid
from telebot.api.voice.multipart import BrokenForm, Part, boundary_of, parts
from telebot.audio import files
from telebot.call.errors import ApiError
from telebot.providers.clips import Sound
from telebot.voice.service import Voice
from telebot.voice.sound_room import Share
from telebot.voice.threads import Threads
from telebot.voice_settings import VoiceSettings

M = TypeVar("M", bound=BaseModel)
BODY_WITHIN_S = 120.0
MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 64
SORTED = orjson.OPT_SORT_KEYS
SMALL = 1 << 20  # bytes that are read sooner than a thread takes them up
BROUGHT = web.RequestKey("brought", int)  # bytes of the upload, or of what is to be fetched
DECODED = web.RequestKey("decoded", Share)  # what of it is in memory as plain sound
JSON_FIELDS = frozenset({"provider", "logprobs", "include"})  # objects inside a form


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a request and its file, if there is one. Those of a form are texts."""

    fields: dict[str, Any]
    file: bytes | None = None
    media_type: str = ""
    texts: bool = False

    def read(self, model: type[M]) -> M:
        """The fields as `model`: numbers are no texts in JSON. Raises `ApiError` (400)."""
        return valid(model, self.fields, texts=self.texts)

    async def digest(self, request: web.Request) -> bytes:
        """Of all of it, where the request has an `Idempotency-Key`; however the form was cut."""
        return await asyncio.to_thread(self._digest) if HEADER in request.headers else b""

    def _digest(self) -> bytes:
        whole = hashlib.sha256(orjson.dumps([self.fields, self.media_type], option=SORTED))
        if self.file is not None:
            whole.update(hashlib.sha256(self.file).digest())
        return whole.digest()


async def form_of(request: web.Request, settings: VoiceSettings) -> Form:
    """A multipart form or a JSON object. Raises `ApiError` (400, 408, 413, 415)."""
    form = await _form_of(request, settings)
    if "url" in form.fields:
        request[BROUGHT] = settings.max_upload_mb << 20
    return form


async def _form_of(request: web.Request, settings: VoiceSettings) -> Form:
    most = settings.max_upload_mb << 20
    kind = request.content_type
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            if kind == "multipart/form-data":
                return await _multipart(request, most)
            if kind in ("application/json", "application/octet-stream") or not request.body_exists:
                body = await _body(request, most * 4 // 3 + MAX_FIELD_BYTES)
                return _json(body) if len(body) < SMALL else await asyncio.to_thread(_json, body)
    except TimeoutError:
        raise ApiError(408, "too_slow", "The body took too long.") from None
    except (web.RequestPayloadError, web.PayloadAccessError, BadHttpMessage):
        raise ApiError(400, "broken_body", "The body is broken.") from None
    raise ApiError(
        415, "unsupported_media_type", "Send multipart/form-data with a file, or application/json."
    )


async def _body(request: web.Request, most: int) -> bytes:
    if (request.content_length or 0) > most:
        raise _too_large(most)
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > most:
            raise _too_large(most)
    request[BROUGHT] = len(body)
    return bytes(body)


def _json(body: bytes) -> Form:
    try:
        tree = orjson.loads(body)
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise ApiError(400, "invalid_json", "Send a JSON object.")
    return Form(tree)


async def _multipart(request: web.Request, most: int) -> Form:
    body = await _body(request, most + MAX_FIELDS * MAX_FIELD_BYTES)
    fields: dict[str, Any] = {}
    file: Part | None = None
    count = 0
    try:
        for part in parts(body, boundary_of(request.headers["Content-Type"])):
            if part.name == "file":
                if file is not None:
                    raise ApiError(400, "repeated_parameter", "file: given more than once.", "file")
                file = part
            elif (count := count + 1) > MAX_FIELDS:
                raise ApiError(413, "too_large", f"More than {MAX_FIELDS} fields.")
            elif len(part.value) > MAX_FIELD_BYTES:
                raise _too_large(MAX_FIELD_BYTES)
            else:
                _put(fields, part.name, part.value)
    except BrokenForm as error:
        raise ApiError(400, "broken_body", f"The form is broken: {error}.") from None
    if file is None:
        return Form(fields, texts=True)
    if len(file.value) > most:
        raise _too_large(most)
    return Form(fields, file.value, file.media_type, texts=True)


def _put(fields: dict[str, Any], name: str, value: bytes) -> None:
    """Names that end in ``[]`` hold lists; some fields are JSON inside the form."""
    try:
        text = value.decode("utf-8")
        if name in JSON_FIELDS:
            fields[name] = orjson.loads(text)
            if not shallow(fields[name]):
                raise ValueError(name)
            return
    except ValueError:
        raise ApiError(400, "invalid_parameter", f"{name}: cannot be read.", name[:64]) from None
    bare = name.removesuffix("[]")
    if bare == name and bare not in fields:
        fields[name] = text
    elif bare != name and isinstance(fields.setdefault(bare, []), list):
        fields[bare].append(text)
    else:
        raise ApiError(400, "repeated_parameter", f"{bare}: given more than once.", bare[:64])


async def sound_of(
    request: web.Request,
    form: Form,
    voice: Voice,
    *,
    audio: str | None = None,
    url: str | None = None,
    media_type: str = "",
) -> Sound:
    """The recording of a request, decoded. Raises `ApiError`: there is none or more than one
    (400), it cannot be decoded (422), it is too large (413), there is no room for it now (503)."""
    sent = {"file": form.file, "audio": audio, "url": url}
    given = [name for name, value in sent.items() if value is not None]
    if len(given) != 1:
        raise ApiError(400, "invalid_parameter", "Send one of file, audio and url.", "audio")
    settings, data, kind = voice.settings, form.file or b"", media_type or form.media_type
    if audio is not None:
        data = await voice.threads.run(_from_base64, audio, settings.max_upload_mb << 20)
    elif url is not None:
        data, fetched = await voice.fetcher.fetch(url)
        kind = media_type or fetched
    try:
        grows, longest_s = request[DECODED].grow, settings.max_recording_s
        pcm16, rate_hz = await _decoded(voice.threads, data, kind, longest_s, grows)
    except files.NoAudio as error:
        status = 413 if "longer" in str(error) else 422
        raise ApiError(status, "invalid_audio", f"{given[0]}: {error}.", given[0]) from None
    return Sound(pcm16, rate_hz)


async def _decoded(
    threads: Threads, data: bytes, kind: str, longest_s: float, grows: Callable[[int], None]
) -> tuple[bytes, int]:
    if len(data) < SMALL and files.plain(data) is not None:
        return files.decoded(data, kind, longest_s=longest_s, grows=grows)
    return await threads.run(files.decoded, data, kind, longest_s=longest_s, grows=grows)


def _from_base64(audio: str, most: int) -> bytes:
    text = audio.partition(",")[2] if audio.startswith("data:") else audio
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(400, "invalid_parameter", "audio: not base64.", "audio") from None
    if len(data) > most:
        raise _too_large(most)
    return data


def _too_large(most: int) -> ApiError:
    return ApiError(413, "too_large", f"More than {most} bytes.")
