"""OpenAI's transcription sessions, and what the sessions that also talk hear.

The streaming models send the words while they are spoken and know no turn detection: an utterance
ends when the client commits it. The others write an utterance down when it is over, which the
client or the server's turn detection says. Audio that comes before the session is configured is
forgotten. https://developers.openai.com/api/docs/guides/realtime-transcription,
https://developers.openai.com/api/docs/guides/realtime-vad
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from telebot.simulate.faults import Point, Refused
from telebot.simulate.openai_socket import INVALID, Event, Session, Socket, merged, unknown
from telebot.simulate.speech import Hearing

FORMATS = {"audio/pcm": (24000, "linear16"), "audio/pcmu": (8000, "pcmu")}
PCM = {"type": "audio/pcm", "rate": 24000}
SERVER_VAD = {
    "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
    "idle_timeout_ms": None, "create_response": True, "interrupt_response": True,
}  # fmt: skip
TRANSCRIPTION = "conversation.item.input_audio_transcription"
SHORTEST_S = 0.1  # of a commit
INTERIM_S = 0.8  # of new speech between two looks at it
TOKENS_A_SECOND = 10
INPUT: Mapping[str, Any] = {
    "format": {"type": None, "rate": None},
    "noise_reduction": {"type": None, "strength": None},
    "transcription": dict.fromkeys(
        ("model", "language", "languages", "prompt", "delay", "keywords")
    ),
    "turn_detection": {**dict.fromkeys(SERVER_VAD), "eagerness": None},
}
Fault = tuple[str, str, str]  # code, message, parameter


class Hears(Session):
    """A session of type ``transcription``."""

    kind = "transcription"
    known: Mapping[str, Any] = {"type": None, "include": None, "audio": {"input": INPUT}}

    def __init__(self, socket: Socket) -> None:
        super().__init__(socket)
        self.configured = False
        self.session: dict[str, Any] = self.defaults()
        self.hearing = Hearing(24000)
        self.buffered_s = 0.0
        self.item: str | None = None  # of the utterance that is going on
        self.last_item: str | None = None
        self._speaking = False
        self._looked_s = 0.0
        self._sent = 0  # words of the utterance that were sent already
        self._ahead: list[Point] = []  # points of the utterance that are not reached yet
        self.handlers = {
            "session.update": self.update,
            "input_audio_buffer.append": self.append,
            "input_audio_buffer.commit": self.commit,
            "input_audio_buffer.clear": self.clear,
        }

    def defaults(self) -> dict[str, Any]:
        """The session before it is updated."""
        audio = {"format": PCM, "noise_reduction": None, "transcription": None}
        return {
            "object": "realtime.transcription_session",
            "type": "transcription",
            "id": self.socket.name("sess"),
            "expires_at": self.socket.expires_at,
            "include": None,
            "audio": {"input": {**audio, "turn_detection": dict(SERVER_VAD)}},
        }

    @property
    def input(self) -> dict[str, Any]:
        found: dict[str, Any] = self.session["audio"]["input"]
        return found

    @property
    def model(self) -> str:
        """Which writes down what is heard; "" is none."""
        return str((self.input.get("transcription") or {}).get("model") or "")

    @property
    def streams(self) -> bool:
        return self.model in self.socket.wire.live_models

    async def open(self) -> None:
        await self.socket.say("session.created", session=self.session)

    # --- configuration -------------------------------------------------------------------------

    async def update(self, event: Event) -> None:
        update = event.get("session")
        if fault := self.wrong(update):
            code, message, param = fault
            await self.socket.error(code, message, param)
            return
        assert isinstance(update, dict)
        self.configure(update)
        await self.socket.say("session.updated", session=self.session)

    def configure(self, update: Mapping[str, Any]) -> None:
        """Be what an update, or the secret that opened the session, says."""
        self.session = merged(self.session, update)
        if self.streams:
            self.input["turn_detection"] = None
        rate_hz, encoding = FORMATS[self.input["format"]["type"]]
        if not self.configured or (rate_hz != self.hearing.rate_hz):
            self.hearing, self.buffered_s = Hearing(rate_hz, encoding), 0.0
        self.configured = True

    def wrong(self, update: Any) -> Fault | None:
        """What is not right about an update."""
        if not isinstance(update, dict):
            return "missing_required_parameter", "There is no session.", "session"
        if update.get("type") != self.kind:
            return "invalid_value", f"This session is of type '{self.kind}'.", "session.type"
        if param := unknown(update, self.known):
            return "unknown_parameter", f"There is no parameter '{param}'.", param
        heard = (update.get("audio") or {}).get("input") or {}
        return _wrong_format(heard) or self._wrong_transcription(heard)

    def _wrong_transcription(self, heard: Mapping[str, Any]) -> Fault | None:
        path = "session.audio.input.transcription"
        wire, asked = self.socket.wire, heard.get("transcription") or {}
        model = asked.get("model", self.model or None)
        if model is not None and model not in (*wire.live_models, *wire.file_models):
            return "invalid_value", f"No transcription model {model!r}.", f"{path}.model"
        if not re.fullmatch(r"[a-z]{2,3}", str(asked.get("language") or "en")):
            return "invalid_language_format", "No ISO-639-1 language.", f"{path}.language"
        if model == "gpt-realtime-whisper" and asked.get("prompt"):
            return "invalid_value", "This model takes no prompt.", f"{path}.prompt"
        if model in wire.live_models and heard.get("turn_detection"):
            param = "session.audio.input.turn_detection"
            return "invalid_value", "This model has no turn detection.", param
        return None

    # --- audio ---------------------------------------------------------------------------------

    async def append(self, event: Event) -> None:
        try:
            audio = base64.b64decode(event.get("audio") or "", validate=True)
        except (binascii.Error, TypeError, ValueError):
            audio = b""
        if not audio:
            await self.socket.error("invalid_value", "'audio' is no base64 of audio.", "audio")
            return
        if not self.configured and self.kind == "transcription":
            return
        before_s = self.hearing.audio_s
        ended = self.hearing.feed(audio)
        self.buffered_s += self.hearing.audio_s - before_s
        if self.hearing.heard_speech:
            await self._speech_goes_on()
        if ended and self.input.get("turn_detection"):
            await self._speech_ends()

    async def _speech_goes_on(self) -> None:
        if not self._speaking:
            self._speaking, self._ahead = True, ["first", "middle"]
            self._looked_s = self.hearing.audio_s
            self.item = self.socket.name("item")
            if self.input.get("turn_detection"):
                start_ms = max(0, round(self.hearing.audio_s * 1000) - 300)
                await self.socket.say(
                    "input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id=self.item
                )
                await self.interrupted()
        if self.streams and self.hearing.audio_s - self._looked_s >= INTERIM_S:
            self._looked_s = self.hearing.audio_s
            await self._interim()

    async def _interim(self) -> None:
        """The words that are sure by now: all but the last."""
        await self._reach_next()
        text = await self.socket.wire.sim.speech.hear(self.hearing.pcm16, self.hearing.rate_hz)
        await self._delta(text.split()[:-1])

    async def _delta(self, words: list[str]) -> None:
        for word in words[self._sent :]:
            space = " " if self._sent else ""
            self._sent += 1
            await self.socket.say(
                f"{TRANSCRIPTION}.delta", item_id=self.item, content_index=0, delta=f"{space}{word}"
            )

    async def _reach_next(self) -> None:
        if self._ahead:
            await self.socket.exchange.reach(self._ahead.pop(0))

    async def interrupted(self) -> None:
        """The caller speaks while the model does."""

    async def _speech_ends(self) -> None:
        end_ms = round(self.hearing.audio_s * 1000)
        await self.socket.say(
            "input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=self.item
        )
        await self.utterance()

    async def clear(self, _: Event) -> None:
        self._forget()
        await self.socket.say("input_audio_buffer.cleared")

    def _forget(self) -> bytes:
        pcm16 = self.hearing.take()
        self.buffered_s, self._speaking, self._sent, self.item = 0.0, False, 0, None
        return pcm16

    async def commit(self, _: Event) -> None:
        if self.buffered_s < SHORTEST_S:
            why = f"The buffer holds {self.buffered_s * 1000:.0f}ms of audio; 100ms are needed."
            await self.socket.error("input_audio_buffer_commit_empty", why)
            return
        await self.utterance()

    async def utterance(self) -> None:
        """The buffer becomes an item of the conversation, and is written down."""
        item = self.item or self.socket.name("item")
        if not self._speaking:
            self._ahead = ["first", "middle"]
        previous, self.last_item, self.item = self.last_item, item, item
        await self.socket.say(
            "input_audio_buffer.committed", previous_item_id=previous, item_id=item
        )
        part = {"type": "input_audio", "transcript": None}
        whole = {"id": item, "object": "realtime.item", "type": "message", "status": "completed"}
        message = {**whole, "role": "user", "content": [part]}
        for kind in ("added", "done"):
            await self.socket.say(
                f"conversation.item.{kind}", previous_item_id=previous, item=message
            )
        seconds, heard, sent = self.buffered_s, self.hearing.heard_speech, self._sent
        pcm16 = self._forget()
        self.item, self._sent = item, sent
        text = await self._written(item, pcm16, seconds) if heard or self.model else ""
        self.item, self._sent = None, 0
        await self.answer(item, text)

    async def _written(self, item: str, pcm16: bytes, seconds: float) -> str:
        """The text of an utterance, sent where the session asks for it."""
        try:
            while self._ahead:
                await self._reach_next()
            text = await self.socket.wire.sim.speech.hear(pcm16, self.hearing.rate_hz)
            if self.model and self.model != "whisper-1":
                await self._delta(text.split())
            await self.socket.exchange.reach("end")
        except Refused as fault:
            if fault.status == 401 or self.kind != "transcription":
                raise
            await self._failed(item, fault.status)
            return ""
        if self.model:
            await self.socket.say(
                f"{TRANSCRIPTION}.completed",
                item_id=item,
                content_index=0,
                transcript=text,
                usage=self._usage(text, seconds),
            )
        return text

    async def _failed(self, item: str, status: int) -> None:
        """An error of its own kind, so that the client can find the item."""
        words = {429: "429 Too Many Requests", 500: "500 Internal Server Error"}[status]
        message = f"Input transcription failed for item '{item}'. {words}"
        kind = "server_error" if status != 401 else INVALID
        error = {"type": kind, "code": None, "message": message, "param": None}
        await self.socket.say(f"{TRANSCRIPTION}.failed", item_id=item, content_index=0, error=error)

    def _usage(self, text: str, seconds: float) -> dict[str, Any]:
        if self.streams or self.model.startswith("whisper"):
            return {"type": "duration", "seconds": round(seconds, 2)}
        sent, said = round(seconds * TOKENS_A_SECOND), len(text.split()) + 1
        details = {"audio_tokens": sent, "text_tokens": 0}
        tokens = {"input_tokens": sent, "output_tokens": said, "total_tokens": sent + said}
        return {"type": "tokens", **tokens, "input_token_details": details}

    async def answer(self, item: str, text: str) -> None:
        """What a session that talks says to an utterance."""


def _wrong_format(heard: Mapping[str, Any]) -> Fault | None:
    kind = (heard.get("format") or PCM).get("type")
    if kind not in FORMATS:
        return "invalid_value", f"No format {kind!r}.", "session.audio.input.format.type"
    if kind == "audio/pcm" and (heard.get("format") or PCM).get("rate", 24000) != 24000:
        return "invalid_value", "PCM comes at 24000 Hz.", "session.audio.input.format.rate"
    return None
