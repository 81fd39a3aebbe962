"""One call measured as its caller hears it: when the bot answers, stops, stutters, falls silent.

Sans-IO and on the caller's clock (seconds, monotonic); `phone_load.py` feeds it what was said and
what arrived, the results land in `stats.Samples`. All figures are raw: the waits that are
configured (VAD stop, scripted recogniser) are taken off where a table is made, and named there.
"""

from __future__ import annotations

from bench.playout import BYTES_PER_S, PlayoutBuffer
from bench.stats import Samples

SAME_REPLY_S = 1.5  # media after a longer silence is a new reply, not a stutter of the old one
AUDIBLE_S = 0.001  # play-out dry for less than a millisecond is rounding of the clock


class CallMeter:
    """Follows one call. `reply_s` is how long an undisturbed reply lasts (to tell a barge-in from
    a reply that ended by itself): onsets in its last second are not measured."""

    def __init__(self, samples: Samples, reply_s: float = 3.0) -> None:
        self.playout = PlayoutBuffer()
        self.samples = samples
        self.reply_s = reply_s
        self.bot_since_s = 0.0
        """When the reply that is (or was last) arriving began."""
        self._start_s = self._onset_s = self._end_s = self._last_s = 0.0
        self._greeted = self._speaking = self._awaiting = self._in_reply = self._early = False
        self._barge = False  # the caller spoke over the bot, which has not been cleared yet

    def start(self, now_s: float) -> None:
        """`start` was sent."""
        self._start_s = now_s

    def onset(self, now_s: float) -> None:
        """The first frame of an utterance was sent."""
        if self._awaiting:
            self.samples.count("unanswered")
        self._settle()
        self._speaking, self._awaiting, self._early, self._onset_s = True, False, False, now_s
        if self._in_reply and self.playout.playing(now_s):
            into_s = now_s - self.bot_since_s
            self._barge = into_s < self.reply_s - 1.0
            self.samples.count("barge_ins" if self._barge else "onsets_near_reply_end")

    def speech_end(self, now_s: float) -> None:
        """The last frame that holds speech was sent."""
        self._speaking, self._end_s = False, now_s
        self._awaiting = not self._early
        self.samples.count("utterances")

    def media(self, size_bytes: int, now_s: float) -> None:
        """Bot audio arrived."""
        before_s, left_s = self.playout.end_s, self.playout.ahead_s(now_s)
        dry_s = self.playout.media(size_bytes, now_s)
        if not self._greeted:
            self._greeted = True
            self.samples.greeting_ms.append((now_s - self._start_s) * 1000)
        if self._barge and not self._speaking and dry_s > 0.06:
            self._stopped_without_clear(before_s)
        if self._in_reply:
            self._piece_of_reply(now_s, dry_s, left_s)
        if not self._in_reply:
            self._new_reply(now_s)
        self._last_s = now_s
        self.samples.piece(size_bytes / BYTES_PER_S)

    def clear(self, now_s: float) -> list[str]:
        """The buffer is emptied; returns the marks to answer."""
        silent_s = min(now_s, self.playout.end_s)
        in_reply = self._in_reply and now_s - self.playout.end_s < SAME_REPLY_S
        if self._barge:
            self.samples.keep(self.samples.onset_clear_ms, now_s - self._onset_s)
            self.samples.keep(self.samples.onset_silent_ms, max(0.0, silent_s - self._onset_s))
            self._barge = False
        elif in_reply and not self._speaking and not self._awaiting:
            self.samples.count("false_stops")
        self._in_reply = False
        return self.playout.clear(now_s)

    def finish(self, now_s: float) -> None:
        """The measured window is over: what has been open for long is counted as missed."""
        if self._awaiting and now_s - self._end_s > 2.0:
            self.samples.count("unanswered")
        self._settle()

    def _settle(self) -> None:
        if self._barge:
            self.samples.count("barge_ins_missed")
            self._barge = False

    def _stopped_without_clear(self, silent_s: float) -> None:
        self.samples.count("stops_without_clear")
        self.samples.keep(self.samples.onset_silent_ms, max(0.0, silent_s - self._onset_s))
        self._barge = self._in_reply = False

    def _piece_of_reply(self, now_s: float, dry_s: float, left_s: float) -> None:
        if self._awaiting and not self._barge and dry_s > AUDIBLE_S:
            self._in_reply = False  # the old reply had ended: this is the answer
        elif dry_s > SAME_REPLY_S:
            self._in_reply = False
        elif not self._barge:  # while the caller speaks over it, holding back is right
            self.samples.interval(now_s - self._last_s, left_s)
            if dry_s > AUDIBLE_S:
                self.samples.keep(self.samples.starvation_ms, dry_s)

    def _new_reply(self, now_s: float) -> None:
        self._in_reply, self.bot_since_s = True, now_s
        if self._speaking:
            self._early = True
            self.samples.count("early_replies")
        elif self._awaiting:
            self._awaiting = False
            self.samples.keep(self.samples.response_ms, now_s - self._end_s)
        else:
            self.samples.count("unasked_replies")
