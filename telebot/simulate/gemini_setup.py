"""What a client of Gemini Live says, read as Gemini reads it: https://ai.google.dev/api/live."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from telebot.simulate.gemini_request import LIVE

KINDS = ("setup", "clientContent", "realtimeInput", "toolResponse")
INVALID = 1007
VOICES = (
    "Achernar", "Achird", "Algenib", "Algieba", "Alnilam", "Aoede", "Autonoe", "Callirrhoe",
    "Charon", "Despina", "Enceladus", "Erinome", "Fenrir", "Gacrux", "Iapetus", "Kore", "Laomedeia",
    "Leda", "Orus", "Puck", "Pulcherrima", "Rasalgethi", "Sadachbia", "Sadaltager", "Schedar",
    "Sulafat", "Umbriel", "Vindemiatrix", "Zephyr", "Zubenelgenubi",
)  # fmt: skip


class Closed(Exception):
    """The session ends with this close code and these words."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True, slots=True)
class Setup:
    """What a session was asked to be: whether the client tells when the caller speaks, whether
    either side's words are told, whether it can be resumed and from where."""

    manual: bool
    hears: bool
    transcribes: bool
    resumable: bool
    handle: str | None


def asked(data: Any) -> tuple[str, dict[str, Any]]:
    """The one kind of a message, and its content. Raises `Closed`."""
    try:
        message = json.loads(data)
    except (ValueError, TypeError):  # the latter where the client left
        raise Closed(INVALID, "Invalid JSON payload received.") from None
    if not isinstance(message, dict) or len(message) != 1:
        raise Closed(INVALID, "Request contains an invalid argument.")
    ((kind, content),) = _camel(message).items()
    if kind not in KINDS:
        raise Closed(INVALID, f'Invalid JSON payload received. Unknown name "{kind}"')
    if not isinstance(content, dict):
        raise Closed(INVALID, "Request contains an invalid argument.")
    return kind, content


def _camel(value: Any) -> Any:
    """Names in snake_case are taken too (https://protobuf.dev/programming-guides/json/), and
    Google's own SDK sends some."""
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        re.sub(r"_(\w)", lambda found: found[1].upper(), name): _camel(each)
        for name, each in value.items()
    }


def read_setup(data: Any, fixed: Mapping[str, Any] | None = None) -> Setup:
    """The first message; what a token has `fixed` stands, whatever it says. Raises `Closed`."""
    kind, setup = asked(data)
    if kind != "setup":
        raise Closed(INVALID, "setup must be the first message and only the first")
    setup = {**setup, **(fixed or {})}
    model = str(setup.get("model", ""))
    if model.removeprefix("models/") not in LIVE:
        raise Closed(
            1008,
            f"{model} is not found for API version v1beta, or is not supported for "
            "bidiGenerateContent.",
        )
    voice = _at(setup, "generationConfig", "speechConfig", "voiceConfig", "prebuiltVoiceConfig")
    name = voice.get("voiceName", VOICES[0])
    if name not in VOICES:
        raise Closed(INVALID, f"Requested voice api_name '{name}' is not available for {model}")
    detection = _at(setup, "realtimeInputConfig", "automaticActivityDetection")
    resumption = setup.get("sessionResumption")
    return Setup(
        manual=bool(detection.get("disabled")),
        hears="inputAudioTranscription" in setup,
        transcribes="outputAudioTranscription" in setup,
        resumable=resumption is not None,
        handle=(resumption or {}).get("handle"),
    )


def _at(message: Any, *path: str) -> dict[str, Any]:
    for name in path:
        message = (message or {}).get(name)
    return message or {}


def audio_of(blob: Any) -> tuple[bytes, int]:
    """int16 PCM and its rate. Raises `Closed`."""
    kind = str(_at({"blob": blob}, "blob").get("mimeType", ""))
    found = re.fullmatch(r"audio/pcm(?:;\s*rate=(\d{4,5}))?", kind)
    if not found:
        raise Closed(INVALID, f"Unsupported MIME type: {kind}")
    try:
        # either alphabet of base64 will do, as everywhere in JSON of protobuf
        data = str(blob.get("data", "")).translate(str.maketrans("-_", "+/"))
        return base64.b64decode(data, validate=True), int(found[1] or 16000)
    except (binascii.Error, ValueError):
        raise Closed(INVALID, "Invalid value at 'realtime_input.audio.data'") from None


def turns_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The conversation in a `clientContent`. Raises `Closed`."""
    said: list[dict[str, Any]] = []
    for turn in content.get("turns") or []:
        if not isinstance(turn, dict) or turn.get("role", "user") not in ("user", "model"):
            raise Closed(INVALID, "Please use a valid role: user, model.")
        role = "assistant" if turn.get("role") == "model" else "user"
        parts = turn.get("parts")
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise Closed(INVALID, "Request contains an invalid argument.")
        said += [{"role": role, "content": str(part.get("text", ""))} for part in parts]
    return said
