"""Cartesia's voice and recogniser on Pipecat's services, with what a phone call needs changed.

Wire: https://docs.cartesia.ai/api-reference/tts/websocket and
https://docs.cartesia.ai/api-reference/stt/websocket ("manual": it finalises when it is told to).
Mended here of Pipecat 1.14: the recogniser drops the path of its base URL and pushes each delta of
a transcript as a transcript of its own, none of them final; the voice drops errors of speech that
it has forgotten, gives errors no category, and connects again without end when it is turned away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pipecat.services.cartesia.stt import CartesiaSTTService
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.transcriptions.language import Language

from telebot.providers.socket_ears import SocketEars
from telebot.providers.socket_voice import SocketVoice
from telebot.providers.vendor_error import VendorError

URL = "wss://api.cartesia.ai"
MULAW = "pcm_mulaw"


def _refusal(message: Mapping[str, Any]) -> VendorError:
    """https://docs.cartesia.ai/use-the-api/api-errors"""
    said = f"{message.get('error_code') or message.get('title')}: {message.get('message')}"
    return VendorError.of_status(said, message.get("status_code"))


class CartesiaEars(SocketEars, CartesiaSTTService):
    """One transcript an utterance: the deltas up to the answer to `finalize`, joined as they are.

    `base_url` is the vendor's address without the paths of its sockets.
    """

    finalize = "finalize"

    def __init__(self, *, base_url: str = URL, encoding: str = MULAW, **kwargs: Any) -> None:
        super().__init__(encoding=encoding, **kwargs)
        parts = urlsplit(base_url)
        self._scheme, self._base_url = parts.scheme, parts.netloc + parts.path.rstrip("/")
        self._mulaw = encoding == MULAW
        self._deltas: list[str] = []
        self._heard_in: Language | None = None

    async def _connect(self) -> None:
        self._deltas.clear()
        await super()._connect()

    async def _take(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "transcript":
                text = str(message["text"])
                self._heard_in = _language(message.get("language"))
                await self._hearing("".join([*self._deltas, text]), self._heard_in, message)
                if message.get("is_final"):
                    self._deltas.append(text)
            case "flush_done":
                text = "".join(self._deltas)
                self._deltas.clear()
                await self._heard(text, self._heard_in, message)
            case "error":
                raise _refusal(message)

    async def _send_keepalive(self, silence: bytes) -> None:
        await self._get_websocket().send(self._wire(silence))
        self._record_stt_audio_usage(silence)


class CartesiaVoice(SocketVoice, CartesiaTTSService):
    """mu-law on the wire, int16 in its frames. `url` is the vendor's address without paths."""

    def __init__(self, *, url: str = URL, encoding: str = MULAW, **kwargs: Any) -> None:
        super().__init__(url=f"{url.rstrip('/')}/tts/websocket", encoding=encoding, **kwargs)

    async def _speak(self, text: str, context_id: str) -> None:
        await self._get_websocket().send(self._build_msg(text=text, context_id=context_id))

    async def _take(self, message: dict[str, Any]) -> None:
        kind, context_id = message.get("type"), message.get("context_id")
        if kind == "error":
            if context_id is None or self.audio_context_available(context_id):
                raise _refusal(message)
            return
        if context_id is None or not self.audio_context_available(context_id):
            return
        if kind == "chunk":
            mulaw = self._output_encoding == MULAW
            await self._play(message["data"], context_id, mulaw=mulaw)
        elif kind == "timestamps":
            times = message["word_timestamps"]
            words = self._normalize_word_timestamps(times["words"], times["start"])
            spaced = self._word_timestamps_include_inter_frame_spaces()
            await self.add_word_timestamps(words, context_id, spaced or None, spaced)
        elif kind == "done":
            await self.stop_ttfb_metrics()
            await self._end(context_id)


def _language(code: object) -> Language | None:
    try:
        return Language(str(code)) if code else None
    except ValueError:
        return None
