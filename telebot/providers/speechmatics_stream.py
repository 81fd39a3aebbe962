"""Speechmatics' socket in a call: Pipecat's service, with failures said at once.

What Pipecat 1.14 and the vendor's SDK leave to be mended:

- a connection that is lost is noticed with the next audio, told to nobody, and not opened again
  before the caller has finished: here it is an ErrorFrame, and another is opened in the background
  while audio, and the end of the caller's speech, wait for it;
- the SDK's errors hide the handshake's status and the type of the vendor's Error, so no failure has
  a category; a full account (`quota_exceeded`, the vendor asks to try again in 5-10 s) is taken for
  permanent;
- a silent vendor is waited for 15 s at the start and as long at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pipecat.frames.frames import (
    Frame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.speechmatics.stt import SpeechmaticsSTTService
from pipecat.services.stt_service import STTService
from pipecat.utils.errors import ErrorCategory, classify_http_status_code, extract_http_status_code
from speechmatics.rt import ConnectionConfig, TransportError
from speechmatics.rt import ConnectionError as SdkConnectionError
from speechmatics.rt import TimeoutError as SdkTimeoutError

from telebot.providers.resources import CONNECT_S

GOODBYE_S = 0.5
# https://docs.speechmatics.com/rt-api-ref, types of errors
CATEGORIES: Mapping[str, ErrorCategory] = {
    "not_authorised": ErrorCategory.AUTHENTICATION,
    "not_allowed": ErrorCategory.AUTHORIZATION,
    "quota_exceeded": ErrorCategory.RATE_LIMIT,  # sessions at the same time
    "timelimit_exceeded": ErrorCategory.QUOTA,
    "insufficient_funds": ErrorCategory.QUOTA,
    "invalid_message": ErrorCategory.INVALID_REQUEST,
    "invalid_model": ErrorCategory.INVALID_REQUEST,
    "invalid_language": ErrorCategory.INVALID_REQUEST,
    "invalid_config": ErrorCategory.INVALID_REQUEST,
    "invalid_audio_type": ErrorCategory.INVALID_REQUEST,
    "invalid_output_format": ErrorCategory.INVALID_REQUEST,
    "protocol_error": ErrorCategory.INVALID_REQUEST,
    "idle_timeout": ErrorCategory.CONNECTIVITY,
    "session_timeout": ErrorCategory.CONNECTIVITY,
}


class PhoneSpeechmaticsSTTService(SpeechmaticsSTTService):
    """The recogniser, at any address."""

    def __init__(
        self, *, base_url: str = "wss://eu2.rt.speechmatics.com/v2/agent", **kwargs: Any
    ) -> None:
        self._held: Any = None
        self._ended_meanwhile = False  # the caller's turn, while there was no connection
        super().__init__(base_url=base_url, **kwargs)

    @property
    def _client(self) -> Any:
        return self._held

    @_client.setter
    def _client(self, client: Any) -> None:
        """Pipecat builds the SDK's client without saying how long a call can wait, and lets it keep
        every message, some fifty a second, until the call is over."""
        if client is not None:
            client._transcript._record_events = False
            client._transport._conn_config = ConnectionConfig(
                open_timeout=CONNECT_S, close_timeout=GOODBYE_S
            )
        self._held = client

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """An end of speech waits for the connection and the audio that waits for it: sent before,
        it ends the wrong stretch, or the SDK gives up connecting."""
        task = self._reconnect_task
        away = task is not None and not task.done()
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._ended_meanwhile = False
        if isinstance(frame, VADUserStoppedSpeakingFrame) and away:
            self._ended_meanwhile = True
            await STTService.process_frame(self, frame, direction)
            return
        await super().process_frame(frame, direction)

    async def _open_connection(self, *, report_error: bool = True) -> bool:
        try:
            async with asyncio.timeout(CONNECT_S):
                return await super()._open_connection(report_error=report_error)
        except TimeoutError as error:
            self._client = None
            await self.push_error("the vendor does not answer", exception=error)
            return False

    async def _fail_permanently(self, error_msg: str, exception: Exception | None = None) -> None:
        """Also said of an Error while connecting, of which the SDK has kept the reason only."""
        category = self._told()
        if category is None or category.is_permanent or category is ErrorCategory.QUOTA:
            self._closed = True
        await self.push_error(
            error_msg,
            exception=exception,
            category=category,
            force_treat_as_permanent=self._closed,
        )

    def _told(self) -> ErrorCategory | None:
        """The category of an Error that waits to be handled, which is taken."""
        while not self._stt_msg_queue.empty():
            message = self._stt_msg_queue.get_nowait()
            if message.get("message") == "Error":
                return CATEGORIES.get(str(message.get("type")), ErrorCategory.SERVER)
        return None

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        if (category := self._told()) is not None:
            return category
        cause: BaseException | None = exception
        while cause is not None:
            if (status := extract_http_status_code(cause)) is not None:
                return classify_http_status_code(status)
            cause = cause.__cause__ or cause.__context__
        if isinstance(exception, (SdkConnectionError, SdkTimeoutError, TransportError)):
            return ErrorCategory.CONNECTIVITY
        return None

    async def _handle_error(self, message: dict[str, Any]) -> None:
        category = CATEGORIES.get(str(message.get("type")), ErrorCategory.SERVER)
        error = f"Speechmatics STT error: {self._describe_status(message)}"
        if category.is_permanent or category is ErrorCategory.QUOTA:
            self._closed = True
        await self.push_error(error, category=category, force_treat_as_permanent=self._closed)
        if not self._closed:
            self._schedule_reconnect()

    async def _request_reconnect(self) -> None:
        """Said at once, and done in the background while audio waits."""
        if asyncio.current_task() is self._reconnect_task:
            await self._reconnect()  # type: ignore[no-untyped-call]
            if self._ended_meanwhile and self._client is not None:
                self._ended_meanwhile = False
                self.request_finalize()  # type: ignore[no-untyped-call]
                self._client.finalize()
            return
        if self._reconnect_task is not None and not self._reconnect_task.done():
            return
        if self._client is not None and not self._client.is_ready_for_audio:
            error = ConnectionError("the connection is lost")
            await self.push_error(str(error), exception=error)
        self._schedule_reconnect()

    async def _disconnect(self) -> None:
        """Goodbye by the vendor's rules, for as long as a call can wait."""
        client = self._client
        try:
            async with asyncio.timeout(GOODBYE_S):
                await super()._disconnect()
        except TimeoutError:
            await client.close()
