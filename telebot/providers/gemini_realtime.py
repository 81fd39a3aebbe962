"""Gemini Live as an agent's whole brain, with the turns in our hands.

The vendor's own detection of speech is off (`automaticActivityDetection.disabled`): an utterance
stands between `activityStart` and `activityEnd`, which the phone's detector sets. The end of one
makes the model answer, and speech before its answer is over interrupts it; so an utterance over the
bot's voice is kept from it until it takes the floor, and an answer waits until the caller's turn is
over. The model cannot be told how much of an answer was heard.
https://ai.google.dev/gemini-api/docs/live-guide, https://ai.google.dev/api/live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.genai.types import Content, FunctionResponse, Part
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMFullResponseEndFrame,
    StartFrame,
    TranscriptionFrame,
    TTSStoppedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService, GeminiVADParams
from pipecat.services.llm_service import LLMService
from pipecat.utils.time import time_now_iso8601

from telebot.providers import gemini
from telebot.providers.frames import (
    CutFrame,
    EmptyTranscriptFrame,
    RespondFrame,
    SessionOpenFrame,
    TellFrame,
    ToolCalledFrame,
    UsedFrame,
)
from telebot.providers.gemini_live import FAILURES, ToldGeminiLiveLLMService
from telebot.providers.realtime import TOOLS, Message
from telebot.providers.resources import Resources

PATH = "telebot.providers.gemini_realtime:PhoneGeminiLiveService"
MORE_TEXT_S = 0.4  # after the last words of the caller's that were told
TEXT_AFTER_AUDIO_S = 0.5  # the caller's words may come after the answer's first audio


def build(options: Mapping[str, Any], resources: Resources) -> Any:
    """`realtime: gemini`, or `{service: gemini, model: gemini-3.8-live, voice: Kore}`."""
    settings = {
        "model": gemini.LIVE_MODEL,
        "voice": gemini.LIVE_VOICE,
        "vad": GeminiVADParams(disabled=True),
    }
    return gemini.build_session(PATH, options, resources, settings)


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken and the model is there."""
    await gemini.probe(kind, options, resources)


