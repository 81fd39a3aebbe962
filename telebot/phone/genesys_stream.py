"""Genesys Cloud's side of an Audio Connector session: AudioHook's protocol, version 2.

https://developer.genesys.cloud/devapps/audiohook/ : numbered messages, audio only once the session
is open, about five binary messages a second (25 at once), and an end that only this side makes.
Dialled by `genesys_exchange.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import orjson

from telebot.audio.g711 import RATE_HZ
from telebot.phone.microphone import Microphone
from telebot.phone.stream import CarrierStream, Message

PCMU = {"type": "audio", "format": "PCMU", "rate": 8000}
OFFERED = [
    {**PCMU, "channels": channels}
    for channels in (["external", "internal"], ["external"], ["internal"])
]
CHUNK = 800  # bytes: 100 ms
MOST_AUDIO_BYTES = 64_000
A_SECOND, AT_ONCE = 5, 25  # binary messages
KINDS = frozenset({"opened", "closed", "pong", "updated", "event", "disconnect"})


class GenesysStream(CarrierStream):
    """One session. `outputs` are the variables that the flow gets."""

    def __init__(
        self,
        session_id: str,
        microphone: Microphone,
        *,
        phone_from: str,
        to: str,
        keep_audio: bool = True,
    ) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self.session_id = session_id
        self.outputs: dict[str, str] = {}
        self.reason = ""
        self._numbers = {"ani": f"tel:{phone_from}", "dnis": f"tel:{to}"}
        self._sent = self._heard = 0
        self._is_open = self._plays = False
        self._chunk = bytearray()
        self._allowed = float(AT_ONCE)
        self._counted_at = 0  # position

    def opening(self) -> Sequence[Message]:
        person = {"id": str(uuid4()), "aniName": "", **self._numbers}
        parameters = {
            "organizationId": str(uuid4()),
            "conversationId": str(uuid4()),
            "participant": person,
            "media": OFFERED,
            "language": "en-US",
            "inputVariables": {},
        }
        return [self._message("open", parameters)]

    def media(self, ulaw: bytes) -> Message:
        return ulaw

    def keys(self, digit: str) -> Sequence[Message]:
        return [self._message("dtmf", {"digit": digit})]

    def ending(self) -> Sequence[Message]:
        return [self._message("close", {"reason": "end"})]

    def advance(self, now_s: float) -> list[Message]:
        """Audio in chunks, once the session is open; and whether the bot is heard."""
        out: list[Message] = []
        for message in super().advance(now_s):
            if isinstance(message, str):
                out.append(message)
            elif self._is_open:
                self._chunk += message
        if len(self._chunk) >= CHUNK:
            out.append(bytes(self._chunk))
            self._chunk.clear()
        plays = self.playout.buffered > 0
        if plays != self._plays and not self.hung_up:
            self._plays = plays
            kind = "playback_started" if plays else "playback_completed"
            out.append(self._message(kind, {}))
        return out

    def obey(self, message: Message) -> Sequence[Message]:
        if isinstance(message, bytes):
            self._audio(message)
            return []
        try:
            tree = orjson.loads(message)
        except orjson.JSONDecodeError:
            tree = {}
        if not self._is_right(tree):
            return []
        self._heard = tree["seq"]
        return self._do(tree["type"], tree["parameters"])

    def _do(self, kind: str, parameters: dict[str, Any]) -> Sequence[Message]:
        match kind:
            case "opened" if any(parameters.get("media") == [one] for one in OFFERED):
                self._is_open = True
            case "event":
                return self._happened(parameters.get("entities", []))
            case "disconnect":
                self.outputs = dict(parameters.get("outputVariables", {}))
                self.reason = str(parameters.get("reason"))
                return [self._message("close", {"reason": "disconnect"})]
            case "closed":
                self.hung_up = True
            case "pong" | "updated":
                pass
            case _:
                self.fault(f"{kind} with {parameters}")
        return []

    def _happened(self, entities: list[dict[str, Any]]) -> Sequence[Message]:
        out: list[Message] = []
        for entity in entities:
            if entity.get("type") == "barge_in":
                out += self.clear()
            else:
                self.fault(f"an event {entity.get('type')!r}")
        return out

    def _is_right(self, tree: Any) -> bool:
        """Whether a message is one, the next, and of this session."""
        if not isinstance(tree, dict) or tree.get("type") not in KINDS:
            self.fault("no message of the protocol")
        elif (tree.get("version"), tree.get("id")) != ("2", self.session_id):
            self.fault("another version or session")
        elif tree.get("seq") != self._heard + 1 or not 0 < tree.get("clientseq", 0) <= self._sent:
            self.fault("a wrong sequence number")
        elif not isinstance(tree.get("parameters"), dict):
            self.fault("no parameters")
        else:
            return True
        return False

    def _audio(self, audio: bytes) -> None:
        passed = self.position - self._counted_at
        self._counted_at = self.position
        self._allowed = min(AT_ONCE, self._allowed + passed * A_SECOND / RATE_HZ) - 1
        if self._allowed < 0:
            self.fault("429: too many messages")
        if not self._is_open or len(audio) > MOST_AUDIO_BYTES:
            self.fault("audio before opened, or too much")
        else:
            self.play(audio)

    def _message(self, kind: str, parameters: Mapping[str, Any]) -> str:
        self._sent += 1
        return orjson.dumps(
            {
                "version": "2",
                "id": self.session_id,
                "type": kind,
                "seq": self._sent,
                "serverseq": self._heard,
                "position": f"PT{self.position / RATE_HZ:.3f}S",
                "parameters": parameters,
            }
        ).decode()
