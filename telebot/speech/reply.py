"""One reply of the bot in the making: what it answers, what it says, what was heard, how fast.

Lives from the moment a reply is wanted until what was heard of it is known; then it becomes a
`call.model.Turn`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from telebot.audio.line import TICKS_PER_S
from telebot.call.model import Turn, TurnLatency
from telebot.providers.frames import WordTimesFrame
from telebot.providers.spoken import Word
from telebot.speech.script import Script

ONSET = TICKS_PER_S * 80 // 1000  # a word's sound begins a little before its time
WORD_S = 0.3  # length of a word whose end is not told


@dataclass(slots=True)
class Filler:
    """A ready phrase that masks the wait for a reply, between two positions."""

    start: int
    end: int
    script: Script

    def heard(self, played: int) -> str:
        """Its words that were heard when `played` was reached."""
        return self.script.heard(played, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Guess:
    """Words between two positions that were placed by a guess; `exactly` finds out."""

    start: int
    end: int
    exactly: Callable[[], Awaitable[Sequence[Word]]]


@dataclass(slots=True)
class Reply:
    """`caller_text` is None for what the bot says of its own accord (greeting, reprompt).

    Clock times are monotonic seconds, `*_ms` are of the carrier's stream clock, positions are
    play-out positions."""

    caller_text: str | None
    wanted_at: float
    created_at: datetime
    providers: dict[str, str | None]
    speech_end_at: float | None = None  # the caller's last speech, by our clock
    speech_end_ms: float | None = None  # and by the carrier's
    text_at: float | None = None
    first_token_at: float | None = None
    tts_asked_at: float | None = None
    first_audio_at: float | None = None
    first_played_ms: float | None = None  # by the carrier's clock, once a mark said so
    first_sent_ms: float | None = None  # by our estimate of the carrier's clock
    caller_offset_s: float | None = None
    start: int | None = None  # position of its first audio
    end: int | None = None  # position after its last, once that is known
    generated: bool = False  # nothing more will come
    interrupted: bool = False
    counted: bool = False  # enough was heard that the turn cannot be taken back
    script: Script = field(default_factory=Script)
    filler: Filler | None = None  # what was said before its first audio
    guesses: list[Guess] = field(default_factory=list)

    def place(self, frame: WordTimesFrame, queued: int) -> None:
        """Words of it and their times; `queued` is the position where its next audio goes."""
        words = _timed(frame.words)
        if frame.at_s is None:
            self.script.place(queued, words)
            return
        begins = queued if self.start is None else self.start
        start = begins + int(frame.at_s * TICKS_PER_S)
        if frame.replaces:
            self.script.replace(start, words)
        else:
            self.script.place(start, words)
        if frame.exactly is not None:
            end = start + int(frame.audio_s * TICKS_PER_S)
            self.guesses.append(Guess(start, end, frame.exactly))

    def add(self, text: str, position_s: float | None, queued: int) -> None:
        """Text of it; `position_s` is where in its audio it is said, when known."""
        if position_s is None or self.start is None:
            self.script.add(queued, text)
        else:
            self.script.place(self.start, [(position_s, position_s + WORD_S, text)])

    async def place_exactly(self, position: int) -> None:
        """Find out where the words around `position` lie, where that was a guess."""
        for guess in list(self.guesses):
            if guess.start <= position < guess.end:
                self.guesses.remove(guess)
                words = _timed(await guess.exactly())
                if words:
                    self.script.correct(guess.start, guess.end, words)

    def resumes_at(self, position: int, queued: int) -> int:
        """Where the word begins that was cut at `position`."""
        filler = self.filler
        if filler is not None and position < filler.end:
            word = filler.script.word_start(position, filler.start, filler.end)
            return max(filler.start, word - ONSET)
        if self.start is None:
            return position
        end = queued if self.end is None else self.end
        return max(self.start, self.script.word_start(position, self.start, end) - ONSET)

    @property
    def audible(self) -> bool:
        """Something of it, the filler included, is on its way to the caller."""
        return self.start is not None or self.filler is not None

    def heard(self, played: int, queued: int) -> str:
        """The words the caller heard when position `played` was reached, a filler's too."""
        filler = "" if self.filler is None else self.filler.heard(played)
        return f"{filler} {self.heard_of_itself(played, queued)}".strip()

    def heard_of_itself(self, played: int, queued: int) -> str:
        """The same without the filler: what answers the caller."""
        if self.start is None:
            return ""
        end = queued if self.end is None else self.end
        return self.script.heard(played, self.start, end)

    @property
    def text(self) -> str:
        """Everything it says, as far as it is known."""
        filler = "" if self.filler is None else self.filler.script.text
        return f"{filler} {self.script.text}".strip()

    def sentence_end(self, position: int, queued: int) -> int | None:
        """Where the sentence ends that is being said at `position`, as far as that is known."""
        if self.start is None:
            return None
        end = queued if self.end is None else self.end
        found = self.script.sentence_end(position, self.start, end)
        return self.end if found is None else found

    def latency(self) -> TurnLatency:
        """The parts of the wait; None for what did not happen."""
        if self.caller_text is None:
            return TurnLatency()
        heard = _ms_between(self.speech_end_ms, self.first_played_ms or self.first_sent_ms)
        first_audio = _span(self.speech_end_at, self.first_audio_at)
        transport = None
        if heard is not None and first_audio is not None and self.filler is None:
            transport = round(max(0.0, heard - first_audio), 1)
        return TurnLatency(
            heard=heard,
            endpointing=_span(self.speech_end_at, self.wanted_at),
            stt=_span(self.speech_end_at, self.text_at),
            llm_first_token=_span(self.wanted_at, self.first_token_at),
            tts_first_audio=_span(self.tts_asked_at, self.first_audio_at),
            transport=transport,
        )

    def turn(self, index: int, heard: str) -> Turn:
        """The record of this reply, `heard` being what reached the caller's ear."""
        bot_ms = self.first_played_ms if self.first_played_ms is not None else self.first_sent_ms
        return Turn(
            index=index,
            started_at=self.created_at,
            caller_text=self.caller_text,
            bot_text=self.text,
            bot_text_heard=heard,
            interrupted=self.interrupted,
            providers=dict(self.providers),
            latency_ms=self.latency(),
            caller_offset_s=self.caller_offset_s,
            bot_offset_s=None if bot_ms is None else round(bot_ms / 1000, 3),
        )


def _timed(words: Sequence[Word]) -> list[tuple[float, float, str]]:
    return [(word.start_s, word.end_s, word.text) for word in words]


def _span(start: float | None, end: float | None) -> float | None:
    """Milliseconds between two clock times; None where one of them is not known."""
    if start is None or end is None:
        return None
    return round(max(0.0, end - start) * 1000, 1)


def _ms_between(start_ms: float | None, end_ms: float | None) -> float | None:
    return None if start_ms is None or end_ms is None else round(max(0.0, end_ms - start_ms), 1)
