"""OpenAI Realtime for clients that are no telephone: 24 kHz PCM both ways, the vendor's own turns.

The vendor's voice detection finds the turns, answers them and stops its answer when the client
speaks over it; what was not heard is truncated, so that the model knows what it has said.
https://developers.openai.com/api/docs/guides/realtime-conversations,
https://developers.openai.com/api/docs/guides/realtime-vad.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from telebot.providers import openai, vendor
from telebot.providers.direct import (
    CallerStarts,
    CallerStops,
    CallerText,
    DirectEvent,
    Manner,
    ReplyAudio,
    ReplyEnds,
    ReplyStarts,
    ReplyText,
    Used,
    prompt,
)
from telebot.providers.direct_socket import DirectSocket
from telebot.providers.locale import primary
from telebot.providers.openai_errors import category
from telebot.providers.openai_realtime import HARMLESS, MODEL, TRANSCRIPTION, VOICE
from telebot.providers.openai_responses import Responses, item_of, usage
from telebot.providers.openai_words import category_of
from telebot.providers.resources import Resources
from telebot.providers.vendor_error import VendorError

WHO = "openai"
RATE_HZ = 24_000
BYTES_PER_MS = RATE_HZ // 1000 * 2
PCM = {"type": "audio/pcm", "rate": RATE_HZ}
SILENCE_MS = 500  # after which the vendor takes a turn for over
# models that stream their text know no turns of the vendor's
TRANSCRIBER = openai.FILE_STT_MODEL
Handle = Callable[[Mapping[str, Any]], Sequence[DirectEvent]]


def build(options: Mapping[str, Any], resources: Resources) -> OpenAIDirect:
    """The same options as `realtime: openai`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.KEYS, WHO)
    key, url = vendor.access(options, resources.environ, openai.VENDOR, openai.SOCKET)
    url = url if url.endswith("/realtime") else f"{url}/realtime"
    model = str(vendor.chosen(options, "model", MODEL))
    return OpenAIDirect(f"{url}?model={model}", key, str(options.get("voice") or VOICE))


