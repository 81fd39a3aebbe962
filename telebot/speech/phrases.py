"""Phrases an agent says word for word every time: made once with its own voice, kept, ready to go.

Any Pipecat TTS service makes them, through a small pipeline of its own at start, for the telephone
and for a wide line at once. They are kept in a folder by voice and text, so that a paid voice is
asked once; servers may share it (`speech.phrases_folder`), and several write at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import structlog
from pipecat.frames.frames import (
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.services.tts_service import TTSService

from telebot.audio.line import TICKS_PER_S, ULAW, WIDE, Form
from telebot.audio.resample import ToForm, resample
from telebot.call.errors import ProviderError
from telebot.providers.frames import WordTimesFrame
from telebot.speech.pipeline import CallPipeline
from telebot.speech.script import Script
from telebot.speech.transport import PhoneOutput

MAKE_TIMEOUT_S = 20.0
MAX_AUDIO = 60 * TICKS_PER_S  # a phrase longer than a minute is not one
WIDE_TICK = WIDE.says.bytes_a_tick
FORMS = "mu-law, 24 kHz"  # in a file: a server that knows no wide lines must not read it
DAY_S = 86_400.0
FORGOTTEN_S = 90 * DAY_S  # what no server has asked for in that time is removed
log = structlog.get_logger()


@dataclass(slots=True)
class Phrase:
    """Something said word for word. `words` are (start s, end s, word) where they are timed. `wide`
    is the same for a wide line."""

    text: str
    ulaw: bytes
    words: list[tuple[float, float, str]] = field(default_factory=list)
    wide: bytes = field(default=b"", repr=False)

    def audio(self, form: Form) -> bytes:
        """As a line says it."""
        if form is ULAW:
            return self.ulaw
        if form is WIDE.says and self.wide:
            return self.wide
        return form.from_pcm(resample(ULAW.to_pcm(self.ulaw), ULAW.rate_hz, form.rate_hz))

    def place(self, script: Script, position: int) -> None:
        """Put the phrase into a reply's script, its audio beginning at `position`."""
        if self.words:
            script.place(position, self.words)
        else:
            script.add(position, self.text)


class _Collector:
    """Takes what a TTS service says of one phrase."""

    def __init__(self) -> None:
        self.ulaw, self.wide = bytearray(), bytearray()
        self.words: list[tuple[float, float, str]] = []
        self.done = asyncio.Event()

    def reply_started(self) -> None:
        self.ulaw.clear()
        self.wide.clear()
        self.words.clear()
        self.done.clear()

    def reply_words(self, frame: WordTimesFrame) -> None:
        at = len(self.ulaw) / TICKS_PER_S if frame.at_s is None else frame.at_s
        if frame.replaces:
            self.words = [word for word in self.words if word[0] < at]
        self.words += [(at + word.start_s, at + word.end_s, word.text) for word in frame.words]

    def reply_text(self, text: str, position_s: float | None) -> None:
        return None

    def reply_audio(self, audio: bytes) -> None:
        if len(self.ulaw) < MAX_AUDIO:
            self.ulaw += audio

    def wide_audio(self, pcm16: bytes) -> None:
        if len(self.wide) < MAX_AUDIO * WIDE_TICK:
            self.wide += pcm16

    def reply_taken_back(self, at_s: float) -> float | None:
        left = int(at_s * TICKS_PER_S)
        del self.ulaw[left:], self.wide[left * WIDE_TICK :]
        return len(self.ulaw) / TICKS_PER_S

    def reply_ended(self) -> None:
        self.done.set()

    def reply_dropped(self) -> None:
        return None


class _BothOutputs(PhoneOutput):
    """The pipeline's end for a telephone, and for a wide line beside it."""

    def __init__(self, collector: _Collector) -> None:
        super().__init__(collector)
        self._collector = collector
        self._to_wide: ToForm | None = None

    def _audio(self, frame: OutputAudioRawFrame) -> None:
        super()._audio(frame)
        if self._to_wide is None or self._to_wide.rate_hz != frame.sample_rate:
            self._to_wide = ToForm(frame.sample_rate, WIDE.says)
        self._collector.wide_audio(self._to_wide.feed(frame.audio))

    def _flush(self) -> None:
        super()._flush()
        if self._to_wide is not None:
            self._collector.wide_audio(self._to_wide.feed(b"", last=True))
            self._to_wide = None


