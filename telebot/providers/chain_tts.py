"""The voice of a call, as a chain: sentences in, audio with word times out, from whoever speaks.

Each sentence is one piece of work. When a voice fails inside one, the words that its audio says
whole are counted (by its own word times, or `word_clock`), and the next voice goes on with the word
behind them. A stall counts only once the audio already handed on is about to run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.utils.text.simple_text_aggregator import SimpleTextAggregator

from telebot.audio import g711
from telebot.audio.resample import ToPhone
from telebot.providers.chain import Chain, ChainListener, Inbox, LinkFailed
from telebot.providers.failure import Cause, Failure
from telebot.providers.frames import Word, WordTimesFrame
from telebot.providers.link import Link, Port
from telebot.providers.pacing import Priority
from telebot.providers.repertoire import Repertoire
from telebot.providers.utterance import RATE_HZ, Muted, Utterance
from telebot.providers.word_clock import WordClock, Yardstick

SPARE_S = 0.2  # of audio still to play when a stalled voice is given up
LONGEST_STALL_S = 4.0  # however much audio lies ahead
PLENTY_S, JOINED_S = 0.4, 0.2  # of audio ahead: small pieces are handed on joined to larger ones
SHORT = 0.45  # of the yardstick's length: no voice speaks this fast
FAST = 0.85  # less than this may be a fast voice, or one that stopped before the end
MISSING = 2  # words at the end that tell the one from the other
SHORT_WORDS = 4  # fewer words cannot be judged by their length
YARDSTICK_S = 0.1  # how long the first audio waits for it


class ChainTTS(Chain):
    """Speaks the sentences of a reply in their order. An interruption ends the reply."""

    kind = "tts"

    def __init__(
        self,
        links: Sequence[Link],
        listener: ChainListener,
        clock: Callable[[], float],
        word_clock: WordClock,
        repertoire: Repertoire | None = None,
    ) -> None:
        super().__init__(links, listener, clock)
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
        utterance = Utterance(words, self._sent_s)
        pcm16 = g711.decode(said.ulaw)
        utterance.pcm += pcm16
        await self.place(utterance, said.words, again=False)
        await self.hand_on(pcm16)
        return True

    async def _say(self, port: Port, words: Sequence[str], sentence: str) -> int:
        """Have one voice say `words`, the rest of `sentence`. Returns how many it said whole; a
        fault of its is charged to it before. Raises `LinkFailed` where it said nothing."""
        hosted, inbox = await self.ready(port)
        self._speaking = port
        part = _Part(self, port, Utterance(words, self._sent_s))
        await self._call_event_handler("on_tts_request", "", part.utterance.text)
        await hosted.feed(TTSSpeakFrame(part.utterance.text, append_to_context=False))
        self._listener.link_used(self.kind, port.link.name, len(part.utterance.text), "characters")
        try:
            await part.take(inbox)
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

    async def hand_on(self, pcm16: bytes) -> None:
        """Audio for the caller."""
        if pcm16:
            if self._first_at is None:
                self._first_at = self._clock()
            self._sent_s += len(pcm16) / 2 / RATE_HZ
            await self.push_frame(TTSAudioRawFrame(pcm16, RATE_HZ, 1))

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

    async def _probe(self, port: Port, sentence: str) -> None:
        """Have a voice whose breaker was open say the sentence to nobody."""
        try:
            async with self.paced(port, len(sentence), priority=Priority.OTHER):
                hosted, inbox = await self.ready(port)
                begun = self._clock()
                await hosted.feed(TTSSpeakFrame(sentence, append_to_context=False))
                part = _Part(self, port, Utterance(sentence.split(), 0.0))
                await part.first_sound(inbox, 2 * port.link.patience.first_s)
        except LinkFailed as failed:
            await self.give_up(port, failed.failure)
            return
        port.link.breaker.succeeded(self._clock() - begun)
        self._inboxes.pop(id(port), None)
        await hosted.feed(InterruptionFrame())


class _Part:
    """What one voice makes of (the rest of) a sentence."""

    def __init__(self, chain: ChainTTS, port: Port, utterance: Utterance) -> None:
        self.utterance = utterance
        self.first_s: float | None = None
        self._chain = chain
        self._port = port
        self._to_phone: ToPhone | None = None
        self._base_ns: int | None = None
        self._told = port.link.timed
        self._yardstick: asyncio.Task[Yardstick] | None = None
        if not self._told:
            self._yardstick = asyncio.create_task(
                chain._word_clock.yardstick(utterance.words), name="yardstick"
            )

    def close(self) -> None:
        if self._yardstick is not None:
            self._yardstick.cancel()

    async def take(self, inbox: Inbox) -> None:
        """Hand the audio on until the voice has said everything. Raises `LinkFailed`."""
        begun = self._chain._clock()
        frame: Frame | None = await self.first_sound(inbox, self._port.link.patience.first_s)
        self.first_s = self._chain._clock() - begun
        self._chain._listener.link_served(self._chain.kind, self._port.link.name)
        while frame is not None:
            await self._frame(frame)
            frame = await self._next(inbox)
        await self._end()

    async def first_sound(self, inbox: Inbox, timeout_s: float) -> TTSAudioRawFrame:
        """The first audio. Raises `LinkFailed`."""
        clock = asyncio.get_running_loop().time
        until = clock() + timeout_s
        while True:
            try:
                frame = await inbox.get(max(0.0, until - clock()))
            except TimeoutError:
                raise LinkFailed(Failure(Cause.SLOW_FIRST)) from None
            if isinstance(frame, TTSAudioRawFrame) and frame.audio:
                return frame
            if isinstance(frame, TTSStoppedFrame):
                raise LinkFailed(Failure(Cause.SILENT))
            if isinstance(frame, WordTimesFrame):
                await self._words(frame)

    async def broken_off(self) -> int:
        """The voice failed: the words that its audio says whole. A word that it only began is said
        again by the next one, and stands once in the record."""
        if not self.utterance.loud_s:
            await self._chain.place(self.utterance, (), again=True)
            return 0
        words = await self._placed(whole=False)
        said = self.utterance.complete(words)
        await self._chain.place(self.utterance, words[:said], again=True)
        return said

    async def _next(self, inbox: Inbox) -> Frame | None:
        stall_s, chain = self._port.link.patience.stall_s, self._chain
        if (ahead_s := chain.ahead_s()) > PLENTY_S:
            await inbox.gather(JOINED_S, min(LONGEST_STALL_S, ahead_s - SPARE_S))
        wait_s = min(LONGEST_STALL_S, max(stall_s, chain.ahead_s() + inbox.quiet_s() - SPARE_S))
        try:
            frame = await inbox.get(wait_s - inbox.quiet_s())
        except TimeoutError:
            raise LinkFailed(Failure(Cause.STALLED)) from None
        return None if isinstance(frame, TTSStoppedFrame) else frame

    async def _frame(self, frame: Frame) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            await self._audio(frame)
        elif isinstance(frame, WordTimesFrame):
            await self._words(frame)
        elif isinstance(frame, TTSTextFrame) and frame.pts and self._base_ns is not None:
            at_s = max(0.0, (frame.pts - self._base_ns) / 1e9)
            self.utterance.tell([Word(at_s, at_s, frame.text)])

    async def _audio(self, frame: TTSAudioRawFrame) -> None:
        if self._to_phone is None or self._to_phone.rate_hz != frame.sample_rate:
            self._to_phone = ToPhone(frame.sample_rate)
        if self._base_ns is None:
            self._base_ns = self._chain.get_clock().get_time()
            await self._guess()
        await self._hand_on(self._to_phone.feed(frame.audio))

    async def _hand_on(self, pcm16: bytes) -> None:
        try:
            await self._chain.hand_on(self.utterance.feed(pcm16))
        except Muted as muted:
            await self._chain.hand_on(muted.pcm16)
            raise LinkFailed(Failure(Cause.SILENT)) from None

    async def _words(self, frame: WordTimesFrame) -> None:
        """Times that come ahead of their audio, as the local voice tells them."""
        self._told = True
        at_s = self.utterance.audio_s
        words = [Word(at_s + w.start_s, at_s + w.end_s, w.text) for w in frame.words]
        self.utterance.tell(words)
        await self._chain.place(self.utterance, words, again=False)

    async def _guess(self) -> None:
        """Before the audio: where its words will lie if the voice speaks like the yardstick."""
        if self._told or self._yardstick is None:
            return
        await asyncio.wait([self._yardstick], timeout=YARDSTICK_S)
        if self._yardstick.done():
            await self._chain.place(self.utterance, self._yardstick.result().words, again=False)

    async def _end(self) -> None:
        if self._to_phone is not None:
            await self._hand_on(self._to_phone.feed(b"", last=True))
        await self._chain.hand_on(self.utterance.end())
        if not self.utterance.loud_s:
            raise LinkFailed(Failure(Cause.SILENT))
        if self._told or self._yardstick is None:
            return
        yardstick = await self._yardstick
        if await self._is_short(yardstick):
            raise LinkFailed(Failure(Cause.SHORT))
        if told := self.utterance.told:
            await self._chain.place(self.utterance, told, again=True)
            return
        guess, exactly = (
            self.utterance.stretched(yardstick.words, *yardstick.sounds()),
            partial(self._placed, whole=True),
        )
        await self._chain.place(self.utterance, guess, again=True, exactly=exactly)

    async def _is_short(self, yardstick: Yardstick) -> bool:
        """The audio ended before its text did, and nobody said so."""
        words, loud_s = self.utterance.words, self.utterance.loud_s
        if self.utterance.cut_off:
            return self.utterance.complete(await self._placed(whole=False)) < len(words)
        if len(words) < SHORT_WORDS or loud_s >= FAST * yardstick.seconds:
            return False
        if loud_s < SHORT * yardstick.seconds:
            return True
        said = self.utterance.complete(await self._placed(whole=False))
        return bool(len(yardstick.audio)) and len(words) - said >= MISSING

    async def _placed(self, *, whole: bool) -> Sequence[Word]:
        """The words' times in the audio: the voice's own, or by the yardstick."""
        told = self.utterance.told
        if told or self._yardstick is None:
            return told
        yardstick = await self._yardstick
        audio = bytes(self.utterance.pcm)
        return await self._chain._word_clock.place(audio, yardstick, whole=whole)
