"""Audio that a vendor streams in pieces of any size, as PCM that a frame can hold.

Used by the voices whose services are our own (`azure_tts.py`, `polly_tts.py`, `google_tts.py`);
their frames go on into Pipecat's pipeline, which knows int16 only.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from telebot.audio import g711


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
