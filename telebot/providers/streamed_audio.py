"""Audio that a vendor streams in pieces of any size, as PCM that a frame can hold.

Used by the voices whose services are our own (`azure_tts.py`, `polly_tts.py`, `google_tts.py`,
`piper.py`, `openai_compatible_services.py`); their frames go on into Pipecat's pipeline, which
knows int16 only.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from telebot.audio import g711, wav


async def pcm16(pieces: AsyncIterable[bytes], *, mulaw: bool) -> AsyncIterator[bytes]:
    """`pieces` as int16 mono in whole samples: of mu-law (one byte each), or of int16 that may be
    cut anywhere. Nothing is held back but half a sample; an odd last byte is dropped."""
    rest = b""
    async for piece in pieces:
        if mulaw:
            whole = g711.decode(piece)
        else:
            joined = rest + piece
            whole = joined[: len(joined) & ~1]
            rest = joined[len(whole) :]
        if whole:
            yield whole


async def unwrapped(
    pieces: AsyncIterable[bytes], *, raw_hz: int | None = None
) -> AsyncIterator[tuple[bytes, int]]:
    """`pieces` of a WAV file as whole int16 samples, with their rate in Hz; with `raw_hz` they may
    also be raw int16 at that rate. Raises `wav.NoWav`."""
    rest, rate_hz = b"", 0
    async for piece in pieces:
        rest += piece
        if not rate_hz and raw_hz is not None and not wav.begun(rest):
            rate_hz = raw_hz
        elif not rate_hz:
            found = wav.start(rest)
            if found is None:
                continue
            at, rate_hz = found
            rest = rest[at:]
        whole, rest = rest[: len(rest) & ~1], rest[len(rest) & ~1 :]
        if whole:
            yield whole, rate_hz
    if not rate_hz and raw_hz is None:
        raise wav.NoWav("no audio")
