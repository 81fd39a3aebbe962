"""An agent of ElevenLabs for clients that are no telephone: the PCM that its console has set, both
ways, and the vendor's own turns.

The vendor's agent has its own prompt and greets first; what it is told here goes as context, which
every agent takes. It says no word when somebody begins to speak: an `interruption`, or the words
themselves, tell it; nor when an answer is over (`elevenlabs_agents.Answer`). Of an interrupted
answer, audio up to the event that it names is dropped, as the vendor's own package does
(elevenlabs 2.x, `conversational_ai/conversation.py`).
https://elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket,
https://elevenlabs.io/docs/agents-platform/customization/events/client-events.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from pipecat.utils.errors import ErrorCategory

from telebot.audio import g711
from telebot.audio.fullband import Rate
from telebot.providers import vendor
from telebot.providers.direct import (
    CallerStarts,
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
from telebot.providers.elevenlabs_agents import (
    KEYS,
    WHO,
    Address,
    Answer,
    kind,
    overrides_of,
)
from telebot.providers.resources import Resources
from telebot.providers.vendor_error import VendorError

RATE_HZ = 16_000  # what a console sets, before it has told
RATES_HZ = (8000, 16_000, 22_050, 24_000, 44_100, 48_000)
FORMATS = {f"pcm_{rate}": rate for rate in RATES_HZ} | {"ulaw_8000": 8000}
ULAW = "ulaw_8000"
GREETS_S = 1.0  # an agent that has a first message
FIRST_S = 5.0  # from an answer's text to its sound
TAIL_S = 0.2  # silence may come behind the last word
QUIET_END_S = 0.7  # without audio an answer is over: it comes faster than it is played


def build(options: Mapping[str, Any], resources: Resources) -> ElevenLabsDirect:
    """The same options as `realtime: elevenlabs`. Raises ProviderConfigError."""
    vendor.check_known("key", options, KEYS, WHO)
    return ElevenLabsDirect(Address(options, resources), overrides_of(options))


class ElevenLabsDirect:
    """A `DirectSession`. `rate_hz` is the vendor's once it is open."""

    def __init__(self, address: Address, overrides: Mapping[str, Any]) -> None:
        self.rate_hz = RATE_HZ
        self._address = address
        self._overrides = overrides
        self._socket = DirectSocket(WHO, kind)
        self._output = self._input = f"pcm_{RATE_HZ}"
        self._to_input = Rate(RATE_HZ, RATE_HZ)
        self._answer: Answer | None = None
        self._dropped = False  # what is being answered is not wanted
        self._interrupted = -1  # audio up to this event is not either
        self._spoken_over = False  # the client has begun to speak, and was told so
        self._told_at = 0.0  # until when the time was billed

    async def open(self, manner: Manner, history: Sequence[Mapping[str, Any]]) -> None:
        """Connected, and what there is to know told. Raises `VendorError`, ProviderError."""
        address = await self._address.signed()
        await self._socket.open(address, compression=None)
        begin: dict[str, Any] = {"type": "conversation_initiation_client_data"}
        overrides = dict(self._overrides)
        if manner.voice:
            overrides["tts"] = {**overrides.get("tts", {}), "voice_id": manner.voice}
        if overrides:
            begin["conversation_config_override"] = overrides
        await self._socket.send(begin)
        await self._until_open()
        self._told_at = asyncio.get_running_loop().time()
        if told := prompt(manner):
            await self._socket.send({"type": "contextual_update", "text": told})
        for message in history:
            who = "The user said" if message.get("role") == "user" else "You said"
            said = f"{who}: {message.get('content') or ''}"
            await self._socket.send({"type": "contextual_update", "text": said})
        if history:
            await self._not_greeted()

    async def hear(self, pcm16: bytes) -> None:
        audio = self._to_input.feed(pcm16)
        if self._input == ULAW:
            audio = g711.encode(audio)
        if audio:
            await self._socket.send({"user_audio_chunk": base64.b64encode(audio).decode()})

    async def say(self, text: str) -> None:
        self._dropped = self._answer is not None  # the rest of what is being said
        await self._socket.send({"type": "user_message", "text": text})

    def cut(self, heard_s: float) -> None:
        """The vendor goes on with an answer that it was not asked to stop by speech: what comes of
        it is not handed on."""
        self._dropped = self._answer is not None

    async def tell_cut(self) -> None:
        """It has no word for it."""

    async def change(self, manner: Manner) -> None:
        told = f"From now on: {prompt(manner)}"
        await self._socket.send({"type": "contextual_update", "text": told})

    async def events(self) -> AsyncIterator[DirectEvent]:
        """Raises `VendorError` when the session is over."""
        while True:
            message = await self._socket.message(self._patience())
            if message is None:
                for event in self._quiet():
                    yield event
                continue
            if message.get("type") == "ping":
                await self._pong(message)
            elif message.get("type") == "client_tool_call":
                await self._no_tool(message.get("client_tool_call"))
            for event in self._socket.understood(self._read, message):
                yield event

    async def close(self) -> None:
        await self._socket.close()

    # --- the wire ------------------------------------------------------------------------------

    async def _not_greeted(self) -> None:
        """Who has talked for a while is not greeted: an agent's first message is let go by. Where
        none comes in time, it has none."""
        ends_at = asyncio.get_running_loop().time() + GREETS_S
        while (left_s := ends_at - asyncio.get_running_loop().time()) > 0:
            message = await self._socket.message(left_s)
            if message is None:
                break
            if message.get("type") == "ping":
                await self._pong(message)
            self._dropped = True
            self._socket.understood(self._read, message)
            if self._answer is not None:
                return
        self._dropped = False

    async def _pong(self, message: Mapping[str, Any]) -> None:
        pinged = message.get("ping_event")
        name = pinged.get("event_id") if isinstance(pinged, Mapping) else None
        await self._socket.send({"type": "pong", "event_id": name})

    def _patience(self) -> float | None:
        """How long nothing may come."""
        if self._answer is None:
            return None
        if self._answer.whole:
            return TAIL_S
        return QUIET_END_S if self._answer.said_s else FIRST_S

    async def _until_open(self) -> None:
        while True:
            message = await self._socket.answer()
            if message.get("type") == "conversation_initiation_metadata":
                told = message.get("conversation_initiation_metadata_event")
                self._formats(told if isinstance(told, Mapping) else {})
                return

    def _formats(self, told: Mapping[str, Any]) -> None:
        names = [told.get(f"{name}_audio_format") for name in ("agent_output", "user_input")]
        if not all(isinstance(name, str) and name in FORMATS for name in names):
            raise VendorError(
                f"agent {self._address.agent} speaks {names}; set its input and output to PCM in "
                "its console",
                ErrorCategory.INVALID_REQUEST,
            )
        self._output, self._input = str(names[0]), str(names[1])
        self.rate_hz = FORMATS[self._output]
        self._to_input = Rate(self.rate_hz, FORMATS[self._input])

    async def _no_tool(self, call: object) -> None:
        """Tools are the client's own business, and it has no words for them here."""
        named = call if isinstance(call, Mapping) else {}
        await self._socket.send({
            "type": "client_tool_result",
            "tool_call_id": named.get("tool_call_id"),
            "result": f"there is no {named.get('tool_name')} here",
            "is_error": True,
        })  # fmt: skip

    # --- what the vendor says ------------------------------------------------------------------

    def _read(self, message: Mapping[str, Any]) -> list[DirectEvent]:
        match str(message.get("type")):
            case "user_transcript":
                told = message["user_transcription_event"]
                return self._heard(str(told.get("user_transcript") or ""))
            case "agent_response":
                return self._text(str(message["agent_response_event"]["agent_response"]))
            case "audio":
                return self._audio(message["audio_event"])
            case "interruption":
                return self._interruption(message["interruption_event"])
            case "ping":
                return self._billed()
            case _:
                return []

    def _interruption(self, event: Mapping[str, Any]) -> list[DirectEvent]:
        self._interrupted = max(self._interrupted, int(event.get("event_id") or 0))
        self._answer, self._dropped, self._spoken_over = None, False, True
        return [CallerStarts()]

    def _heard(self, text: str) -> list[DirectEvent]:
        if not any(letter.isalnum() for letter in text):
            return []  # "..." is what it makes of silence
        # an answer may be whole and still be played
        events: list[DirectEvent] = [] if self._spoken_over else [CallerStarts()]
        self._answer, self._dropped, self._spoken_over = None, False, False
        return [*events, CallerText(text.strip(), final=True)]

    def _text(self, text: str) -> list[DirectEvent]:
        """The whole text of an answer; it may come before the first of its audio or after."""
        events: list[DirectEvent] = []
        if self._answer is not None and self._answer.text:
            events += self._ends()
        events += self._begins()
        answer = self._answer
        if answer is None:
            return events
        answer.text = text.strip()
        return events if self._dropped else [*events, ReplyText(text)]

    def _begins(self) -> list[DirectEvent]:
        if self._answer is not None:
            return []
        self._answer = Answer()
        return [] if self._dropped else [ReplyStarts()]

    def _audio(self, event: Mapping[str, Any]) -> list[DirectEvent]:
        audio = base64.b64decode(event["audio_base_64"])
        if int(event.get("event_id") or 0) <= self._interrupted or not audio:
            return []
        pcm16 = g711.decode(audio) if self._output == ULAW else audio[: len(audio) & ~1]
        events = self._begins()
        answer = self._answer
        if answer is None:
            return events
        answer.add(len(pcm16) / 2 / self.rate_hz, event.get("alignment") or {})
        if not self._dropped:
            events.append(ReplyAudio(pcm16))
        return events

    def _quiet(self) -> list[DirectEvent]:
        """Nothing more came of an answer."""
        answer = self._answer
        if answer is None:
            return []
        broken = (answer.aligned and not answer.whole) or (answer.text and not answer.said_s)
        if broken and not self._dropped:
            raise VendorError("an answer broke off", ErrorCategory.SERVER)
        return self._ends()

    def _ends(self) -> list[DirectEvent]:
        dropped, self._dropped, self._answer = self._dropped, False, None
        self._spoken_over = False
        return self._billed() if dropped else [*self._billed(), ReplyEnds()]

    def _billed(self) -> list[DirectEvent]:
        """The conversation's time since the last of these: all of it is billed."""
        now = asyncio.get_running_loop().time()
        used_s, self._told_at = now - self._told_at, now
        return [Used(used_s, "s")] if used_s > 0 else []
