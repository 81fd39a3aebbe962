"""Deepgram's nova models, streamed over /v1/listen: one final transcript for each end of speech.

https://developers.deepgram.com/reference/speech-to-text/listen-streaming,
https://developers.deepgram.com/docs/finalize, …/docs/endpointing, …/docs/keep-alive.
A service of our own on Pipecat's websocket base: Pipecat's `DeepgramSTTService` builds an HTTP
client that it does not use for each call (19 ms on the event loop), holds the call's start for 8 s
and more where the vendor is down, retries in the background, and marks no transcript as final
whose words came before `Finalize` was answered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlencode

from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import WebsocketSTTService
from pipecat.transcriptions.language import Language
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601
from pipecat.utils.types import NOT_GIVEN, NotGiven, is_given

from telebot.providers.answering_stt import AnsweringSTTService
from telebot.providers.deepgram_errors import category, refusal
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.one_socket import FAILURES, OneConnection
from telebot.providers.vendor_error import VendorError, read_object

KEEPALIVE_S = 4.0  # the vendor closes after 10 s without audio or a word
LATE_S = 1.0  # `Finalize` is not answered where nothing was left to process
TRANSCRIPT_P99_S = 0.35
Given = Any | NotGiven


def _unset() -> Given:
    return NOT_GIVEN


@dataclass
class ListenSettings(STTSettings):
    """The query of /v1/listen, by Deepgram's own names; None leaves one out."""

    detect_entities: Given = field(default_factory=_unset)
    diarize: Given = field(default_factory=_unset)
    dictation: Given = field(default_factory=_unset)
    endpointing: Given = field(default_factory=_unset)
    interim_results: Given = field(default_factory=_unset)
    keyterm: Given = field(default_factory=_unset)
    keywords: Given = field(default_factory=_unset)
    language_hint: Given = field(default_factory=_unset)
    mip_opt_out: Given = field(default_factory=_unset)
    numerals: Given = field(default_factory=_unset)
    profanity_filter: Given = field(default_factory=_unset)
    punctuate: Given = field(default_factory=_unset)
    redact: Given = field(default_factory=_unset)
    replace: Given = field(default_factory=_unset)
    search: Given = field(default_factory=_unset)
    smart_format: Given = field(default_factory=_unset)
    tag: Given = field(default_factory=_unset)
    utterance_end_ms: Given = field(default_factory=_unset)
    vad_events: Given = field(default_factory=_unset)
    version: Given = field(default_factory=_unset)


