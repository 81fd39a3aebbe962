"""OpenAI Realtime as an agent's whole brain, on the phone's own 8 kHz mu-law.

Pipecat's service, with the turns in our hands: the vendor's turn detection is off, an utterance is
committed when the phone's detector says that it is over, and a response is asked for when our turn
logic says so; an interruption truncates what was said where the caller stopped hearing it. What
Pipecat 1.14 does otherwise: 24 kHz PCM, silence sent and billed, commit and response in one, an
interruption by wall clock, connecting inside the call's setup, errors without a category, no word
at all where the connection is lost.
https://developers.openai.com/api/docs/guides/realtime-conversations,
https://developers.openai.com/api/reference/resources/realtime/client-events,
https://developers.openai.com/api/reference/resources/realtime/server-events.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.llm_service import LLMService
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from telebot.audio import g711
from telebot.call.errors import ProviderConfigError
from telebot.providers import openai, vendor
from telebot.providers.frames import (
    CutFrame,
    EmptyTranscriptFrame,
    RespondFrame,
    SessionOpenFrame,
    TellFrame,
    ToolCalledFrame,
    UsedFrame,
)
from telebot.providers.openai_errors import SaysWhat
from telebot.providers.openai_responses import Responses, item_of, usage
from telebot.providers.openai_words import category_of
from telebot.providers.realtime import TOOLS
from telebot.providers.resources import CONNECT_S, Resources
from telebot.providers.vendor_error import VendorError, read_object

Event = dict[str, Any]
PATH = "telebot.providers.openai_realtime:PhoneOpenAIRealtimeService"
MODEL = "gpt-realtime-2.1"
VOICE = "marin"
TRANSCRIBER = openai.STT_MODEL
MULAW = {"type": "audio/pcmu"}
SEND_S = 1.0  # a vendor that takes nothing for as long has gone
CLOSE_S = 0.5
SHORTEST_S = 0.1  # of audio that may be committed
TRANSCRIPTION = "conversation.item.input_audio_transcription"
# what leaves the session as it was: late words on what is over already
HARMLESS = frozenset(
    {
        "response_cancel_not_active",
        "item_truncate_invalid_item_id",
        "conversation_already_has_active_response",
    }
)


def build(options: Mapping[str, Any], resources: Resources) -> Any:
    """`realtime: openai`, or `{service: openai, model: gpt-realtime-2.1-mini, voice: cedar,
    language: de, options: {transcription: gpt-realtime-whisper}}`."""
    url = vendor.vendor_url(options, resources.environ, openai.VENDOR, openai.SOCKET)
    bare = {name: value for name, value in options.items() if name not in ("voice", "language")}
    return vendor.named(
        "llm",
        PATH,
        {**bare, "base_url": url if url.endswith("/realtime") else f"{url}/realtime"},
        resources.environ,
        vendor=openai.VENDOR,
        settings={"model": MODEL},
        options={
            "voice": str(options.get("voice") or VOICE),
            "language": options.get("language"),
        },
    )


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken, and the model and the voice are there."""
    model = vendor.chosen(options, "model", MODEL)
    await openai.probe(kind, {**options, "model": model}, resources)
    voice = str(options.get("voice") or VOICE)
    if voice not in openai.TTS_VOICES:
        raise ProviderConfigError(
            f"openai has no voice {voice!r}{vendor.near(voice, openai.TTS_VOICES)}"
        )


