"""Deepgram Flux over /v2/listen, with the ends of speech that this server hears itself.

https://developers.deepgram.com/reference/speech-to-text/listen-flux,
https://developers.deepgram.com/docs/flux/own-turn-detection, …/docs/flux/force-end-turn.
Pipecat's `DeepgramFluxSTTService` waits for Flux's own end of turn (up to 5 s after the caller's
last word) and tells it nothing; where a connection is lost it pushes half a turn as if it were one,
whose words would come twice when a chain replays the audio into the next recogniser.
"""

from __future__ import annotations

from typing import Any

from pipecat.frames.frames import Frame, VADUserStoppedSpeakingFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.flux.stt_base import FluxFatalError
from pipecat.utils.errors import ErrorCategory

from telebot.providers.answering_stt import AnsweringSTTService
from telebot.providers.deepgram_errors import category
from telebot.providers.one_socket import FAILURES, OneConnection
from telebot.providers.resources import CONNECT_S
from telebot.providers.vendor_error import VendorError, read_object


class FluxSTTService(OneConnection, AnsweringSTTService, DeepgramFluxSTTService):
    """Each end of speech sends `ForceEndTurn`, which Flux answers by the turn's final transcript;
    where it has heard no words there is no turn, and no answer."""

    _CONNECTION_TIMEOUT = CONNECT_S

    def __init__(self, *, base_url: str = "wss://api.deepgram.com", **kwargs: Any) -> None:
        super().__init__(url=f"{base_url}/v2/listen", audio_passthrough=False, **kwargs)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and self._transport_is_active():
            try:
                await self._transport_send_json({"type": "ForceEndTurn"})
            except FAILURES:  # the receiving side reports it
                return

    async def _process_message(self, message: str | bytes) -> None:
        try:
            await self._handle_message(read_object(message, "deepgram-flux"))
        except FluxFatalError as error:
            kind = category(str(error.code)) or ErrorCategory.SERVER
            raise VendorError(str(error), kind) from error

    async def _end_turn_cut_short(self) -> None:
        self._user_is_speaking = False
        self._turn_transcript = ""

    def _vendor_category(self, code: int, reason: str) -> ErrorCategory | None:
        return category(reason)