class ListenSTTService(OneConnection, AnsweringSTTService, WebsocketSTTService):
    """Words of a stretch of speech come as interims, and once as a finalized transcript when
    Deepgram has answered the `Finalize` that each end of speech sends; a stretch without words is
    answered by an `EmptyTranscriptFrame`. A lost connection loses the stretch that was going on.
    """

    Settings = ListenSettings

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "wss://api.deepgram.com",
        sample_rate: int = 8000,
        settings: ListenSettings | None = None,
        **kwargs: Any,
    ) -> None:
        unset: dict[str, Any] = dict.fromkeys(each.name for each in fields(ListenSettings))
        full = ListenSettings(**{**unset, "extra": {}})
        if settings is not None:
            full.apply_update(settings)
        super().__init__(
            sample_rate=sample_rate,
            audio_passthrough=False,
            ttfs_p99_latency=TRANSCRIPT_P99_S,
            keepalive_timeout=KEEPALIVE_S,
            keepalive_interval=KEEPALIVE_S / 2,
            settings=full,
            **kwargs,
        )
        self._api_key = api_key
        self._base_url = base_url
        self._receive_task: asyncio.Task[None] | None = None
        self._late: asyncio.Task[None] | None = None
        self._asked = 0  # ends of speech that Deepgram has not answered
        self._pieces: list[str] = []  # final words of the stretch that is not answered
        self._told = False  # words of the stretch were pushed before it was answered
        self._speech_bytes = 0

    # the connection

    def _url(self) -> str:
        query: dict[str, Any] = {"encoding": "linear16", "sample_rate": self.sample_rate}
        names = [each.name for each in fields(self._settings) if each.name != "extra"]
        given = {name: getattr(self._settings, name) for name in names}
        for name, value in {**given, **self._settings.extra}.items():
            if name.startswith("_") or value is None or not is_given(value):
                continue
            query[name] = str(value).lower() if isinstance(value, bool) else value
        return f"{self._base_url}/v1/listen?{urlencode(query, doseq=True)}"

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        await super().setup(setup)
        await self._connect()

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]
        await self._connect_websocket()
        if self._websocket is not None:
            handler = self._receive_task_handler(self._report_error)
            self._receive_task = self.create_task(handler, "receive")

    async def _connect_websocket(self) -> None:
        headers = {"Authorization": f"Token {self._api_key}"}
        try:
            self._websocket = await self._websocket_connect(self._url(), additional_headers=headers)
        except FAILURES as error:
            await self.push_error(refusal(error), exception=error, force_treat_as_permanent=True)

    async def _disconnect(self) -> None:
        await super()._disconnect()  # type: ignore[no-untyped-call]
        await self._drop_late()
        if self._receive_task is not None:
            await self.cancel_task(self._receive_task)
            self._receive_task = None
        await self._disconnect_websocket()

    async def _disconnect_websocket(self) -> None:
        if self._websocket is not None:
            await self._tell("CloseStream")
            left, self._websocket = self._websocket, None
            await left.close()

    async def _tell(self, kind: str) -> bool:
        """Send a control message; False where the connection is gone, which the receiving side
        reports."""
        if self._websocket is None:
            return False
        try:
            await self._websocket.send(json.dumps({"type": kind}))
        except FAILURES:
            return False
        return True

    async def _send_keepalive(self, silence: bytes) -> None:
        await self._tell("KeepAlive")

    def _vendor_category(self, code: int, reason: str) -> ErrorCategory | None:
        return category(reason)

    # to Deepgram

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Send int16 audio at the service's rate; what comes of it comes by itself."""
        if self._user_speaking:
            self._speech_bytes += len(audio)
        if self._websocket is not None:
            with suppress(*FAILURES):  # the receiving side reports it
                await self._websocket.send(audio)
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._speech_bytes = 0
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and await self._tell("Finalize"):
            self._asked += 1
            self._told = False
            await self._drop_late()
            self._late = self.create_task(self._answer_late(), "late")

    async def _answer_late(self) -> None:
        """`Finalize` is not answered: what was final before may be all there is."""
        await asyncio.sleep(LATE_S)
        self._late = None
        self._asked = max(0, self._asked - 1)
        words, self._pieces = " ".join(self._pieces), []
        if words:
            self._told = True
            await self._push_words(words, None, finalized=False)

    async def _drop_late(self) -> None:
        late, self._late = self._late, None
        if late is not None:
            await self.cancel_task(late)

    # from Deepgram

    async def _receive_messages(self) -> None:
        websocket = self._websocket
        assert websocket is not None
        async for raw in websocket:
            message = read_object(raw, "deepgram")
            if message.get("type") == "Results":
                await self._results(message)
            elif message.get("type") == "Error":
                raise VendorError(f"deepgram: {message.get('description')}")

    async def _results(self, message: Mapping[str, Any]) -> None:
        try:
            best = message["channel"]["alternatives"][0]
            text = str(best["transcript"]).strip()
        except (KeyError, IndexError, TypeError) as error:
            raise VendorError("deepgram sends results without a transcript") from error
        if message.get("from_finalize"):
            await self._answer(text, message)
        elif not message.get("is_final"):
            if text:
                await self._interim(text, message)
        elif text and (self._user_speaking or self._asked):
            self._pieces.append(text)
            await self._interim("", message)
        elif text:  # too soft for the detector
            await self._push_words(text, message, finalized=False)

    async def _interim(self, text: str, message: Mapping[str, Any]) -> None:
        words = " ".join([*self._pieces, text]).strip()
        frame = InterimTranscriptionFrame(
            words, self._user_id, time_now_iso8601(), _language(message), result=message
        )
        await self.push_frame(frame)

    async def _answer(self, text: str, message: Mapping[str, Any]) -> None:
        """The stretch is over: all its words, or that there were none."""
        words = " ".join([*self._pieces, text]).strip()
        told, self._told = self._told, False
        self._pieces = []
        self._asked = max(0, self._asked - 1)
        if not self._asked:
            await self._drop_late()
        await self.emit_stt_usage_metrics()  # type: ignore[no-untyped-call]
        if words:
            await self._push_words(words, message, finalized=True)
        elif not told:
            await self.push_frame(EmptyTranscriptFrame(self._speech_bytes / 2 / self.sample_rate))

    async def _push_words(
        self, words: str, message: Mapping[str, Any] | None, *, finalized: bool
    ) -> None:
        frame = TranscriptionFrame(
            words,
            self._user_id,
            time_now_iso8601(),
            _language(message or {}),
            result=message,
            finalized=finalized,
        )
        await self.push_frame(frame)


def _language(message: Mapping[str, Any]) -> Language | None:
    """What `language=multi` was found to be, where Pipecat knows it."""
    try:
        return Language(message["channel"]["alternatives"][0]["languages"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        return None