class PhoneOpenAIRealtimeService(SaysWhat, OpenAIRealtimeLLMService):
    """A session (`realtime.RealtimeSession`). The first fault ends it: one ErrorFrame."""

    always_hears = False
    answers_at_once = False

    def __init__(
        self,
        *,
        voice: str = VOICE,
        language: str | None = None,
        transcription: str = TRANSCRIBER,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._voice = voice
        self._transcription = {"model": transcription} | (
            {"language": language} if language else {}
        )
        self._responses = Responses()
        self._open = self._broken = False
        self._fed_s = 0.0  # of audio since the last commit
        self._interims: dict[str, str] = {}  # by item
        self._calls: list[Event] = []  # functions called in the response under way
        self._on = {
            "session.created": self._created,
            "session.updated": self._updated,
            "error": self._error,
            f"{TRANSCRIPTION}.delta": self._heard_some,
            f"{TRANSCRIPTION}.completed": self._heard,
            f"{TRANSCRIPTION}.failed": self._not_heard,
            "response.created": self._response_begins,
            "response.output_audio.delta": self._audio,
            "response.output_audio_transcript.delta": self._text,
            "response.output_item.done": self._item,
            "response.done": self._response_ends,
        }

    # --- connection ----------------------------------------------------------------------------

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        await LLMService.setup(self, setup)  # connected at the start, in the background

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        self._receive_task = self.create_task(self._converse())  # type: ignore[assignment]

    async def _converse(self) -> None:
        """The session, from the handshake to its end."""
        try:
            self._websocket = await connect(  # type: ignore[assignment]
                self.base_url,
                additional_headers=await self._auth_headers(),
                open_timeout=CONNECT_S,
                close_timeout=CLOSE_S,
                max_size=None,
            )
            await self._receive_events()
            raise VendorError("the connection was closed", ErrorCategory.CONNECTIVITY)
        except (WebSocketException, VendorError, OSError, TimeoutError) as error:
            await self._fail(error)

    async def _receive_events(self) -> None:
        websocket: Any = self._websocket
        async for message in websocket:
            event = read_object(message, "openai")
            handle = self._on.get(str(event.get("type")))
            if handle is not None:
                await handle(event)

    async def _fail(self, error: Exception) -> None:
        if self._disconnecting or self._broken:
            return
        self._broken = True
        await self.push_error(f"the session is over: {error}", exception=error)
        websocket: Any = self._websocket
        if websocket is not None:
            await websocket.close()

    async def _say(self, kind: str, **fields: Any) -> None:
        websocket: Any = self._websocket
        if self._broken or self._disconnecting or websocket is None:
            return
        try:
            async with asyncio.timeout(SEND_S):
                await websocket.send(json.dumps({"type": kind, **fields}))
        except ConnectionClosed:
            return  # the receiving end says so
        except TimeoutError as error:
            await self._fail(error)

    # --- what we say ---------------------------------------------------------------------------

    async def process_audio_frame(self, frame: InputAudioRawFrame, _: FrameDirection) -> None:
        """Caller audio, int16 at 8 kHz."""
        mulaw = g711.encode(frame.audio)
        self._fed_s += len(mulaw) / g711.RATE_HZ
        await self._say("input_audio_buffer.append", audio=base64.b64encode(mulaw).decode())

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await LLMService.process_frame(self, frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._fed_s = 0.0
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            await self._commit()
        elif isinstance(frame, TellFrame):
            for message in frame.messages:
                await self._say("conversation.item.create", item=item_of(message))
            if isinstance(frame, RespondFrame) and self._responses.wanted():
                await self._respond()
        elif isinstance(frame, CutFrame):
            await self._cut(frame.heard_s)
        else:
            await self.push_frame(frame, direction)

    async def _commit(self) -> None:
        if self._fed_s < SHORTEST_S:
            await self.push_frame(EmptyTranscriptFrame(self._fed_s))
            return
        await self._say("input_audio_buffer.commit")

    async def _respond(self) -> None:
        self._responses.asked()
        await self._say("response.create")

    async def _cut(self, heard_s: float) -> None:
        if self._responses.active:
            await self._say("response.cancel")
        for name, index, end_ms in self._responses.cut(heard_s):
            names = {"item_id": name, "content_index": index}
            await self._say("conversation.item.truncate", **names, audio_end_ms=end_ms)

    # --- what the vendor says ------------------------------------------------------------------

    async def _created(self, _: Event) -> None:
        heard = {"format": MULAW, "transcription": self._transcription, "turn_detection": None}
        tools = [
            {
                "type": "function",
                "name": name,
                "description": what,
                "parameters": {"type": "object", "properties": {}},
            }
            for name, what in TOOLS.items()
        ]
        session = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": getattr(self._settings, "system_instruction", None) or "",
            "tools": tools,
            "audio": {"input": heard, "output": {"format": MULAW, "voice": self._voice}},
        }
        await self._say("session.update", session=session)

    async def _updated(self, _: Event) -> None:
        if not self._open:
            self._open = True
            await self.push_frame(SessionOpenFrame())

    async def _error(self, event: Event) -> None:
        error = event.get("error") or {}
        if error.get("code") == "input_audio_buffer_commit_empty":
            await self.push_frame(EmptyTranscriptFrame(0.0))
        elif error.get("code") not in HARMLESS and error.get("param") != "audio_end_ms":
            raise _failure(error)

    async def _heard_some(self, event: Event) -> None:
        item = str(event.get("item_id"))
        text = self._interims[item] = self._interims.get(item, "") + str(event.get("delta") or "")
        if text.strip():
            await self.push_frame(InterimTranscriptionFrame(text.strip(), "", time_now_iso8601()))

    async def _heard(self, event: Event) -> None:
        self._interims.pop(str(event.get("item_id")), None)
        used = event.get("usage") or {}
        by = {"kind": "stt", "provider": f"openai/{self._transcription['model']}"}
        if "seconds" in used:
            await self.push_frame(UsedFrame(float(used["seconds"]), "s", **by))
        for name in ("input", "output"):
            unit = "audio_tokens_in" if name == "input" else "text_tokens_out"
            await self.push_frame(UsedFrame(used.get(f"{name}_tokens") or 0, unit, **by))
        text, now = str(event.get("transcript") or "").strip(), time_now_iso8601()
        await self.push_frame(
            TranscriptionFrame(text, "", now, finalized=True) if text else EmptyTranscriptFrame(0.0)
        )

    async def _not_heard(self, event: Event) -> None:
        self._interims.pop(str(event.get("item_id")), None)
        await self.push_frame(EmptyTranscriptFrame(0.0, failed=True))

    async def _response_begins(self, event: Event) -> None:
        if self._responses.begun(str(event["response"].get("id"))):
            self._calls.clear()
            await self.push_frame(LLMFullResponseStartFrame())

    async def _audio(self, event: Event) -> None:
        ulaw = base64.b64decode(event["delta"])
        index = int(event.get("content_index") or 0)
        if self._responses.audio(event.get("response_id"), event.get("item_id"), index, len(ulaw)):
            await self.push_frame(TTSAudioRawFrame(g711.decode(ulaw), g711.RATE_HZ, 1))

    async def _text(self, event: Event) -> None:
        if self._responses.live(event.get("response_id")) and event.get("delta"):
            await self.push_frame(LLMTextFrame(str(event["delta"])))

    async def _item(self, event: Event) -> None:
        item = event.get("item") or {}
        if item.get("type") == "function_call" and self._responses.live(event.get("response_id")):
            self._calls.append(item)
            await self.push_frame(ToolCalledFrame(str(item.get("name"))))

    async def _response_ends(self, event: Event) -> None:
        response = event["response"]
        live, owed = self._responses.done(str(response.get("id")))
        for quantity, unit in usage(response.get("usage") or {}):
            await self.push_frame(UsedFrame(quantity, unit))
        if live and response.get("status") == "failed":
            raise _failure((response.get("status_details") or {}).get("error") or {})
        calls, self._calls = (self._calls, []) if live else ([], self._calls)
        for call in calls:
            output = {"type": "function_call_output", "call_id": call.get("call_id")}
            await self._say("conversation.item.create", item={**output, "output": "done"})
        if owed or (calls and not self._responses.spoken):
            await self._respond()  # a function was called in silence: the caller waits for words
        elif live:
            await self.push_frame(LLMFullResponseEndFrame())


def _failure(error: Mapping[str, Any]) -> VendorError:
    return VendorError(str(error.get("message") or "no reason given"), category_of(dict(error)))
