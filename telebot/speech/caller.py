"""The caller's side of one call: what is spoken, written and keyed.

The detector (`vad.py`) and the recogniser (`transport.py:TurnGate`) tell it. It goes to turn taking
(`turns.py`), or, where the caller has no say any more (`closing.py:Closing.firm`), only into a
message that is being left (`mailbox.py`).
"""

from __future__ import annotations

from telebot.speech.brain import DIGITS_PREFIX
from telebot.speech.course import Course
from telebot.speech.keypad import Keypad


class Caller:
    """One call's (`vad.SpeechListener`, `transport.Heard`). It is there before the parts that tell
    it something; `begin` comes before they do."""

    _course: Course
    _keypad: Keypad

    def begin(self, course: Course) -> None:
        """The stream is up."""
        self._course = course
        self._keypad = Keypad(course.parts.agent.digits_wait_s, course.outside.later, self._keyed)

    def close(self) -> None:
        """The stream is over."""
        self._keypad.close()

    @property
    def _unheard(self) -> bool:
        return self._course.closing.firm

    # what the detector says

    def speech_suspected(self) -> None:
        parts = self._course.parts
        if parts.voice.talking and not parts.turns.contested and not self._unheard:
            parts.voice.hold()

    def suspicion_cleared(self) -> None:
        parts = self._course.parts
        if parts.voice.held and not parts.turns.contested:
            parts.voice.release()

    def speech_started(self, at_sample: int) -> None:
        course, parts, moments = self._course, self._course.parts, self._course.moments
        course.mailbox.speech_started(moments.started(parts.ear.stream_ms(at_sample)))
        if self._unheard:
            if course.mailbox.taking:  # a recogniser that still works may write it down
                self._tell_start()
            return
        course.silence.broken()
        if not parts.turns.open:
            moments.turn_start_ms = moments.speech_start_ms
        parts.turns.speech_started()
        self.suspicion_cleared()
        self._tell_start()

    def speech_paused(self) -> None:
        self._course.parts.pause_stt()

    def speech_resumed(self) -> None:
        self._course.parts.resume_stt()

    def speech_stopped(self, at_sample: int) -> None:
        course, parts = self._course, self._course.parts
        start_s, end_s = course.moments.stopped(parts.ear.stream_ms(at_sample))
        course.diary.event("speech", start_s=start_s, end_s=end_s)
        course.mailbox.speech_stopped(end_s)
        if self._unheard:
            parts.turns.speaking = False  # it may have begun before
        else:
            parts.turns.speech_stopped(parts.ear.since(at_sample))
        if not self._unheard or course.mailbox.taking:
            stop_s = parts.speech.vad_stop_s
            course.effects.do(lambda: parts.phone_input.speech_stopped(stop_s))

    def _tell_start(self) -> None:
        """The recogniser is to know."""
        parts = self._course.parts
        start_s = parts.speech.vad_start_s
        self._course.effects.do(lambda: parts.phone_input.speech_started(start_s))

    # what the recogniser says

    def caller_text(self, text: str, finalized: bool) -> None:
        self._course.mailbox.heard(text)
        if not self._unheard:
            self._course.parts.turns.text(text, finalized=finalized)

    def caller_turn(self, text: str) -> None:
        if not self._unheard:
            self._course.parts.turns.take_now(text)

    def caller_interim(self, text: str) -> None:
        if not self._unheard:
            self._course.parts.turns.interim(text)

    def caller_no_text(self) -> None:
        if not self._unheard:
            self._course.parts.turns.no_text()

    # what is no speech

    def write(self, text: str) -> None:
        """A turn that was written."""
        self._course.moments.written_at = self._course.outside.clock()
        self._course.parts.turns.take_now(text)

    def key(self, digit: str) -> None:
        """One DTMF key."""
        course = self._course
        course.diary.event("dtmf", digits=digit)
        course.silence.broken()
        if course.mailbox.taking and digit == "#":
            course.mailbox.finish()
        self._keypad.key(digit)

    def _keyed(self, digits: str) -> None:
        if digits and not self._unheard:
            self._course.parts.turns.take_now(DIGITS_PREFIX + digits)
        else:
            self._course.silence.begin()
