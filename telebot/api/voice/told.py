"""Who was asked and who was not, in the headers of an answer that is no JSON of ours."""

from __future__ import annotations

from collections.abc import Sequence

from telebot.voice.attempts import Attempt
from telebot.voice.routing import Skipped

ATTEMPTED = (
    ("x-attempts", "how many were asked"),
    ("x-failed", "who failed and how: `provider/model;cause`, with commas"),
    ("x-skipped", "who was not asked and why: `provider/model;why`, with commas"),
)
MOST = 1000  # characters of a header


def attempts_headers(attempts: Sequence[Attempt], skipped: Sequence[Skipped]) -> dict[str, str]:
    """``x-attempts`` is how many were asked; ``x-failed`` who failed and how, ``x-skipped`` who was
    not asked and why, each as ``provider;cause``, with commas."""
    failed = [f"{made.provider};{made.cause}" for made in attempts if made.cause is not None]
    left_out = [f"{one.provider};{one.why.partition(':')[0]}" for one in skipped]
    told = {"x-attempts": str(len(attempts))}
    for name, listed in (("x-failed", failed), ("x-skipped", left_out)):
        if listed:
            text = ", ".join(listed).encode("ascii", "replace").decode()
            told[name] = text.replace("\r", " ").replace("\n", " ")[:MOST]
    return told
