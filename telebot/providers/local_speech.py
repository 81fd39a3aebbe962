"""The models of speech without an account, loaded once for the process and closed by its owner.

`app.py` opens it and hands it to whatever builds services (`registry.py`), to the HTTP interface
and to the phone of our own. Imports no Pipecat.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from telebot.audio import g711
from telebot.providers.recogniser import SpeechToText
from telebot.providers.scripted_audio import recorded
from telebot.providers.synthesiser import TextToSpeech


class LocalSpeech:
    """`stt` and `tts` for everyone, and `scripted`: the 20 ms pieces that agent `bench` says.

    Before `load` nothing is recognised or spoken.
    """

    def __init__(self, stt: SpeechToText | None = None, tts: TextToSpeech | None = None) -> None:
        self.stt = stt or SpeechToText()
        self.tts = tts or TextToSpeech()
        self.scripted = recorded()

    async def load(self) -> None:
        """Load both models off the event loop, side by side, and warm them up."""
        await asyncio.gather(asyncio.to_thread(self.stt.load), asyncio.to_thread(self.tts.load))

    async def spoken(self, text: str) -> bytes:
        """`text` as a telephone hears it: 8 kHz mu-law. Raises as `TextToSpeech.stream`."""
        clips = [clip.pcm16 async for clip in self.tts.stream(text)]
        return g711.encode(b"".join(clips))

    def close(self) -> None:
        """Join the models' threads; jobs that wait are dropped. Blocks for one inference."""
        self.stt.close()
        self.tts.close()

    async def __aenter__(self) -> Self:
        await self.load()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)
