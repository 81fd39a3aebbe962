"""Words said against words heard."""

from __future__ import annotations

import re


def bare(text: str) -> list[str]:
    return re.sub(r"[^\w ]", "", text).lower().split()


def word_errors(said: list[str], heard: list[str]) -> int:
    """Levenshtein distance over words."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1]