class PhoneGeminiLiveService(ToldGeminiLiveLLMService):
    """A session (`realtime.RealtimeSession`)."""

    always_hears = False
    answers_at_once = True

    def __init__(self, **kwargs: Any) -> None:
        declared = [{"name": name, "description": what} for name, what in TOOLS.items()]
        super().__init__(tools=[{"function_declarations": declared}], **kwargs)
        self._words = ""  # of the caller, as far as they were told
        self._wanted = False  # words of the last utterance are waited for
        self._words_timer: asyncio.TimerHandle | None = None
        self._finishing: set[asyncio.Task[None]] = set()

    # --- connection ----------------------------------------------------------------------------

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        await LLMService.setup(self, setup)

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self._connect()

    async def _disconnect(self) -> None:
        self._stop_waiting()
        await super()._disconnect()  # type: ignore[no-untyped-call]

    async def _handle_session_ready(self, session: Any) -> None:
        self._session = session
        self._ready_for_realtime_input = True
        await self.push_frame(SessionOpenFrame())

    async def _handle_connection_error(self, error: Exception) -> bool:
        """A connection lasts ten minutes; where nothing is under way, the next one goes on with the
        session and nobody notices."""
        if self._session_resumption_handle and "Deadline" in str(error) and not self._wanted:
            return bool(await GeminiLiveLLMService._handle_connection_error(self, error))
        await self.push_error(f"Gemini Live was lost: {error}", exception=error)
        return False

    # --- what we say ---------------------------------------------------------------------------

    async def process_audio_frame(self, frame: InputAudioRawFrame, _: FrameDirection) -> None:
        """Caller audio, int16 at 8 kHz."""
        await self._send_user_audio(frame)  # type: ignore[no-untyped-call]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await LLMService.process_frame(self, frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._stop_waiting()
            self._wanted = False
            await self._handle_user_started_speaking(frame)  # type: ignore[no-untyped-call]
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._wanted = True
            await self._handle_user_stopped_speaking(frame)  # type: ignore[no-untyped-call]
        elif isinstance(frame, TellFrame):
            await self._tell(frame.messages, answer=isinstance(frame, RespondFrame))
        elif not isinstance(frame, CutFrame):
            await self.push_frame(frame, direction)

    async def _tell(self, messages: Sequence[Message], *, answer: bool) -> None:
        """History as turns; what is to be answered (keys, or the whole of a turn that another
        session heard) as text, which the model answers at once."""
        asked = str(messages[-1].get("content") or "") if messages else ""
        answered = answer and bool(asked) and messages[-1].get("role") != "assistant"
        turns: list[Any] = [_turn(message) for message in (messages[:-1] if answered else messages)]
        session = self._session
        if session is None or self._disconnecting:
            return
        try:
            if turns:
                await session.send_client_content(turns=turns, turn_complete=False)
            if answered:
                await session.send_realtime_input(text=asked)
        except FAILURES as error:
            await self.push_error(f"Gemini Live was lost: {error}", exception=error)

    # --- what the vendor says ------------------------------------------------------------------

    async def _handle_msg_input_transcription(self, message: Any) -> None:
        self._words += message.server_content.input_transcription.text or ""
        if self._words.strip():
            now = time_now_iso8601()
            await self.push_frame(InterimTranscriptionFrame(self._words.strip(), "", now))
        if self._wanted:
            self._finish_in(MORE_TEXT_S)

    async def _handle_msg_model_turn(self, message: Any) -> None:
        await self._answering()
        await super()._handle_msg_model_turn(message)

    async def _handle_msg_turn_complete(self, message: Any) -> None:
        await self._answering()
        await super()._handle_msg_turn_complete(message)

    async def _answering(self) -> None:
        """The model has heard enough to answer."""
        if self._wanted and self._words.strip():
            await self._finish()
        elif self._wanted and self._words_timer is None:
            self._finish_in(TEXT_AFTER_AUDIO_S)

    async def _finish(self) -> None:
        """All words of the utterance are here."""
        self._stop_waiting()
        text, self._words, self._wanted = self._words.strip(), "", False
        now = time_now_iso8601()
        await self.push_frame(
            TranscriptionFrame(text, "", now, finalized=True) if text else EmptyTranscriptFrame(0.0)
        )

    def _finish_in(self, delay_s: float) -> None:
        self._stop_waiting()

        def finish() -> None:
            task = asyncio.create_task(self._finish(), name="gemini words")
            self._finishing.add(task)
            task.add_done_callback(self._finishing.discard)

        self._words_timer = asyncio.get_running_loop().call_later(delay_s, finish)

    def _stop_waiting(self) -> None:
        if self._words_timer is not None:
            self._words_timer.cancel()
            self._words_timer = None

    async def broadcast_interruption(self) -> None:
        """The vendor has stopped answering; whether the bot stops is decided by the call."""
        if self._bot_is_responding:
            await self._set_bot_is_responding(False)
            await self.push_frame(TTSStoppedFrame())
            await self.push_frame(LLMFullResponseEndFrame())

    async def _handle_msg_tool_call(self, message: Any) -> None:
        calls = message.tool_call.function_calls or []
        for call in calls:
            await self.push_frame(ToolCalledFrame(str(call.name)))
        done = [
            FunctionResponse(id=call.id, name=call.name, response={"result": "done"})
            for call in calls
        ]
        if self._session is not None:
            await self._session.send_tool_response(function_responses=done)

    async def _handle_msg_usage_metadata(self, message: Any) -> None:
        for quantity, unit in usage(message.usage_metadata):
            await self.push_frame(UsedFrame(quantity, unit))


def usage(told: Any) -> Iterator[tuple[float, str]]:
    """Tokens of a turn by their sort, as `call.model.Usage` names them; where the vendor does not
    sort them, all together (https://ai.google.dev/api/live#UsageMetadata)."""
    for count, details, way in (
        (told.prompt_token_count, told.prompt_tokens_details, "in"),
        (told.response_token_count, told.response_tokens_details, "out"),
    ):
        sorts = {"audio": 0, "text": 0}
        for each in details or ():
            sort = "audio" if str(getattr(each.modality, "value", "")) == "AUDIO" else "text"
            sorts[sort] += each.token_count or 0
        if not any(sorts.values()):
            yield count or 0, f"tokens_{way}"
            continue
        for sort, tokens in sorts.items():
            yield tokens, f"{sort}_tokens_{way}"


def _turn(message: Message) -> Content:
    role = "model" if message.get("role") == "assistant" else "user"
    return Content(role=role, parts=[Part(text=str(message.get("content") or ""))])