class PhraseMaker:
    """Makes phrases with one TTS service. Raises `ProviderError` when the service does not."""

    def __init__(self, tts: TTSService) -> None:
        self._collector = _Collector()
        self._pipeline = CallPipeline(Pipeline([tts, _BothOutputs(self._collector)]), line=WIDE)

    async def make(self, texts: Mapping[str, str]) -> dict[str, Phrase]:
        """Every text by its name."""
        self._pipeline.start()
        try:
            async with asyncio.timeout(MAKE_TIMEOUT_S):
                await self._pipeline.started()
            return {name: await self._one(text) for name, text in texts.items()}
        except TimeoutError:
            raise ProviderError("the voice did not answer in time") from None
        finally:
            await self._pipeline.cancel()

    async def _one(self, text: str) -> Phrase:
        collector = self._collector
        collector.reply_started()
        for frame in (
            LLMFullResponseStartFrame(),
            LLMTextFrame(text),
            LLMFullResponseEndFrame(),
        ):
            await self._pipeline.push(frame)
        async with asyncio.timeout(MAKE_TIMEOUT_S):
            await collector.done.wait()
        if not collector.ulaw:
            raise ProviderError("the voice made no audio")
        whole = bytes(collector.ulaw), list(collector.words), bytes(collector.wide)
        return Phrase(text, *whole)


class PhraseStore:
    """Phrases on disk, by voice and text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def phrases(
        self, voice: str, texts: Mapping[str, str], tts: Callable[[], TTSService]
    ) -> dict[str, Phrase]:
        """Every text as a phrase of `voice` (any string that names the service, its settings and
        the voice); what is not kept yet is made by the service that `tts` builds."""
        kept = await asyncio.to_thread(self._load_all, voice, texts)
        missing = {name: text for name, text in texts.items() if name not in kept}
        if missing:
            made = await PhraseMaker(tts()).make(missing)
            await asyncio.to_thread(self._keep, voice, made)
            kept |= made
            log.info("phrases made", count=len(made))
        return kept

    def _load_all(self, voice: str, texts: Mapping[str, str]) -> dict[str, Phrase]:
        found = {name: self._load(self._path(voice, text), text) for name, text in texts.items()}
        return {name: phrase for name, phrase in found.items() if phrase is not None}

    def _keep(self, voice: str, phrases: Mapping[str, Phrase]) -> None:
        """A folder that cannot be written costs the next start its time, not this one."""
        try:
            self._save_all(voice, phrases)
            self._forget()
        except OSError as error:
            log.warning("phrases not kept", folder=str(self._folder), error=error.strerror)

    def _save_all(self, voice: str, phrases: Mapping[str, Phrase]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for phrase in phrases.values():
            path = self._path(voice, phrase.text)
            told = {"text": phrase.text, "words": phrase.words}
            sizes = {"ulaw": len(phrase.ulaw), "wide": len(phrase.wide)}
            head = json.dumps({**told, **sizes}).encode()
            partial = path.with_suffix(f".{token_hex(8)}.part")  # nobody else's
            try:
                sound = phrase.ulaw + phrase.wide
                partial.write_bytes(len(head).to_bytes(4, "big") + head + sound)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)

    def _forget(self) -> None:
        """Remove what nobody wants any more, and what a crash left half-written."""
        before = time.time() - FORGOTTEN_S
        for path in self._folder.iterdir():
            if path.suffix in (".phrase", ".part"):
                with contextlib.suppress(OSError):  # another server was faster
                    if path.stat().st_mtime < before:
                        path.unlink()

    def _path(self, voice: str, text: str) -> Path:
        digest = hashlib.sha256(f"{voice}\0{text}\0{FORMS}".encode()).hexdigest()
        return self._folder / f"{digest[:32]}.phrase"

    @staticmethod
    def _load(path: Path, text: str) -> Phrase | None:
        try:
            raw = path.read_bytes()
            size = int.from_bytes(raw[:4], "big")
            head = json.loads(raw[4 : 4 + size])
            words = [(float(start), float(end), str(word)) for start, end, word in head["words"]]
            wide_at = 4 + size + int(head["ulaw"])
            fits = head["text"] == text and len(raw) == wide_at + int(head["wide"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # not there, or spoilt: made again
        ulaw, wide = raw[4 + size : wide_at], raw[wide_at:]
        if not fits or not ulaw:
            return None
        _wanted(path)
        return Phrase(text, ulaw, words, wide)


def _wanted(path: Path) -> None:
    """Note that it is still asked for, once a day."""
    with contextlib.suppress(OSError):  # another user's, or a folder that is only read
        if path.stat().st_mtime < time.time() - DAY_S:
            path.touch()
