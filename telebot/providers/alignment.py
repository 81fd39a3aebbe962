"""From the voice's own phoneme durations to the times of the words as they are written.

Pure; `synthesiser.py` calls it for each sentence, the result travels in `WordTimesFrame`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

from telebot.providers.spoken import Word

PAUSES = frozenset(';:,.!?—…"“”() ')


def phoneme_words(
    phonemes: str, ends_s: Sequence[float], start_s: float
) -> list[tuple[float, float]]:
    """Start and end of each spoken word.

    `phonemes` has a space between words; `ends_s` says for each of its characters when it ends,
    `start_s` when the first begins. The silence of punctuation belongs to no word.
    """
    spans: list[tuple[float, float]] = []
    begin_s, end_s = start_s, None
    for symbol, symbol_end_s in zip(phonemes, ends_s, strict=True):
        if symbol == " ":
            if end_s is not None:
                spans.append((begin_s, end_s))
            begin_s, end_s = symbol_end_s, None
        elif symbol not in PAUSES:
            end_s = symbol_end_s
        elif end_s is None:
            begin_s = symbol_end_s
    if end_s is not None:
        spans.append((begin_s, end_s))
    return spans


def is_plain(word: str) -> bool:
    """Whether `word` is certainly spoken as one word: letters, with punctuation around them."""
    return word.strip(";:,.!?…\"“”'’()").replace("'", "").replace("’", "").isalpha()


def written_words(
    text: str, spans: Sequence[tuple[float, float]], spoken_count: Callable[[str], int]
) -> tuple[Word, ...]:
    """The words of `text` with the times of the spoken words they stand for.

    Mostly one for one; where not all are plain words ("7:30" is two, "-" is none),
    `spoken_count(word)` says how many spoken words a written one makes, scaled when their sum does
    not come out. A word that is not spoken at all gets no length, after its predecessor.
    """
    written = text.split()
    counts = [1] * len(written)
    if len(written) != len(spans) or not all(is_plain(word) for word in written):
        counts = [spoken_count(word) for word in written]
    if not sum(counts):
        counts = [1] * len(written)
    ends = [round(n * len(spans) / sum(counts)) for n in accumulate(counts)]
    words, first, at_s = [], 0, spans[0][0] if spans else 0.0
    for word, last in zip(written, ends, strict=True):
        start_s = spans[first][0] if last > first else at_s
        at_s = spans[last - 1][1] if last > first else at_s
        words.append(Word(start_s, at_s, word))
        first = last
    return tuple(words)


def count_spoken(phonemes: str) -> int:
    """Spoken words in a phoneme string; punctuation alone is none."""
    return sum(any(symbol not in PAUSES for symbol in word) for word in phonemes.split())
