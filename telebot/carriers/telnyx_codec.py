"""Telnyx's media stream: Twilio's messages under other names, and none in ours to it.

https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming . Where the parameters
of TeXML's ``<Stream>`` stand in `start` the page does not show; we read `custom_parameters`. A call
that we dialled has its token in `client_state` (base64), which the page does show.
"""

from __future__ import annotations

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any

from orjson import dumps

from telebot.audio.g711 import BYTES_PER_MS, SILENCE
from telebot.call.events import Notice
from telebot.carriers.fields import texts
from telebot.carriers.media_streams import (
    MAX_PARAMETERS,
    JsonStreamCodec,
    is_phone_audio,
)

CALL_ID = re.compile(r"[A-Za-z0-9:_=-]{1,256}")  # v3:KBnLO0ZK3DhKM5s7bE9VluaSmKsOchKht_fUYvxcp8

FEWEST_BYTES = 20 * BYTES_PER_MS  # a message holds 20 ms to 30 s of audio


class TelnyxCodec(JsonStreamCodec):
    """Decodes and encodes one stream (a `MediaCodec`)."""

    stream_key = "stream_id"
    call_key = "call_control_id"
    parameters_key = "custom_parameters"
    format_key = "media_format"
    call_id_form = CALL_ID

    def __init__(self) -> None:
        super().__init__()
        self._others["error"] = lambda _: Notice("error")

    def _is_served(self, form: Any) -> bool:
        return any(is_phone_audio(form, name, "sample_rate") for name in ("PCMU", "audio/x-mulaw"))

    def _parameters(self, tree: dict[str, Any], start: dict[str, Any]) -> Mapping[str, str]:
        given = start.get("custom_parameters", start.get("customParameters"))
        parameters = texts(given, MAX_PARAMETERS)
        if "token" not in parameters and (token := _token(start.get("client_state"))):
            parameters["token"] = token
        return parameters

    def _open(self, stream_id: bytes) -> None:
        self._head = b'{"event":"media","media":{"payload":"'
        self._tail = b'"}}'
        self._clear = b'{"event":"clear"}'

    def audio(self, ulaw: bytes) -> bytes:
        """The message that plays `ulaw`, filled up with silence where it is too short for one."""
        return super().audio(ulaw.ljust(FEWEST_BYTES, SILENCE))

    def mark(self, name: str) -> bytes:
        """The message that is echoed once everything before it was played."""
        return dumps({"event": "mark", "mark": {"name": name}})


def _token(client_state: Any) -> str:
    if not isinstance(client_state, str):
        return ""
    try:
        return a2b_base64(client_state).decode("ascii")
    except (NotBase64, ValueError):
        return ""
