"""Soniox's recogniser on Pipecat's service, with what a phone call needs changed.

Wire: https://soniox.com/docs/api-reference/stt/websocket-api; errors come as one message and an
orderly close (https://soniox.com/docs/api-reference/errors). Mended here of Pipecat 1.14: at an
error it pushes half an utterance as a final transcript, it swallows errors without `tokens` and
messages that are no JSON, and it takes the close that follows an error for a second one.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipecat.frames.frames import Frame, VADUserStartedSpeakingFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.soniox.stt import SonioxSTTService
from pipecat.transcriptions.language import Language

from telebot.providers.socket_ears import SocketEars
from telebot.providers.vendor_error import VendorError

URL = "wss://stt-rt.soniox.com"
MULAW = "mulaw"
MARKS = ("<fin>", "<end>")  # all before it is final: asked for, or an endpoint the vendor found


class SonioxEars(SocketEars, SonioxSTTService):
    """One transcript for all final tokens up to a mark. `url` is the address without paths."""

    finalize = '{"type": "finalize"}'

    def __init__(self, *, url: str = URL, audio_format: str = MULAW, **kwargs: Any) -> None:
        super().__init__(
            url=f"{url.rstrip('/')}/transcribe-websocket", audio_format=audio_format, **kwargs
        )
        self._mulaw = audio_format == MULAW
        self._tokens: list[dict[str, Any]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, VADUserStartedSpeakingFrame):
            await self._user_turn_started()  # type: ignore[no-untyped-call]
        await super().process_frame(frame, direction)

    async def _ask(self) -> None:
        if self._vad_force_turn_endpoint:
            await super()._ask()

    async def _connect(self) -> None:
        self._tokens.clear()
        await super()._connect()

    async def _take(self, message: dict[str, Any]) -> None:
        if message.get("error_code") or message.get("error_message"):
            code = message.get("error_code")
            said = f"{message.get('error_type') or code}: {message.get('error_message')}"
            raise VendorError.of_status(said, code)
        guessed: list[dict[str, Any]] = []
        tokens = message.get("tokens") or []
        if any(token["text"] not in MARKS for token in tokens):
            await self._user_turn_started()  # type: ignore[no-untyped-call]
        for token in tokens:
            if token["text"] in MARKS:
                await self._confirm()
            elif token["is_final"]:
                self._tokens.append(token)
            else:
                guessed.append(token)
        so_far = [*self._tokens, *guessed]
        await self._hearing(_text(so_far), _language(so_far), so_far)

    async def _confirm(self) -> None:
        tokens, self._tokens = self._tokens, []
        await self._heard(_text(tokens), _language(tokens), tokens)
        await self._user_turn_stopped()  # type: ignore[no-untyped-call]


def _text(tokens: list[dict[str, Any]]) -> str:
    return "".join(str(token["text"]) for token in tokens)


def _language(tokens: list[dict[str, Any]]) -> Language | None:
    """The language most tokens are in, where the vendor was asked to tell."""
    named = Counter(str(token["language"]) for token in tokens if token.get("language"))
    try:
        return Language(named.most_common(1)[0][0]) if named else None
    except ValueError:
        return None
