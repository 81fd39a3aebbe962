"""Rime's voice on Pipecat's service for `/ws3`, with what a phone call needs changed.

Wire: https://docs.rime.ai/api-reference/coda/websockets-json; failures:
https://docs.rime.ai/docs/errors. Mended here of Pipecat 1.14: it asks for PCM only, swallows the
vendor's error events (they name no context), sends ``eos`` into a closed connection at the end,
and after an interruption leaves the vendor to finish what nobody hears.
"""

from __future__ import annotations

import json
from typing import Any

from pipecat.services.rime.tts import RimeTTSService
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from telebot.audio import g711
from telebot.providers.socket_voice import SocketVoice
from telebot.providers.vendor_error import VendorError

URL = "wss://users-ws.rime.ai"


class RimeVoice(SocketVoice, RimeTTSService):
    """mu-law on the wire at 8 kHz, PCM at any other rate. `url` is the address without paths.

    The vendor keeps one context: after an interruption, audio of the old one would come under the
    new one's name, and `clear` does not stop it
    (https://docs.rime.ai/docs/websockets-segment), so the connection is renewed.
    """

    _timed_context = ""

    def __init__(self, *, url: str = URL, **kwargs: Any) -> None:
        super().__init__(url=f"{url.rstrip('/')}/ws3", push_start_frame=True, **kwargs)

    def _build_ws_params(self) -> dict[str, Any]:
        self._audio_format = "mulaw" if self.sample_rate == g711.RATE_HZ else "pcm"
        return super()._build_ws_params()

    async def _speak(self, text: str, context_id: str) -> None:
        if context_id != self._timed_context:
            self._timed_context, self._cumulative_time = context_id, 0
        message = self._build_msg(text=text, context_id=context_id)
        await self._get_websocket().send(json.dumps(message))

    async def _take(self, message: dict[str, Any]) -> None:
        kind, context_id = message.get("type"), message.get("contextId")
        if kind == "error":
            raise VendorError(str(message["message"]))
        if context_id is None or not self.audio_context_available(context_id):
            return
        if kind == "chunk":
            mulaw = self._audio_format == "mulaw"
            await self._play(message["data"], context_id, mulaw=mulaw)
        elif kind == "timestamps":
            await self._take_times(message["word_timestamps"], context_id)
        elif kind == "done":
            await self.stop_ttfb_metrics()
            await self._end(context_id)

    async def _take_times(self, times: dict[str, Any], context_id: str) -> None:
        """Times count from the beginning of a synthesis, of which a context may have several."""
        words, starts, ends = times["words"], times["start"], times["end"]
        pairs = self._calculate_word_times(words, starts, ends)
        if pairs:
            await self.add_word_timestamps(pairs, context_id=context_id)
            self._cumulative_time += ends[-1]

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        await self.stop_all_metrics()  # type: ignore[no-untyped-call]
        others = [each for each in self.get_audio_contexts() if each != context_id]
        if self._is_open() and not others:
            self._connecting = self.create_task(self._renew(), name="connecting")

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Nothing to clear: `done` came with an empty buffer."""

    def _vendor_category(self, code: int, reason: str) -> ErrorCategory | None:
        """A reason begins with an HTTP status (``429: …``)."""
        status = reason.partition(":")[0]
        return classify_http_status_code(int(status)) if status.isdecimal() else None

    async def _renew(self) -> None:
        former, self._websocket = self._websocket, None
        await self._connect()
        if former is not None:
            former.transport.abort()
