"""The services of a server that speaks OpenAI's wire more or less as OpenAI does."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from typing import Any

from pipecat.utils.errors import ErrorCategory

from telebot.providers.openai_errors import VendorError
from telebot.providers.openai_llm import SharedOpenAILLMService
from telebot.providers.openai_tts import SharedOpenAITTSService

HEAD = 12  # RIFF, size, WAVE
HEAD_LONGEST = 4096  # of a WAV file before its samples
COMPRESSED = ("mpeg", "mp3", "ogg", "opus", "aac", "flac", "webm")


class CompatibleLLMService(SharedOpenAILLMService):
    """Instructions go as `system`: models' own templates know no `developer`."""

    supports_developer_role = False


class CompatibleTTSService(SharedOpenAITTSService):
    """Plays raw PCM at the rate it was built with, and WAV, which some servers send whatever they
    are asked for, at the file's own."""

    async def audio(self, answer: Any) -> AsyncIterator[tuple[bytes, int]]:
        content = str(answer.headers.get("content-type", "")).lower()
        if any(kind in content for kind in COMPRESSED):
            raise VendorError(f"{content} was sent instead of PCM", ErrorCategory.INVALID_REQUEST)
        rate_hz, rest, begun = self.sample_rate, b"", False
        async for piece, _ in super().audio(answer):
            rest += piece
            if not begun:
                found = wav_start(rest)
                if found is None:
                    continue
                begun, (offset, file_hz) = True, found
                rate_hz, rest = file_hz or rate_hz, rest[offset:]
            if whole := rest[: len(rest) & ~1]:
                yield whole, rate_hz
            rest = rest[len(whole) :]


def wav_start(data: bytes) -> tuple[int, int] | None:
    """Where the samples of a WAV file begin, and their rate in Hz; (0, 0) where `data` is no WAV
    file; None where more of it must come. Raises VendorError where they are not int16 mono."""
    if len(data) < HEAD:
        return None if b"RIFF".startswith(data[:4]) else (0, 0)
    if data[:4] != b"RIFF" or data[8:HEAD] != b"WAVE":
        return 0, 0
    at, rate_hz = HEAD, 0
    while len(data) >= at + 8:
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if name == b"data":
            return at + 8, rate_hz
        if name == b"fmt " and len(data) >= at + 24:
            _, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", data, at + 8)
            if (channels, bits) != (1, 16):
                raise VendorError("its WAV is not 16-bit mono", ErrorCategory.INVALID_REQUEST)
        at += 8 + size + (size & 1)
    if at > HEAD_LONGEST:
        raise VendorError("its WAV has no samples", ErrorCategory.INVALID_REQUEST)
    return None
