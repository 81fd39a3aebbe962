"""Taking turns: when the caller's turn is over, and whether the caller interrupts.

Pure logic over events, on a clock and a timer that are handed in. The events come from the
call's detector and its recogniser (`caller.py`); the effects go to a `Floor` (`answering.py`).
Two decisions are made here:

- *Contest.* The caller makes a sound while a reply is being said or thought about. The voice is
  silenced at once; then words or time decide. Speech that goes on, or words that say something,
  take the floor (the reply is dropped); a hum, a cough or a nod gives it back and the bot goes on
  from the word where it was held.
- *End of turn.* The caller pauses. Words, and the turn model where it is used, decide whether to
  answer now or to wait for the rest. The model is dear (some 30 ms of CPU), so it is asked only
  where the words leave it open, or where they are late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from telebot.call.ports import Clock
from telebot.speech.backchannel import (
    Shape,
    is_answer,
    is_backchannel,
    may_be_murmur,
    shape,
    words,
)
from telebot.speech.timers import Later, Timers

COMPLETE = 0.5  # the turn model's probability from which a turn is over
SURELY_COMPLETE = 0.8  # the same for a sentence whose last word often is not its last
NEARLY_COMPLETE = 0.2
TEXT_WAIT_S = 3.0  # a recogniser that says nothing for this long has heard nothing
LOOSE_TEXT_WAIT_S = 0.3  # after a text that came before the pause, a last one may follow
INTERRUPTING_WORDS = 3
WORDS_FIRST_S = 0.1  # a recogniser this quick after a stop may spare the turn model
ASK_AGAIN_S = 0.6  # silence after which a model that said no is asked once more
MODEL_ASKS = 2  # how often the turn model is asked about one pause


class Floor(Protocol):
    """What taking turns does to the bot's side. All return at once."""

    @property
    def occupied(self) -> bool:
        """A reply is being thought about or said."""
        ...

    @property
    def asked(self) -> bool:
        """What the caller heard of the reply so far asks something, or the reply is nearly over."""
        ...

    @property
    def expects(self) -> str | None:
        """The type of answer the bot is waiting for (``phone``, ``yes_no``, …)."""
        ...

    def understands(self, text: str) -> bool:
        """The brain would make something of `text`, or cannot tell."""
        ...

    def caller_speaks(self) -> None:
        """The caller has the floor."""
        ...

    def silence_voice(self) -> None:
        """Hold the bot's voice and clear what the carrier has of it."""
        ...

    def resume_voice(self) -> None:
        """The sound meant nothing: go on from the word that was cut."""
        ...

    def drop_reply(self) -> str:
        """The reply is interrupted. Returns the caller's text of a turn that was answered by
        nothing yet (it belongs to the turn that goes on), else an empty string."""
        ...

    def ask_turn_model(self, pause: int) -> None:
        """Have `TurnTaking.probability` called with the turn model's word on this pause."""
        ...

    def take_turn(self, text: str) -> None:
        """The caller's turn is over; `text` wants a reply."""
        ...

    def nothing_said(self) -> None:
        """The caller made a sound and said nothing; nobody has the floor."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of turn taking, in seconds (`speech.*` of the settings)."""

    smart: bool
    incomplete_wait_s: float
    turn_timeout_s: float
    barge_in_s: float
    backchannel_wait_s: float