class OpenAIDirect:
    """A `DirectSession`."""

    rate_hz = RATE_HZ

    def __init__(self, url: str, key: str, voice: str) -> None:
        self._url = url
        self._key = key
        self._voice = voice
        self._socket = DirectSocket(WHO, category)
        self._responses = Responses(BYTES_PER_MS)
        self._untold: list[tuple[str, dict[str, Any]]] = []  # of what was cut
        self._partials: dict[str, str] = {}
        self._speech_ms: dict[str, int] = {}  # by item: where it begins, then how long it is
        self._handlers: Mapping[str, Handle] = {
            "error": self._error,
            "input_audio_buffer.speech_started": self._speech_starts,
            "input_audio_buffer.speech_stopped": self._speech_stops,
            f"{TRANSCRIPTION}.delta": self._heard_some,
            f"{TRANSCRIPTION}.completed": self._heard,
            "response.created": self._reply_begins,
            "response.output_audio.delta": self._audio,
            "response.output_audio_transcript.delta": self._text,
            "response.done": self._reply_ends,
        }

    async def open(self, manner: Manner, history: Sequence[Mapping[str, Any]]) -> None:
        """Connected and configured. Raises `VendorError`."""
        await self._socket.open(self._url, {"Authorization": f"Bearer {self._key}"})
        await self._until("session.created")
        await self._update(manner, whole=True)
        await self._until("session.updated")
        for message in history:
            await self._send("conversation.item.create", item=item_of(message))

    async def hear(self, pcm16: bytes) -> None:
        await self._send("input_audio_buffer.append", audio=base64.b64encode(pcm16).decode())

    async def say(self, text: str) -> None:
        item = item_of({"role": "user", "content": text})
        await self._send("conversation.item.create", item=item)
        if self._responses.wanted():
            self._responses.asked()
            await self._send("response.create")

    def cut(self, heard_s: float) -> None:
        if self._responses.active:
            name = self._responses.name  # it may be asked for, but not have begun
            self._untold.append(("response.cancel", {"response_id": name} if name else {}))
        for item, index, end_ms in self._responses.cut(heard_s):
            names = {"item_id": item, "content_index": index, "audio_end_ms": end_ms}
            self._untold.append(("conversation.item.truncate", names))

    async def tell_cut(self) -> None:
        untold, self._untold = self._untold, []
        for kind, fields in untold:
            await self._send(kind, **fields)

    async def change(self, manner: Manner) -> None:
        await self._update(manner, whole=False)

    async def events(self) -> AsyncIterator[DirectEvent]:
        """Raises `VendorError` when the session is over."""
        async for told in self._socket.messages():
            for event in self._socket.understood(self._read, told):
                yield event
            if told.get("type") == "response.done" and self._responses.owed:
                self._responses.asked()
                await self._send("response.create")

    async def close(self) -> None:
        await self._socket.close()

    # --- the wire ------------------------------------------------------------------------------

    async def _until(self, kind: str) -> None:
        while True:
            told = await self._socket.answer()
            if told.get("type") == "error":
                raise _refused(told)
            if told.get("type") == kind:
                return

    async def _update(self, manner: Manner, *, whole: bool) -> None:
        """The session's configuration; a voice that has spoken cannot be another."""
        transcription = {"model": TRANSCRIBER}
        if manner.language:
            transcription["language"] = primary(manner.language)
        heard: dict[str, Any] = {"transcription": transcription}
        audio: dict[str, Any] = {"input": heard}
        if whole:
            heard |= {
                "format": PCM,
                "turn_detection": {
                    "type": "server_vad",
                    "silence_duration_ms": SILENCE_MS,
                    "create_response": True,
                    "interrupt_response": True,
                },
            }
            audio["output"] = {"format": PCM, "voice": manner.voice or self._voice}
        session: dict[str, Any] = {"type": "realtime", "audio": audio}
        session["instructions"] = prompt(manner)
        if whole:
            session["output_modalities"] = ["audio"]
        await self._send("session.update", session=session)

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._socket.send({"type": kind, **fields})

    # --- what the vendor says ------------------------------------------------------------------

    def _read(self, told: Mapping[str, Any]) -> Sequence[DirectEvent]:
        handle = self._handlers.get(str(told.get("type")))
        return () if handle is None else handle(told)

    def _error(self, told: Mapping[str, Any]) -> list[DirectEvent]:
        error = told.get("error") or {}
        if error.get("code") in HARMLESS or error.get("param") == "audio_end_ms":
            return []
        raise _refused(told)

    def _speech_starts(self, told: Mapping[str, Any]) -> list[DirectEvent]:
        self._speech_ms[str(told.get("item_id"))] = int(told.get("audio_start_ms") or 0)
        return [CallerStarts()]

    def _speech_stops(self, told: Mapping[str, Any]) -> list[DirectEvent]:
        item = str(told.get("item_id"))
        ends = int(told.get("audio_end_ms") or 0)
        self._speech_ms[item] = max(0, ends - self._speech_ms.get(item, ends))
        return [CallerStops(SILENCE_MS / 1000)]

    def _heard_some(self, told: Mapping[str, Any]) -> list[DirectEvent]:
        item = str(told.get("item_id"))
        text = self._partials[item] = self._partials.get(item, "") + str(told.get("delta") or "")
        return [CallerText(text.strip(), final=False)] if text.strip() else []

    def _heard(self, told: Mapping[str, Any]) -> list[DirectEvent]:
        self._partials.pop(str(told.get("item_id")), None)
        # the vendor bills this model by the minute, and may tell tokens
        seconds = (told.get("usage") or {}).get("seconds")
        spoken_s = self._speech_ms.pop(str(told.get("item_id")), 0) / 1000
        by = {"kind": "stt", "provider": f"openai/{TRANSCRIBER}"}
        events: list[DirectEvent] = [Used(float(seconds or spoken_s), "s", **by)]
        text = str(told.get("transcript") or "").strip()
        return [*events, CallerText(text, final=True)]

    def _reply_begins(self, told: Mapping[str, Any]) -> list[DirectEvent]:
        if not self._responses.active:
            self._responses.asked()  # the vendor answers by itself
        heard = self._responses.begun(str((told.get("response") or {}).get("id")))
        return [ReplyStarts()] if heard else []

    def _audio(self, told: Mapping[str, Any]) -> list[DirectEvent]:
        pcm16 = base64.b64decode(told.get("delta") or "")
        index = int(told.get("content_index") or 0)
        item, response = told.get("item_id"), told.get("response_id")
        if not pcm16 or not self._responses.audio(response, item, index, len(pcm16)):
            return []
        return [ReplyAudio(pcm16)]

    def _text(self, told: Mapping[str, Any]) -> list[DirectEvent]:
        live = self._responses.live(told.get("response_id")) and told.get("delta")
        return [ReplyText(str(told["delta"]))] if live else []

    def _reply_ends(self, told: Mapping[str, Any]) -> list[DirectEvent]:
        response = told.get("response") or {}
        live, _ = self._responses.done(str(response.get("id")))
        events: list[DirectEvent] = [
            Used(quantity, unit)
            for quantity, unit in usage(response.get("usage") or {})
            if quantity
        ]
        if live and response.get("status") == "failed":
            raise _refused(response.get("status_details") or {})
        return [*events, ReplyEnds()] if live else events


def _refused(told: Mapping[str, Any]) -> VendorError:
    error = told.get("error") or {}
    return VendorError(str(error.get("message") or "no reason given"), category_of(dict(error)))
