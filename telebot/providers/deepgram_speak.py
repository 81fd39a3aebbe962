"""Deepgram's Aura voices over /v1/speak, in the phone's own 8 kHz mu-law.

https://developers.deepgram.com/reference/text-to-speech/speak-streaming,
https://developers.deepgram.com/docs/tts-ws-flush, …/docs/tts-ws-clear.
Pipecat's `DeepgramTTSService` hands mu-law on as if it were PCM, gives audio that was still on its
way when the caller interrupted to the next reply, and after a lost connection opens one that
nobody reads.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any
from urllib.parse import urlencode

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.services.deepgram.tts import DeepgramTTSService
from pipecat.utils.errors import ErrorCategory
from websockets.protocol import State

from telebot.audio import g711
from telebot.providers.deepgram_errors import category, refusal
from telebot.providers.one_socket import FAILURES, OneConnection
from telebot.providers.vendor_error import VendorError, read_object

DECODERS: dict[str, Callable[[bytes], bytes]] = {"mulaw": g711.decode, "linear16": bytes}


class SpeakTTSService(OneConnection, DeepgramTTSService):
    """Frames are int16 at 8 kHz. A reply that has begun is not tried again; the next one opens a
    new connection."""

    _lost_is_final = False

    def __init__(self, *, encoding: str = "mulaw", **kwargs: Any) -> None:
        if encoding not in DECODERS:
            raise ValueError(f"encoding {encoding!r} is not one of {', '.join(DECODERS)}")
        super().__init__(encoding=encoding, **kwargs)
        self._decode = DECODERS[encoding]
        self._replies: deque[str] = deque()  # context ids whose audio is to come, in order
        self._clearing = 0  # `Clear` sent and not answered: what comes belongs to nobody

    async def _connect(self) -> None:
        if self._receive_task is not None and self._receive_task.done():
            self._receive_task = None
        await super()._connect()  # type: ignore[no-untyped-call]

    async def _connect_websocket(self) -> None:
        if self._websocket is not None and self._websocket.state is State.OPEN:
            return
        self._clearing = 0
        headers = {"Authorization": f"Token {self._api_key}"}
        try:
            self._websocket = await self._websocket_connect(self._url(), additional_headers=headers)
        except FAILURES as error:
            self._websocket = None
            await self.push_error(refusal(error), exception=error)

    def _url(self) -> str:
        chosen: Any = self._settings
        query = {
            "model": chosen.voice,
            "encoding": self._encoding,
            "sample_rate": self.sample_rate,
            "speed": chosen.speed,
            "mip_opt_out": None if self._mip_opt_out is None else str(self._mip_opt_out).lower(),
        }
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self._base_url}/v1/speak?{urlencode(given)}"

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Send `text`; its audio comes by itself, and no error is told twice."""
        if self._websocket is None or self._websocket.state is not State.OPEN:
            await self._connect()
        if context_id not in self._replies:
            self._replies.append(context_id)
        if self._websocket is None:  # which was said
            await self._end_replies()
            return
        try:
            await self._websocket.send(json.dumps({"type": "Speak", "text": text}))
        except FAILURES as error:
            yield ErrorFrame("deepgram takes no text", exception=error)
        yield None

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        if self._websocket is not None and self._websocket.state is State.OPEN:
            self._clearing += 1
        self._replies.clear()
        await super().on_audio_context_interrupted(context_id)  # sends `Clear`

    async def _receive_messages(self) -> None:
        websocket = self._websocket
        assert websocket is not None
        async for message in websocket:
            if isinstance(message, bytes):
                await self._audio(message)
            else:
                await self._event(str(read_object(message, "deepgram").get("type")), message)

    async def _audio(self, audio: bytes) -> None:
        if self._clearing or not self._replies:
            return
        reply = self._replies[0]
        frame = TTSAudioRawFrame(self._decode(audio), self.sample_rate, 1, context_id=reply)
        await self.append_to_audio_context(reply, frame)

    async def _event(self, kind: str, message: str) -> None:
        if kind == "Cleared":
            self._clearing = max(0, self._clearing - 1)
        elif kind == "Flushed" and self._replies and not self._clearing:
            await self._end(self._replies.popleft())
        elif kind == "Error":
            raise VendorError("deepgram: an error", category(message) or ErrorCategory.SERVER)

    async def _end(self, reply: str) -> None:
        await self.append_to_audio_context(reply, TTSStoppedFrame(context_id=reply))
        await self.remove_audio_context(reply)

    async def _end_replies(self) -> None:
        """Nothing more comes for what was asked: the replies end where they are."""
        while self._replies:
            await self._end(self._replies.popleft())

    async def _after_loss(self) -> None:
        await self._end_replies()

    def _vendor_category(self, code: int, reason: str) -> ErrorCategory | None:
        return category(reason)
