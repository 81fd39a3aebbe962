"""When a caller speaks: about ten turns a minute, a third of them barge-ins.

Three turns in 18 s: one that is answered in peace, one whose answer is interrupted by the third.
The schedule is fixed in advance and does not wait for the bot: a server that falls behind gets no
relief from callers who wait for it. Frames are 20 ms, counted from the start of the stream.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.voices import Utterance

CYCLE_S = 18.0
GREETING_S = 4.0  # the greeting and a breath
REPLY_AFTER_S = 0.3  # when the bot is expected to answer, to place the interruption in its reply


@dataclass(frozen=True, slots=True)
class Planned:
    """An utterance and the frame at which it begins."""

    at_frame: int
    utterance: Utterance


def plan(
    utterances: Sequence[Utterance],
    interruptions: Sequence[Utterance],
    seconds: float,
    rng: random.Random,
) -> list[Planned]:
    """What one caller says within `seconds`, in order, without overlap."""
    planned: list[Planned] = []
    cycle_s = GREETING_S + rng.uniform(0, 6) - rng.choice((0.0, 6.5, 11.0))
    while cycle_s < seconds:
        peaceful, answered = rng.choice(utterances), rng.choice(utterances)
        interrupting = rng.choice(interruptions)
        second_s = cycle_s + 6.5 + rng.uniform(0, 0.4)
        third_s = second_s + answered.seconds + REPLY_AFTER_S + rng.uniform(0.8, 1.6)
        for at_s, utterance in (
            (cycle_s + rng.uniform(0, 0.4), peaceful),
            (second_s, answered),
            (third_s, interrupting),
        ):
            if at_s >= GREETING_S and at_s + utterance.seconds < seconds:
                planned.append(Planned(round(at_s * 50), utterance))
        cycle_s += CYCLE_S
    return planned
