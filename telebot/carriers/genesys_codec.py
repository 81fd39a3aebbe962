"""The wire of Genesys Cloud's Audio Connector: AudioHook's protocol, version 2, with a bot's voice.

https://developer.genesys.cloud/devapps/audiohook/ and `src/protocol/` of
https://github.com/GenesysCloudBlueprints/audioconnector-server-reference-implementation : numbered
JSON messages as text, mu-law in binary ones. Genesys plays what it gets and tells only when that
begins and ends; a ``barge_in`` has it dropped. It limits messages: about five binary ones a
second. The session ends by the client's ``close``, which ``disconnect`` asks for. Next:
`web/media_stream.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orjson import dumps, loads

from telebot.call.errors import BadWire
from telebot.call.events import Digit, Ignored, Media, MediaEvent, Notice, Reply, Started
from telebot.carriers.codec import PlainCodec, Stamps

VERSION = "2"
PIECE_MS = 200
FAREWELL_S = 3.0
MAX_AUDIO_BYTES = 64_000
MAX_ID_CHARS = 64
MOST_MESSAGES = 1 << 53
PROBE = "00000000-0000-0000-0000-000000000000"  # the conversation of a connection's try-out
UNSUPPORTED_DATA, POLICY_VIOLATION = 1003, 1008  # RFC 6455 section 7.4.1
NOTICES = frozenset(
    {"playback_started", "playback_completed", "paused", "resumed", "discarded", "error"}
)
DONE = frozenset({"bot_hangup", "silence", "max_duration", "budget", "drained", "transferred"})

_DIGITS = frozenset("0123456789*#ABCD")


class GenesysCodec(PlainCodec):
    """One session, `open_as` its id once it was taken. `outputs` are variables for the flow that
    goes on behind it."""

    binary = True
    close_ends = True
    echoes_marks = False
    piece_ms: int | None = PIECE_MS
    farewell_s: float = FAREWELL_S

    def __init__(self) -> None:
        self.outputs: dict[str, str] = {"action": "finished"}
        self.open_as = self._session_id = ""
        self._sent = self._heard = 0  # sequence numbers
        self._media: dict[str, Any] = {}
        self._channels = 1
        self._started = False
        self._stamps = Stamps()
        self._others: dict[str, Callable[[dict[str, Any]], MediaEvent]] = {
            "open": self._open,
            "close": lambda _: Reply(self._message("closed", {})),
            "ping": lambda _: Reply(self._message("pong", {})),
            "update": lambda _: Reply(self._message("updated", {})),
            "dtmf": self._digit,
        }

    def decode(self, message: bytes) -> MediaEvent:
        """One control message. Raises `BadWire` on an ``open`` that cannot be served: 1003 without
        mu-law, 1008 where the ids are missing."""
        try:
            tree: Any = loads(message)
        except ValueError:
            return Ignored("bad_json")
        if wrong := self._wrong(tree):
            return Ignored(wrong)
        self._heard = tree["seq"]
        kind = tree["type"]
        if kind in NOTICES:
            return Notice(kind)
        other = self._others.get(kind)
        return other(tree) if other else Ignored("unknown_type")

    def _wrong(self, tree: Any) -> str:
        """What is the matter with a message; '' where nothing is."""
        if not isinstance(tree, dict) or not isinstance(tree.get("type"), str):
            return "no_type"
        seq = tree.get("seq")
        if type(seq) is not int or not 0 <= seq < MOST_MESSAGES:
            return "bad_message"
        if not isinstance(tree.get("parameters"), dict):
            return "bad_message"
        if not self._session_id:
            return "" if tree["type"] == "open" else "before_start"
        return "" if tree.get("id") == self._session_id else "foreign_session"

    def decode_binary(self, message: bytes) -> MediaEvent:
        """Caller audio; of two channels the external one, which is the caller."""
        if not self._started:
            return Ignored("before_start")
        ulaw = message[:: self._channels]
        if not ulaw or len(message) > MAX_AUDIO_BYTES:
            return Ignored("bad_payload_size")
        return Media(ulaw, self._stamps.next(len(ulaw)))

    def _open(self, tree: dict[str, Any]) -> MediaEvent:
        if self._session_id:
            return Ignored("second_start")
        parameters, session_id = tree["parameters"], tree.get("id")
        conversation = parameters.get("conversationId")
        for name in (session_id, conversation):
            if not isinstance(name, str) or not 0 < len(name) <= MAX_ID_CHARS:
                raise BadWire("open without its ids", POLICY_VIOLATION)
        self._media = _phone_audio(parameters.get("media"))
        self._channels = len(self._media["channels"])
        self._session_id = str(session_id)
        if conversation == PROBE:
            return Reply(self._opened())
        self._started = True
        return Started(self._session_id, self._session_id, _told(parameters))

    def _digit(self, tree: dict[str, Any]) -> MediaEvent:
        digit = tree["parameters"].get("digit")
        key = digit.upper() if isinstance(digit, str) else ""
        return Digit(key) if key in _DIGITS and key else Ignored("bad_digit")

    def audio(self, ulaw: bytes) -> bytes:
        """Played behind what was sent before."""
        return ulaw

    def clear(self) -> bytes:
        """Has Genesys drop what it has not played."""
        return self._message("event", {"entities": [{"type": "barge_in", "data": {}}]})

    def accepted(self) -> Sequence[bytes]:
        """The session is open: audio may come."""
        self.open_as = self._session_id
        return (self._opened(),)

    def goodbye(self, reason: str) -> Sequence[bytes]:
        """Asks for the end; the flow in Genesys goes on."""
        if not self._session_id:
            return ()
        word = "unauthorized" if reason == "not_authentic" else "error"
        asked = {"reason": "completed" if reason in DONE else word, "info": reason}
        return (self._message("disconnect", {**asked, "outputVariables": self.outputs}),)

    def _opened(self) -> bytes:
        return self._message("opened", {"startPaused": False, "media": [self._media]})

    def _message(self, kind: str, parameters: Mapping[str, Any]) -> bytes:
        self._sent += 1
        return dumps(
            {
                "version": VERSION,
                "type": kind,
                "seq": self._sent,
                "clientseq": self._heard,
                "id": self._session_id,
                "parameters": parameters,
            }
        )


def _phone_audio(offered: Any) -> dict[str, Any]:
    """The caller's mu-law alone, else with the other side beside it. Raises `BadWire`."""
    for channels in (["external"], ["external", "internal"]):
        media = {"type": "audio", "format": "PCMU", "channels": channels, "rate": 8000}
        if isinstance(offered, list) and media in offered:
            return media
    raise BadWire("no mu-law of the caller is offered", UNSUPPORTED_DATA)


def _told(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Who calls whom, by which conversation, and which agent the flow asks for."""
    person, inputs = parameters.get("participant"), parameters.get("inputVariables")
    person = person if isinstance(person, dict) else {}
    inputs = inputs if isinstance(inputs, dict) else {}
    told = {
        "from": person.get("ani"),
        "to": person.get("dnis"),
        "agent": inputs.get("agent"),
        "conversation": parameters.get("conversationId"),
    }
    return {
        name: value.removeprefix("tel:").removeprefix("sip:")
        for name, value in told.items()
        if isinstance(value, str)
    }
