"""The bot's side of one call: the caller's turn is answered, the reply said, and, where the caller
interrupts, dropped.

Turn taking decides (`turns.py`), the pipeline makes the reply (`transport.py:TurnGate.run_turn`),
`replies.py` says it and tells how it fares; what follows from its being heard is `closing.py`'s.
"""

from __future__ import annotations

from telebot.call.model import Turn
from telebot.call.session import Move
from telebot.dialog.actions import Action, Record
from telebot.speech.brain import DIGITS_PREFIX
from telebot.speech.course import Course
from telebot.speech.reply import Reply
from telebot.speech.waiting import Waiting


class Answering:
    """One call's (`turns.Floor`, `replies.Listener`, `works.Answers`). It is there before the parts
    that tell it something; `begin` comes before they do."""

    _course: Course
    _waiting: Waiting

    def begin(self, course: Course) -> None:
        """The stream is up."""
        self._course = course
        self._waiting = Waiting(
            course.parts,
            course.timers,
            note_event=course.diary.event,
            goodbye=course.closing.goodbye,
        )

    # what turn taking decides

    @property
    def occupied(self) -> bool:
        return self._course.parts.replies.occupied

    @property
    def asked(self) -> bool:
        return self._course.parts.replies.asked

    @property
    def expects(self) -> str | None:
        return self._course.parts.mind.expects

    def understands(self, text: str) -> bool:
        return self._course.parts.mind.understands(text)

    def caller_speaks(self) -> None:
        self._course.silence.broken()
        self._course.move(Move.CALLER_SPEAKS)

    def silence_voice(self) -> None:
        replies = self._course.parts.replies
        self._course.diary.event("clear")
        replies.silence()
        self._course.effects.beside(replies.place_exactly(), "word times")

    def resume_voice(self) -> None:
        self._course.diary.event("resume")
        self._course.parts.replies.resume()

    def drop_reply(self) -> str:
        """The caller takes the floor. A turn of which nothing was heard yet is taken back."""
        filled = self._waiting.filled
        dropped = self.cut(taken_back=True)
        if dropped is None or dropped.counted:
            return ""
        self._waiting.filled = filled  # the turn goes on
        self._course.parts.mind.discard()
        self._course.parts.gate.take_back()
        return dropped.caller_text or ""

    def cut(self, *, taken_back: bool) -> Reply | None:
        """Stop what is said or thought. Returns the reply to the last turn, if it was that."""
        course, parts = self._course, self._course.parts
        self._waiting.stop()
        answering = self._waiting.reply
        parts.replies.drop(through_pipeline=answering is not None, taken_back=taken_back)
        course.closing.take_back()
        self._waiting.reply = None
        course.diary.event("interrupt")
        if answering is not None:
            course.effects.do(parts.gate.interrupt)
        return answering

    def ask_turn_model(self, pause: int) -> None:
        parts = self._course.parts
        model, turns = parts.turn_model, parts.turns
        if model is None:
            return
        audio, form = parts.ear.turn_audio(), parts.ear.form
        timeout_s = parts.speech.turn_timeout_s

        async def ask() -> None:
            probability = await model.probability(audio, timeout_s, form)
            turns.probability(1.0 if probability is None else probability, pause)

        self._course.effects.beside(ask(), "turn model question")

    def take_turn(self, text: str) -> None:
        """The caller's turn is over: have it answered."""
        course, parts = self._course, self._course.parts
        parts.ear.turn_over()
        course.silence.broken()
        course.move(Move.TURN_TAKEN)
        parts.gate.add_turn(text)
        reply = parts.replies.want(text.replace(DIGITS_PREFIX, ""), parts.providers)
        course.moments.give(reply, text, parts.turns, parts.ear.stream)
        self._waiting.begin(reply)
        course.effects.do(parts.gate.run_turn)

    def nothing_said(self) -> None:
        self._course.silence.begin()

    # how a reply fares

    def reply_begins(self, reply: Reply) -> None:
        self._waiting.stop()
        self._course.move(Move.BOT_SPEAKS)

    def reply_counts(self, reply: Reply) -> None:
        if reply is not self._waiting.reply:
            return
        actions = list(self._course.parts.mind.commit())
        for action in (each for each in actions if isinstance(each, Record)):
            self._course.diary.note(action)
        self.after_reply([a for a in actions if not isinstance(a, Record)])

    def reply_is_over(self, reply: Reply, turn: Turn | None) -> None:
        course = self._course
        self._waiting.over(reply)
        if turn is not None:
            course.diary.turn(turn)
        if course.closing.over or reply.interrupted:
            return
        course.move(Move.BOT_DONE)
        if course.mailbox.taking:
            course.mailbox.asked()
        elif not course.closing.reply_was_heard():
            course.silence.begin()

    # what those who make it say

    def after_reply(self, actions: list[Action]) -> None:
        """What follows from the reply being heard; some makers know it late."""
        self._course.closing.after_reply(actions)

    def provider_failed(self) -> None:
        """One of them reported an error."""
        self._waiting.provider_failed()
