"""The voice of a call, as a chain: sentences in, audio with word times out, from whoever speaks.

Each sentence is one piece of work. When a voice fails inside one, the words that its audio says
whole are counted (by its own word times, or `word_clock`), and the next voice goes on with the word
behind them. A stall counts only once the audio already handed on is about to run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.utils.text.simple_text_aggregator import SimpleTextAggregator

from telebot.audio.line import ULAW, Form
from telebot.providers.chain import Chain, ChainListener, LinkFailed
from telebot.providers.frames import TakeBackFrame, Word, WordTimesFrame
from telebot.providers.link import Link, Port
from telebot.providers.pacing import Priority
from telebot.providers.repertoire import Repertoire
from telebot.providers.utterance import Utterance
from telebot.providers.voice_part import Part
from telebot.providers.word_clock import WordClock


class ChainTTS(Chain):
    """Speaks the sentences of a reply in their order, at the rate of the line's `form`. An
    interruption ends the reply."""

    kind = "tts"

    def __init__(
        self,
        links: Sequence[Link],
        listener: ChainListener,
        clock: Callable[[], float],
        word_clock: WordClock,
        repertoire: Repertoire | None = None,
        *,
        form: Form = ULAW,
    ) -> None:
        super().__init__(links, listener, clock)
        self._form, self._rate_hz = form, form.rate_hz
        self._word_clock = word_clock
        self._repertoire = repertoire
        self._sentences = SimpleTextAggregator()  # type: ignore[no-untyped-call]
        self._wanted: asyncio.Queue[str | Frame] = asyncio.Queue()
        self._register_event_handler("on_tts_request")
        self._speaker: asyncio.Task[None] | None = None
        self._speaking: Port | None = None
        self._first_at: float | None = None  # when the reply's first audio was handed on
        self._sent_s = 0.0  # audio handed on in this reply
        self._failed: set[str] = set()  # voices that failed in this reply

    async def work(self, frame: Frame) -> None:
        if isinstance(frame, AggregatedTextFrame | TTSSpeakFrame):
            self._want(frame.text)
        elif isinstance(frame, TextFrame):
            async for sentence in self._sentences.aggregate(frame.text):
                self._want(sentence.text)
        elif isinstance(frame, LLMFullResponseEndFrame):
            last = await self._sentences.flush()
            if last is not None:
                self._want(last.text)
            self._wanted.put_nowait(frame)
        elif isinstance(frame, LLMFullResponseStartFrame):
            self._wanted.put_nowait(frame)
            self._listen()
        elif isinstance(frame, InterruptionFrame):
            await self._hush()
            await self.push_frame(frame)
        else:
            await self.push_frame(frame)

    def _want(self, sentence: str) -> None:
        if sentence.strip():
            self._wanted.put_nowait(sentence)
            self._listen()

    def _listen(self) -> None:
        if self._speaker is None or self._speaker.done():
            self._speaker = self.begin(self._speak())

    async def _hush(self) -> None:
        await self._sentences.handle_interruption()  # type: ignore[no-untyped-call]
        self._wanted = asyncio.Queue()
        speaker, self._speaker = self._speaker, None
        if speaker is not None:
            speaker.cancel()
            await asyncio.gather(speaker, return_exceptions=True)
        port, self._speaking = self._speaking, None
        if port is not None and port.hosted is not None:
            self._inboxes.pop(id(port), None)
            await port.hosted.feed(InterruptionFrame())
        self._new_reply()

    def _new_reply(self) -> None:
        self._first_at, self._sent_s = None, 0.0
        self._failed.clear()

    async def _speak(self) -> None:
        """Say what is wanted, one after another, until nothing is."""
        while not self._wanted.empty():
            wanted = self._wanted.get_nowait()
            if isinstance(wanted, str):
                await self._sentence(wanted)
                continue
            if isinstance(wanted, LLMFullResponseStartFrame):
                self._new_reply()
            await self.push_frame(wanted)

    async def _sentence(self, sentence: str) -> None:
        words = sentence.split()
        text = " ".join(words)
        if await self._kept(words, text):
            return
        if probed := self._ports.to_probe():
            self.begin(self._probe(probed, sentence))
        for port in self._voices():
            try:
                async with self.paced(port, len(" ".join(words)), spare_s=self.ahead_s()):
                    words = words[await self._say(port, words, text) :]
            except LinkFailed as failed:
                await self.give_up(port, failed.failure)
            if not words:
                return
            self._failed.add(port.link.name)
        self._listener.chain_exhausted(self.kind)

    def _voices(self) -> list[Port]:
        """The usable ones. One that failed is not waited for twice in a reply, whose voice does not
        change back."""
        usable = self._ports.usable()
        return [port for port in usable if port.link.name not in self._failed] or usable

    async def _kept(self, words: Sequence[str], text: str) -> bool:
        """Say what one of the voices has said before, where it was kept: nobody is asked."""
        if self._repertoire is None:
            return False
        found = await self._repertoire.find(self._ports.preferred(), text)
        if found is None:
            return False
        link, said = found
        await self._call_event_handler("on_tts_request", "", text)
        self._listener.link_served(self.kind, link.name)
        self._listener.link_used(self.kind, link.name, 0.0, "characters")
        utterance = Utterance(words, self._sent_s, self._rate_hz)
        pcm16 = self._form.to_pcm(said.audio)
        utterance.pcm += pcm16
        await self.place(utterance, said.words, again=False)
        await self.hand_on(pcm16)
        return True

    async def _say(self, port: Port, words: Sequence[str], sentence: str) -> int:
        """Have one voice say `words`, the rest of `sentence`. Returns how many it said whole; a
        fault of its is charged to it before. Raises `LinkFailed` where it said nothing."""
        hosted, inbox = await self.ready(port)
        self._speaking = port
        part = self._part(port, words)
        await self._call_event_handler("on_tts_request", "", part.utterance.text)
        await hosted.feed(TTSSpeakFrame(part.utterance.text, append_to_context=False))
        self._listener.link_used(self.kind, port.link.name, len(part.utterance.text), "characters")
        try:
            await part.begin(inbox)
            self._listener.link_served(self.kind, port.link.name)
            await part.rest(inbox)
        except LinkFailed as failed:
            said = await part.broken_off()
            if said:
                await self.give_up(port, failed.failure)
                return said
            raise
        finally:
            part.close()
        self._speaking = None
        port.link.breaker.succeeded(part.first_s)
        if self._repertoire is not None:
            self._repertoire.offer(port.link, sentence, part.utterance, self._word_clock)
        return len(words)

    def _part(self, port: Port, words: Sequence[str]) -> Part:
        utterance = Utterance(words, self._sent_s, self._rate_hz)
        return Part(self, port, utterance, self._word_clock, self._clock)

    async def hand_on(self, pcm16: bytes) -> None:
        """Audio for the caller."""
        if pcm16:
            if self._first_at is None:
                self._first_at = self._clock()
            self._sent_s += len(pcm16) / 2 / self._rate_hz
            await self.push_frame(TTSAudioRawFrame(pcm16, self._rate_hz, 1))

    def ahead_s(self) -> float:
        """Audio that the caller has not heard yet, at the least."""
        if self._first_at is None:
            return 0.0
        return max(0.0, self._sent_s - (self._clock() - self._first_at))

    async def place(
        self,
        utterance: Utterance,
        words: Sequence[Word],
        *,
        again: bool,
        exactly: Callable[[], Awaitable[Sequence[Word]]] | None = None,
    ) -> None:
        """Tell where in the reply these words lie; `again`: instead of what was told before."""
        if words or again:
            frame = WordTimesFrame(
                "",
                tuple(words),
                utterance.audio_s,
                at_s=utterance.at_s,
                replaces=again,
                exactly=exactly,
            )
            await self.push_frame(frame)

    async def take_back(self, at_s: float) -> None:
        """The caller is not to hear what is handed on behind `at_s`, as far as that is possible."""
        if at_s < self._sent_s:
            frame = TakeBackFrame(at_s=at_s)
            await self.push_frame(frame)  # to the phone's end, in one go
            if frame.left_s is not None:
                self._sent_s = frame.left_s

    async def _probe(self, port: Port, sentence: str) -> None:
        """Have a voice whose breaker was open say the sentence to nobody."""
        try:
            async with self.paced(port, len(sentence), priority=Priority.OTHER):
                hosted, inbox = await self.ready(port)
                begun = self._clock()
                await hosted.feed(TTSSpeakFrame(sentence, append_to_context=False))
                part = self._part(port, sentence.split())
                await part.first_sound(inbox, 2 * port.link.patience.first_s)
        except LinkFailed as failed:
            await self.give_up(port, failed.failure)
            return
        port.link.breaker.succeeded(self._clock() - begun)
        self._inboxes.pop(id(port), None)
        await hosted.feed(InterruptionFrame())
