"""How an English text feels, by words that people have judged: VADER (Hutto and Gilbert, 2014,
"A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text").

It knows words and their negation, no meaning: "I waited an hour" has none of them. Other languages
are not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Label = Literal["positive", "neutral", "negative"]
# wider than VADER's own 0.05: "cancel", "no" and "I would like" are everyday words here
BAND = 0.37
MOST_CHARS = 10_000


@dataclass(frozen=True, slots=True)
class Sentiment:
    """`score` is from -1 to 1."""

    label: Label
    score: float


def sentiment(text: str) -> Sentiment | None:
    """Of an English text; None where there is no word in it."""
    from vader import polarity_scores

    if not any(map(str.isalpha, text)):
        return None
    score = float(polarity_scores(text[:MOST_CHARS])["compound"])
    label: Label = "neutral"
    if abs(score) >= BAND:
        label = "positive" if score > 0 else "negative"
    return Sentiment(label, round(score, 3))
