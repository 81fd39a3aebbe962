"""An agent of ElevenLabs as an agent's whole brain: one socket, 8 kHz mu-law both ways.

The vendor's agent has its own prompt, voice and turns, made in its console; the turns stay its own:
it hears the whole call and answers when it finds that the caller is done. Pipecat has no service
for it. The vendor says no word when an answer is over: it is when its audio says all its text, or
when no more audio comes.
https://elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket,
https://elevenlabs.io/docs/api-reference/conversations/get-signed-url.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from telebot.audio import g711
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import vendor
from telebot.providers.elevenlabs_agents import (
    KEYS,
    WHO,
    Address,
    Answer,
    kind,
    overrides_of,
)
from telebot.providers.frames import (
    CallerTurnFrame,
    RespondFrame,
    SessionOpenFrame,
    TellFrame,
    ToolCalledFrame,
    UsedFrame,
)
from telebot.providers.realtime import TOOLS
from telebot.providers.resources import CONNECT_S, Resources
from telebot.providers.vendor_error import VendorError, read_object

FORMAT = "ulaw_8000"
QUIET_END_S = 0.7  # without audio an answer is over: it comes faster than it is played
SEND_S = 1.0
CLOSE_S = 0.5


def build(options: Mapping[str, Any], resources: Resources) -> Any:
    """`realtime: {service: elevenlabs, agent: agent_…}`; `overrides` are the vendor's
    `conversation_config_override`, which the vendor's agent must allow."""
    vendor.check_known("key", options, KEYS, WHO)
    return ElevenLabsAgentService(Address(options, resources), overrides_of(options))


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken and the agent is there."""
    vendor.check_known("key", options, KEYS, WHO)
    try:
        await Address(options, resources).signed()
    except VendorError as refused:
        raise ProviderConfigError(str(refused)) from refused


class ElevenLabsAgentService(FrameProcessor):
    """A session (`realtime.RealtimeSession`)."""

    always_hears = True
    answers_at_once = False

    def __init__(self, address: Address, overrides: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = SimpleNamespace(model=address.agent)
        self._address = address
        self._overrides = overrides
        self._socket: Any = None
        self._talk: asyncio.Task[None] | None = None
        self._over = False
        self._answer: Answer | None = None
        self._quiet: asyncio.TimerHandle | None = None
        self._told_at = 0.0  # until when the time was billed
        self._ending: set[asyncio.Task[None]] = set()

    # --- connection ----------------------------------------------------------------------------

    async def _converse(self) -> None:
        try:
            self._socket = await connect(
                await self._address.signed(),
                open_timeout=CONNECT_S,
                close_timeout=CLOSE_S,
                compression=None,
                max_size=None,
            )
            self._told_at = asyncio.get_running_loop().time()
            begin: dict[str, Any] = {"type": "conversation_initiation_client_data"}
            if self._overrides:
                begin["conversation_config_override"] = dict(self._overrides)
            await self._say(begin)
            async for raw in self._socket:
                await self._take(read_object(raw, WHO))
            raise VendorError("the conversation was closed", ErrorCategory.CONNECTIVITY)
        except (WebSocketException, ProviderError, OSError, TimeoutError) as error:
            await self._fail(error)

    async def _fail(self, error: Exception) -> None:
        if not self._over:
            self._over = True
            await self.push_error(f"the session is over: {error}", exception=error)

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        return kind(exception)

    async def _say(self, message: Mapping[str, Any]) -> None:
        if self._over or self._socket is None:
            return
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send(json.dumps(message))
        except ConnectionClosed:
            return  # the receiving end says so
        except TimeoutError as error:
            await self._fail(error)

    def unbilled_s(self) -> float:
        """Seconds of the conversation since this was asked last."""
        if not self._told_at:
            return 0.0
        now = asyncio.get_running_loop().time()
        used_s, self._told_at = now - self._told_at, now
        return used_s

    async def _close(self) -> None:
        self._over = True
        self._stop_timer()
        talk, self._talk = self._talk, None
        if self._socket is not None:
            await self._socket.close()
        if talk is not None:
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)

    async def cleanup(self) -> None:
        await self._close()
        await super().cleanup()  # type: ignore[no-untyped-call]

    # --- what we say ---------------------------------------------------------------------------

    async def process_audio_frame(self, frame: InputAudioRawFrame, _: FrameDirection) -> None:
        """Caller audio, int16 at 8 kHz."""
        audio = base64.b64encode(g711.encode(frame.audio)).decode()
        await self._say({"user_audio_chunk": audio})

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            self._talk = asyncio.create_task(self._converse(), name="elevenlabs agent")
        elif isinstance(frame, CancelFrame | EndFrame):
            await self._close()
            await self.push_frame(frame, direction)
        elif isinstance(frame, TellFrame):
            await self._tell(frame)
        else:
            await self.push_frame(frame, direction)

    async def _tell(self, frame: TellFrame) -> None:
        """What was said without it as context; a turn that it did not hear as a message, which it
        answers."""
        for message in frame.messages:
            text, role = str(message.get("content") or ""), message.get("role")
            last = isinstance(frame, RespondFrame) and role == "user"
            if last and message is [m for m in frame.messages if m.get("role") == "user"][-1]:
                await self._say({"type": "user_message", "text": text})
            elif role != "system":
                who = "The caller said" if role == "user" else "The caller was told"
                await self._say({"type": "contextual_update", "text": f"{who}: {text}"})

    # --- what the vendor says ------------------------------------------------------------------

    async def _take(self, message: Mapping[str, Any]) -> None:
        kind = message.get("type")
        event = message.get(f"{kind}_event") or {}
        if kind == "conversation_initiation_metadata":
            await self._opened(event)
        elif kind == "ping":
            await self._say({"type": "pong", "event_id": event.get("event_id")})
        elif kind == "user_transcript":
            await self._heard(str(message["user_transcription_event"].get("user_transcript") or ""))
        elif kind == "agent_response":
            await self._text(str(event.get("agent_response") or ""))
        elif kind == "audio":
            await self._audio(event)
        elif kind == "interruption":
            await self._end()
        elif kind == "client_tool_call":
            await self._tool(message.get("client_tool_call") or {})

    async def _opened(self, event: Mapping[str, Any]) -> None:
        formats = {event.get("agent_output_audio_format"), event.get("user_input_audio_format")}
        if formats != {FORMAT}:
            raise VendorError(
                f"agent {self._address.agent} speaks {sorted(map(str, formats))}; set its input "
                "and output to mu-law 8000 Hz in its console",
                ErrorCategory.INVALID_REQUEST,
            )
        await self.push_frame(SessionOpenFrame())

    async def _heard(self, text: str) -> None:
        if any(letter.isalnum() for letter in text):  # "..." is what it makes of silence
            await self._end()
            await self.push_frame(
                CallerTurnFrame(text.strip(), "", time_now_iso8601(), finalized=True)
            )

    async def _text(self, text: str) -> None:
        if self._answer is not None and self._answer.text:
            await self._end()
        answer = await self._begun()
        answer.text = text
        await self.push_frame(LLMTextFrame(text))

    async def _begun(self) -> Answer:
        if self._answer is None:
            self._answer = Answer()
            await self.push_frame(LLMFullResponseStartFrame())
        return self._answer

    async def _audio(self, event: Mapping[str, Any]) -> None:
        ulaw = base64.b64decode(event["audio_base_64"])
        answer = await self._begun()
        answer.add(len(ulaw) / g711.RATE_HZ, event.get("alignment") or {})
        await self.push_frame(TTSAudioRawFrame(g711.decode(ulaw), g711.RATE_HZ, 1))
        self._stop_timer()
        if answer.whole:
            await self._end()
            return
        self._quiet = asyncio.get_running_loop().call_later(QUIET_END_S, self._quiet_long)

    def _quiet_long(self) -> None:
        answer = self._answer
        if answer is not None:
            broken = answer.aligned and not answer.whole
            task = asyncio.create_task(self._stalled() if broken else self._end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _stalled(self) -> None:
        await self._fail(VendorError("an answer broke off", ErrorCategory.SERVER))

    async def _end(self) -> None:
        self._stop_timer()
        answer, self._answer = self._answer, None
        if answer is not None:
            await self.push_frame(UsedFrame(self.unbilled_s(), "s"))
            await self.push_frame(LLMFullResponseEndFrame())

    async def _tool(self, call: Mapping[str, Any]) -> None:
        name = str(call.get("tool_name"))
        known = name in TOOLS
        if known:
            await self.push_frame(ToolCalledFrame(name, call.get("parameters") or {}))
        await self._say(
            {
                "type": "client_tool_result",
                "tool_call_id": call.get("tool_call_id"),
                "result": "done" if known else f"there is no {name} on this line",
                "is_error": not known,
            }
        )

    def _stop_timer(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
