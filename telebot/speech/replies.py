"""What the bot says on one call: replies that the pipeline makes, phrases that are ready, and what
the caller heard of each.

Takes the pipeline's output (`Spoken`), feeds the `Voice`, and turns every utterance of the bot into
one `Turn` of the record and one message of the context, with only the words that were played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from pipecat.processors.aggregators.llm_context import LLMContext

from telebot.audio.line import TICKS_PER_S
from telebot.call.model import Turn
from telebot.call.ports import Clock, WallClock
from telebot.providers.frames import WordTimesFrame
from telebot.speech.phrases import Phrase
from telebot.speech.reply import Filler, Reply
from telebot.speech.script import Script
from telebot.speech.voice import Voice

NEARLY_OVER = TICKS_PER_S  # a reply with less than this left (1 s) is as good as said
COUNTS_AFTER = TICKS_PER_S // 2  # a reply heard this long counts, whatever its words are


class Listener(Protocol):
    """Who wants to know how a reply fares."""

    def reply_begins(self, reply: Reply) -> None:
        """Its first audio leaves."""
        ...

    def reply_counts(self, reply: Reply) -> None:
        """The caller has heard something of it: the turn cannot be taken back any more."""
        ...

    def reply_is_over(self, reply: Reply, turn: Turn | None) -> None:
        """Said to its end, or cut; `turn` is None where it leaves no trace in the record."""
        ...


class Replies:
    """The bot's utterances of one call, one after another; `current` is the one in the making."""

    def __init__(
        self,
        voice: Voice,
        listener: Listener,
        context: LLMContext,
        *,
        providers: Mapping[str, str | None],
        clock: Clock,
        wall_clock: WallClock,
        stream_ms: Callable[[float], float],
        frame_end_ms: Callable[[], float],
    ) -> None:
        self._voice = voice
        self._listener = listener
        self.context = context
        self._providers = providers
        self._clock = clock
        self._wall_clock = wall_clock
        self._stream_ms = stream_ms
        self._frame_end_ms = frame_end_ms  # of the last frame the carrier sent
        self._stale = 0  # interruptions still on their way through the pipeline
        self._index = 0
        self._cut = 0
        self.current: Reply | None = None
        self.phrase_voice: str | None = None  # where it is not the one that makes the replies
        self.dropped = 0  # how often something was not said to its end
        self.cut_s = 0.0  # of what was dropped last: seconds of its audio that were heard
        voice.on_first_sent = self._first_sent
        voice.on_first_played = self._first_played

    # what the conversation wants said

    def want(self, caller_text: str | None, providers: Mapping[str, str | None]) -> Reply:
        """A reply is wanted; the pipeline will make it."""
        self.current = Reply(caller_text, self._clock(), self._wall_clock(), dict(providers))
        return self.current

    def play(self, phrase: Phrase) -> Reply:
        """Say a phrase that is ready. What was being said must be over or dropped."""
        voice = self.phrase_voice or self._providers.get("tts")
        reply = self.want(None, {**self._providers, "stt": None, "llm": None, "tts": voice})
        if self._voice.held:
            self._voice.release()  # of a contest over a reply that came to nothing
        reply.start = self._voice.queued
        phrase.place(reply.script, reply.start)
        self._voice.say(phrase.audio(self._voice.form))
        self._ended(reply)
        self._listener.reply_begins(reply)
        return reply

    def fill(self, phrase: Phrase) -> None:
        """Say a phrase that is ready before the reply that is being made, once; the reply follows
        it without a gap, or whenever it comes."""
        reply = self.current
        if reply is None or reply.audible or self._voice.held:
            return
        start, script, audio = self._voice.queued, Script(), phrase.audio(self._voice.form)
        phrase.place(script, start)
        reply.filler = Filler(start, start + self._voice.form.ticks(audio), script)
        self._voice.say(audio)
        self._voice.finish()

    def drop(self, *, through_pipeline: bool, taken_back: bool) -> Reply | None:
        """Say no more of the current reply; it is over now, with what was heard of it.
        `through_pipeline`: an interruption is sent through the pipeline, and what comes out of it
        before that belongs to the dropped reply. `taken_back`: where nothing was heard, the
        caller's words go into the next turn, and this one leaves no trace."""
        reply, self.current = self.current, None
        queued, position = self._voice.queued, self._voice.drop()
        if through_pipeline:
            self._stale += 1
        if reply is not None:
            played = min(position, self._voice.played())
            self.dropped += 1
            self.cut_s = 0.0 if reply.start is None else max(0, played - reply.start) / TICKS_PER_S
            all_heard = reply.end is not None and played >= reply.end
            reply.interrupted = reply.audible and not all_heard
            self._finalise(reply, played, queued, taken_back=taken_back)
        return reply

    # holding the voice while the caller's sound is judged

    def silence(self) -> None:
        self._cut = self._voice.silence()

    def resume(self) -> None:
        """Go on from the start of the word that was cut."""
        reply, position = self.current, self._cut
        if reply is not None:
            position = reply.resumes_at(position, self._voice.queued)
        self._voice.resume(position)

    async def place_exactly(self) -> None:
        """Find out where the words lie in the middle of which the voice was silenced, where that
        was a guess: the caller may take the floor there."""
        if self.current is not None:
            await self.current.place_exactly(self._cut)

    @property
    def index(self) -> int:
        """Of the turn that is made now, or comes next."""
        return self._index

    @property
    def settled(self) -> bool:
        """Nothing is being made for the caller, and nothing dropped is on its way any more."""
        return not self._stale and (self.current is None or self.current.generated)

    def forget_dropped(self) -> None:
        """What was dropped will not come: the pipeline that made it is gone."""
        self._stale = 0

    @property
    def occupied(self) -> bool:
        """Something is wanted, or being said."""
        return self.current is not None

    @property
    def asked(self) -> bool:
        """What was heard so far ends in a question, or nearly all was heard."""
        reply = self.current
        if reply is None or not reply.audible:
            return True
        played = self._voice.played()
        heard = reply.heard(played, self._voice.queued)
        nearly_over = reply.generated and self._voice.queued - played < NEARLY_OVER
        return nearly_over or heard.rstrip().endswith("?")

    # what the pipeline's end says (`transport.Spoken`)

    def reply_started(self) -> None:
        return None

    def reply_words(self, frame: WordTimesFrame) -> None:
        reply = self._live()
        if reply is not None:
            reply.place(frame, self._voice.queued)

    def reply_text(self, text: str, position_s: float | None) -> None:
        reply = self._live()
        if reply is not None:
            reply.add(text, position_s, self._voice.queued)

    def reply_audio(self, audio: bytes) -> None:
        reply = self._live()
        if reply is None:
            return
        if reply.start is None:
            reply.start = self._voice.queued
            reply.first_audio_at = self._clock()
            self._voice.then(reply.start + COUNTS_AFTER, lambda: self._count(reply))
            self._voice.say(audio)
            self._listener.reply_begins(reply)
        else:
            self._voice.say(audio)

    def reply_taken_back(self, at_s: float) -> float | None:
        reply = self._live()
        if reply is None or reply.start is None:
            return None
        left = self._voice.take_back(reply.start + int(at_s * TICKS_PER_S))
        return (left - reply.start) / TICKS_PER_S

    def reply_ended(self) -> None:
        reply = self._live()
        if reply is None or reply.generated:
            return
        if reply.audible:
            self._ended(reply)
        else:
            self.current = None
            self._finalise(reply, self._voice.played(), self._voice.queued)

    def reply_dropped(self) -> None:
        self._stale = max(0, self._stale - 1)

    def _live(self) -> Reply | None:
        """The reply that what comes out of the pipeline belongs to; phrases do not come from it."""
        reply = self.current
        if self._stale or reply is None or reply.generated:
            return None
        return reply

    def _ended(self, reply: Reply) -> None:
        reply.generated = True
        reply.end = self._voice.queued
        self._voice.finish()
        self._voice.then(reply.end, lambda: self._over(reply))

    def _over(self, reply: Reply) -> None:
        if self.current is reply:
            self.current = None
            self._finalise(reply, self._voice.played(), self._voice.queued)

    def _count(self, reply: Reply) -> None:
        if not reply.counted:
            reply.counted = True
            self._listener.reply_counts(reply)

    def _finalise(
        self, reply: Reply, played: int, queued: int, *, taken_back: bool = False
    ) -> None:
        heard, answer = reply.heard(played, queued), reply.heard_of_itself(played, queued)
        turn = None
        if answer:
            self._count(reply)
            message: Any = {"role": "assistant", "content": answer}  # a model would learn fillers
            self.context.add_message(message)
        if heard or (reply.caller_text and not taken_back):
            turn = reply.turn(self._index, heard)
            if taken_back and not reply.counted:
                turn = replace(turn, caller_text=None)  # these words are in the next turn
            self._index += 1
        self._listener.reply_is_over(reply, turn)

    def _first_sent(self, position: int) -> None:
        reply = self.current
        if reply is not None and reply.first_sent_ms is None and reply.audible:
            reply.first_sent_ms = self._stream_ms(self._clock())

    def _first_played(self, ticks: int) -> None:
        """A mark says that the first piece was played: its end is the last frame that came in."""
        reply = self.current
        if reply is not None and reply.first_played_ms is None:
            end_ms = self._frame_end_ms()
            reply.first_played_ms = max(0.0, end_ms - ticks * 1000 / TICKS_PER_S)