class TurnTaking:
    """One call's turns. Not reentrant; everything runs on the event loop."""

    def __init__(self, floor: Floor, pace: Pace, clock: Clock, later: Later) -> None:
        self._floor = floor
        self._pace = pace
        self._clock = clock
        self._texts: list[str] = []
        self._timers = Timers(later)
        self._started_at = 0.0
        self._speech_s = 0.0  # speech in this contest or turn, in all
        self._probability: float | None = None
        self._pause = 0  # number of the pause, so that a late word on an earlier one is known
        self._asks = 0  # how often the model was asked about this pause
        self._asking = False
        self._awaiting_text = False
        self._text_in_segment = False
        self.speaking = False
        self.contested = False
        self.voiced = False  # the last turn began with an onset, so its times are known
        self.open = False  # the caller has a turn that is not answered yet
        self.ended_at = 0.0  # clock time of the last speech
        self.text_at: float | None = None  # clock time of the last text

    # what the detector says

    def speech_started(self) -> None:
        """An onset, `vad_start_s` after it happened."""
        self.speaking = self.voiced = True
        self._started_at = self._clock()
        self._timers.cancel("pause", "text", "model", "ask")
        self._probability = None
        self._pause += 1
        self._asks = 0
        self._asking = False
        self._awaiting_text = False
        self._text_in_segment = False
        if self._floor.occupied and not self.open:
            if not self.contested:
                self.contested = True
                self._speech_s = 0.0
                self._floor.silence_voice()
            self._timers.cancel("words")
            left = max(0.0, self._pace.barge_in_s - self._speech_s)
            self._timers.after("barge", left, self._take_floor)
        else:
            self._open()

    def speech_stopped(self, silence_s: float) -> None:
        """The caller has been silent for `silence_s`."""
        self.speaking = False
        self._timers.cancel("barge")
        self.ended_at = self._clock() - silence_s
        self._speech_s += max(0.0, self.ended_at - self._started_at)
        self._awaiting_text = True
        if self.contested:
            self._timers.after("words", self._pace.backchannel_wait_s, self._contest_words)
            return
        if self._pace.smart:
            self._timers.after("ask", WORDS_FIRST_S, self._ask_model)
        wait = LOOSE_TEXT_WAIT_S if self._text_in_segment else TEXT_WAIT_S
        self._timers.after("text", wait, self._no_more_text)

    # what the recogniser says

    def text(self, text: str, *, finalized: bool = True) -> None:
        """Words of the caller. `finalized`: the recogniser says no more about this segment."""
        if not words(text):
            return self.no_text()
        self._texts.append(text.strip())
        self.text_at = self._clock()
        self._text_in_segment = True
        if not self.speaking or finalized:
            self._awaiting_text = False
        if self.contested:
            return self._contest_words()
        if not self.open and not self._words_alone(text):
            return None
        if not self.speaking:
            self._timers.cancel("text")
            self._judge_pause()
        return None

    def _words_alone(self, text: str) -> bool:
        """Words without a turn: of somebody too soft for the detector, or of a slow recogniser.
        False where they mean nothing."""
        if self._floor.occupied:
            if self._is_hum(text):
                self._texts.clear()
                return False
            self._take_floor()
        self._open()
        if not self.speaking:
            self.voiced, self.ended_at = False, self._clock()
        return True

    def interim(self, text: str) -> None:
        """Words that may still change; enough of them over the bot's voice interrupt it."""
        if self.contested and self.speaking and len(words(text)) >= INTERRUPTING_WORDS:
            self._take_floor()

    def no_text(self) -> None:
        """The recogniser found no words in what it heard."""
        self._awaiting_text = False
        if self.speaking:
            return
        if self.contested:
            self._contest_words()
        else:
            self._timers.cancel("text")
            self._no_more_text()

    def probability(self, value: float, pause: int) -> None:
        """The turn model's word on a pause: 1 is a turn that is over."""
        if pause != self._pause:
            return
        self._probability = value
        self._asking = False
        if self.open and not self.speaking:
            self._timers.cancel("model")
            self._judge_pause()

    # what others decide

    def take_now(self, text: str) -> None:
        """What needs no endpointing, as keyed digits, ends a turn with what was said before."""
        if self.contested or self._floor.occupied:
            self._take_floor()
        self._texts.append(text)
        self._take()

    def reset(self) -> None:
        """Forget a turn in the making; the bot speaks of its own accord, or the call is over."""
        self._timers.close()
        self._texts.clear()
        self._awaiting_text = self.contested = self.open = False
        self._speech_s = 0.0

    def _open(self) -> None:
        if not self.open:
            self.open = True
            self._speech_s = 0.0
            self._floor.caller_speaks()

    def _contest_words(self) -> None:
        said = " ".join(self._texts)
        hum = self._is_hum(said)
        if self.speaking:
            if not hum and len(words(said)) >= INTERRUPTING_WORDS:
                self._take_floor()
        elif hum:
            self._give_back()
        else:
            self._take_floor()
            self._judge_pause()

    def _is_hum(self, said: str) -> bool:
        asked = self._floor.asked or is_answer(said, self._floor.expects)
        if is_backchannel(said, asked=asked, speech_s=self._speech_s):
            return True
        murmur = not asked and may_be_murmur(said, speech_s=self._speech_s)
        return murmur and not self._floor.understands(said)

    def _take_floor(self) -> None:
        """The caller interrupts: the reply is dropped, the caller's turn is open."""
        self._timers.cancel("barge", "words")
        self.contested = False
        carried = self._floor.drop_reply()
        if carried:
            self._texts.insert(0, carried)
        self.open = True
        self._floor.caller_speaks()
        if not self.speaking and self._awaiting_text:
            self._timers.after("text", TEXT_WAIT_S, self._no_more_text)

    def _give_back(self) -> None:
        """It was no interruption: nothing was lost, the bot goes on."""
        self._timers.cancel("barge", "words")
        self.contested = False
        self._awaiting_text = False
        self._texts.clear()
        self._floor.resume_voice()

    def _judge_pause(self) -> None:
        """Answer now, or wait for the rest?"""
        if self.speaking or self.contested or self._awaiting_text or not self._texts:
            return
        wait_s = self._wait_s()
        if wait_s is None:
            return  # the turn model has not said its word yet
        left = self.ended_at + wait_s - self._clock()
        if wait_s == 0 or left <= 0:
            self._take()
        else:
            self._timers.after("pause", left, self._take)

    def _wait_s(self) -> float | None:
        """Silence after which this pause ends the turn; None: ask again when more is known."""
        if not self._pace.smart:
            return 0.0
        ends = shape(" ".join(self._texts), self._floor.expects)
        sure = SURELY_COMPLETE if ends is Shape.DOUBTFUL else COMPLETE
        if ends in (Shape.DANGLING, Shape.CLOSED):
            self._timers.cancel("ask")
            return self._pace.incomplete_wait_s if ends is Shape.DANGLING else 0.0
        if self._probability is None:
            self._ask_model()
            if self._asking:
                self._timers.after("model", self._pace.turn_timeout_s, self._model_is_late)
            return None if self._asking else 0.0
        half = self._pace.incomplete_wait_s / 2
        if self._probability > sure:
            return half if ends is Shape.LISTING else 0.0
        if self._asks < MODEL_ASKS:
            again_s = self.ended_at + ASK_AGAIN_S - self._clock()
            self._timers.after("ask", max(0.0, again_s), self._ask_model)
        return half if self._probability > NEARLY_COMPLETE else self._pace.incomplete_wait_s

    def _ask_model(self) -> None:
        """A second time only after a no: with more silence to hear, the model may say yes."""
        self._timers.cancel("ask")
        if not self._asking and self._asks < MODEL_ASKS:
            self._asks += 1
            self._asking = True
            self._floor.ask_turn_model(self._pause)

    def _model_is_late(self) -> None:
        self._asks = MODEL_ASKS
        self.probability(1.0, self._pause)

    def _no_more_text(self) -> None:
        self._awaiting_text = False
        self._timers.cancel("ask")
        if self._texts:
            self._judge_pause()
        elif self.open:
            self.open = False
            self._floor.nothing_said()

    def _take(self) -> None:
        text = " ".join(self._texts)
        self.reset()
        self._floor.take_turn(text)
