"""Gemini Live for clients that are no telephone: 24 kHz PCM in and out, the vendor's own turns.

The vendor says no word when somebody begins or ends to speak: the words themselves, and
`interrupted` where an answer was spoken over, tell it. It cannot be told how much of an answer was
heard, nor be configured again in mid-session: a change is said to it as a turn.
https://ai.google.dev/gemini-api/docs/live-guide, https://ai.google.dev/api/live.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from google.genai import Client, types

from telebot.providers import gemini, vendor
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
from telebot.providers.direct_socket import session_lost
from telebot.providers.gemini_live import FAILURES, category
from telebot.providers.gemini_realtime import usage
from telebot.providers.resources import Resources

RATE_HZ = 24_000


def build(options: Mapping[str, Any], resources: Resources) -> GeminiDirect:
    """The same options as `realtime: gemini`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.KEYS, "gemini")
    model = str(vendor.chosen(options, "model", gemini.LIVE_MODEL))
    voice = str(options.get("voice") or gemini.LIVE_VOICE)
    return GeminiDirect(gemini.client(options, resources), model, voice)


class GeminiDirect:
    """A `DirectSession`."""

    rate_hz = RATE_HZ

    def __init__(self, client: Client, model: str, voice: str) -> None:
        self._client = client
        self._model = model
        self._voice = voice
        self._stack = AsyncExitStack()
        self._session: Any = None
        self._words = ""  # of the client's turn
        self._replying = False

    async def open(self, manner: Manner, history: Sequence[Mapping[str, Any]]) -> None:
        """Connected and configured. Raises `VendorError`."""
        voice = types.PrebuiltVoiceConfig(voice_name=manner.voice or self._voice)
        config = types.LiveConnectConfig(
            response_modalities=[types.Modality.AUDIO],
            system_instruction=prompt(manner) or None,
            speech_config=types.SpeechConfig(
                voice_config=types.VoiceConfig(prebuilt_voice_config=voice)
            ),
            input_audio_transcription=types.AudioTranscriptionConfig(),
            output_audio_transcription=types.AudioTranscriptionConfig(),
        )
        try:
            connecting = self._client.aio.live.connect(model=self._model, config=config)
            self._session = await self._stack.enter_async_context(connecting)
        except FAILURES as error:
            raise session_lost(error, category) from error
        if history:
            await self._tell(history)

    async def hear(self, pcm16: bytes) -> None:
        blob = types.Blob(data=pcm16, mime_type=f"audio/pcm;rate={RATE_HZ}")
        await self._sent(self._session.send_realtime_input(audio=blob))

    async def say(self, text: str) -> None:
        await self._sent(self._session.send_realtime_input(text=text))

    def cut(self, heard_s: float) -> None:
        """An answer that was spoken over has ended already, and what still comes of one that was
        cut off otherwise belongs to no turn (`direct_turns.py`)."""

    async def tell_cut(self) -> None:
        """There is no word for it."""

    async def change(self, manner: Manner) -> None:
        await self._tell([{"role": "user", "content": f"From now on: {prompt(manner)}"}])

    async def events(self) -> AsyncIterator[DirectEvent]:
        """Raises `VendorError` when the session is over."""
        while True:
            try:
                async for message in self._session.receive():
                    for event in self._read(message):
                        yield event
            except FAILURES as error:
                raise session_lost(error, category) from error

    async def close(self) -> None:
        with suppress(*FAILURES):
            await self._stack.aclose()

    async def _tell(self, messages: Sequence[Mapping[str, Any]]) -> None:
        turns = [
            types.Content(
                role="model" if message.get("role") == "assistant" else "user",
                parts=[types.Part(text=str(message.get("content") or ""))],
            )
            for message in messages
        ]
        await self._sent(self._session.send_client_content(turns=turns, turn_complete=False))

    async def _sent(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except FAILURES as error:
            raise session_lost(error, category) from error

    def _read(self, message: types.LiveServerMessage) -> list[DirectEvent]:
        events: list[DirectEvent] = []
        if message.usage_metadata is not None:
            used = usage(message.usage_metadata)
            events += [Used(quantity, unit) for quantity, unit in used if quantity]
        content = message.server_content
        if content is None:
            return events
        if content.interrupted:
            self._replying = False
            events.append(CallerStarts())
        heard = content.input_transcription
        if heard is not None and heard.text:
            if not self._words and not self._replying:
                events.append(CallerStarts())  # an answer may be whole and still be played
            self._words += heard.text
            events.append(CallerText(self._words.strip(), final=False))
        events += self._said(content)
        if content.turn_complete:
            if self._replying and self._words.strip():  # they came behind the answer's beginning
                events.append(CallerText(self._words.strip(), final=True))
                self._words = ""
            if self._replying:
                events.append(ReplyEnds())
            self._replying = False
        return events

    def _said(self, content: types.LiveServerContent) -> list[DirectEvent]:
        parts = (content.model_turn.parts or []) if content.model_turn is not None else []
        audio = [part.inline_data.data for part in parts if part.inline_data is not None]
        text = "" if content.output_transcription is None else content.output_transcription.text
        events: list[DirectEvent] = []
        if (audio or text) and not self._replying:
            self._replying = True
            words, self._words = self._words.strip(), ""
            if words:
                events.append(CallerText(words, final=True))
            events.append(ReplyStarts())
        events += [ReplyAudio(each) for each in audio if each]
        return [*events, ReplyText(text)] if text else events
