"""From what a recogniser wrote to words the rules can read: lower case, no contractions, numbers
as digits ("twenty first" → "21st"). `slots/` and `intents.py` read the result.

Casing and punctuation of a recogniser are unreliable, so they are kept only as hints: the raw form
of a word (for names) and whether punctuation stood before it (for clauses).
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from telebot.dialog import words as w

MAX_CHARS = 2000
_TOKEN = re.compile(r"\+?\d+(?:[:.]\d\d)?(?:st|nd|rd|th)?(?!\w)|\+?\d+|[^\W\d_]+(?:['-][^\W\d_]+)*")
_SPELLINGS = tuple((re.compile(pattern, re.I), to) for pattern, to in w.SPELLINGS)
_PUNCTUATION = re.compile(r"[.,;:!?]")


@dataclass(frozen=True, slots=True)
class Word:
    """`text` is what rules see; `raw` what the recogniser wrote, casing kept; `place` its
    characters [start, end) in what was written, where `placed` has read it."""

    text: str
    raw: str
    after_pause: bool = False
    place: tuple[int, int] = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Utterance:
    """Words and their text joined by single spaces; `starts[i]` is where word i begins in it."""

    words: tuple[Word, ...]
    text: str
    starts: tuple[int, ...]

    def index_at(self, position: int) -> int:
        """The index of the word that holds this character of `text`."""
        return max(0, sum(1 for start in self.starts if start <= position) - 1)


def utterance(words: Iterable[Word]) -> Utterance:
    """Join words and remember where each begins."""
    kept, starts, at = tuple(words), [], 0
    for word in kept:
        starts.append(at)
        at += len(word.text) + 1
    return Utterance(kept, " ".join(word.text for word in kept), tuple(starts))


def without(heard: Utterance, ranges: Iterable[tuple[int, int]]) -> Utterance:
    """The utterance with the words in these character ranges made unreadable, in their places."""
    spans = tuple(ranges)
    words = tuple(
        replace(word, text="#" * len(word.text))
        if any(start <= at < end for start, end in spans) else word
        for word, at in zip(heard.words, heard.starts, strict=True)
    )  # fmt: skip
    return utterance(words)


def split(heard: str) -> tuple[Word, ...]:
    """Words as rules see them, numbers still spelled as they were heard.

    Hesitations are dropped, and the commas around them with them.
    """
    text = unicodedata.normalize("NFKC", heard[:MAX_CHARS])[:MAX_CHARS].replace("’", "'")
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return _tokens(text)


def _tokens(text: str) -> tuple[Word, ...]:
    found: list[Word] = []
    end, hesitated = 0, False
    for match in _TOKEN.finditer(text):
        pause = not hesitated and bool(_PUNCTUATION.search(text, end, match.start()))
        if match.group().lower() in w.HESITATIONS:
            hesitated = True
            continue
        found.extend(_expand(match.group(), pause, match.span()))
        end, hesitated = match.end(), False
    return tuple(found)


def _expand(raw: str, pause: bool, place: tuple[int, int]) -> Iterable[Word]:
    low = raw.lower()
    parts = w.CONTRACTIONS.get(low, low).split()
    if len(parts) == 1 and "-" in low and not _double_name(raw):
        pieces = raw.split("-")
        return [Word(p.lower(), p, pause and i == 0, place) for i, p in enumerate(pieces)]
    raws = [raw] if len(parts) == 1 else parts
    return [
        Word(part, each, pause and at == 0, place)
        for at, (part, each) in enumerate(zip(parts, raws, strict=True))
    ]


def _double_name(raw: str) -> bool:
    """ "Smith-Jones" and "mm-hmm" stay one word; "half-past" and "J-O-H-N" do not."""
    pieces = raw.split("-")
    capitals = all(piece[:1].isupper() and len(piece) > 1 for piece in pieces)
    return capitals or pieces[0].lower() in ("mm", "uh")


def fold_numbers(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Replace number words by digits: "twenty one" → "21", "first" → "1st", "two hundred" → "200".

    "seven thirty" stays two numbers, as it is a time.
    """
    folded: list[Word] = []
    at = 0
    while at < len(words):
        text, used = _number_at([word.text for word in words[at : at + 5]])
        if used and not _is_pronoun(words, at):
            raw = " ".join(word.raw for word in words[at : at + used])
            place = (words[at].place[0], words[at + used - 1].place[1])
            folded.append(Word(text, raw, words[at].after_pause, place))
        else:
            folded.append(words[at])
        at += used or 1
    return tuple(folded)


def _is_pronoun(words: tuple[Word, ...], at: int) -> bool:
    """Whether this "one" stands for a thing: "book a new one"."""
    if words[at].text != "one" or at == 0 or words[at].after_pause:
        return False
    following = words[at + 1].text if at + 1 < len(words) else ""
    return words[at - 1].text in w.BEFORE_ONE and following not in w.AFTER_HOUR


def _number_at(texts: list[str]) -> tuple[str, int]:
    """The number at the head of these words and how many words it takes (0: no number)."""
    value, used, ordinal = _below_hundred(texts)
    if used and not ordinal and texts[used : used + 1] == ["hundred"]:
        rest_at = used + 1 + (texts[used + 1 : used + 2] == ["and"])
        rest, more, ordinal = _below_hundred(texts[rest_at:])
        if more:
            return _digits(value * 100 + rest, ordinal), rest_at + more
        return str(value * 100), used + 1
    return (_digits(value, ordinal), used) if used else ("", 0)


def _below_hundred(texts: list[str]) -> tuple[int, int, bool]:
    head = texts[0] if texts else ""
    following = texts[1] if len(texts) > 1 else ""
    if head in w.TENS:
        if w.UNITS.get(following):
            return w.TENS[head] + w.UNITS[following], 2, False
        if following in w.ORDINAL_UNITS:
            return w.TENS[head] + w.ORDINAL_UNITS[following], 2, True
        return w.TENS[head], 1, False
    for table, ordinal in (
        (w.UNITS, False),
        (w.TEENS, False),
        (w.ORDINAL_UNITS, True),
        (w.ORDINAL_TEENS, True),
    ):
        if head in table:
            return table[head], 1, ordinal
    return 0, 0, False


def _digits(value: int, ordinal: bool) -> str:
    if not ordinal:
        return str(value)
    suffix = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10)
    return f"{value}{suffix or 'th'}"


def placed(written: str) -> Utterance:
    """As `read`, and each word knows its place in what was written."""
    text, starts, ends = "", list[int](), list[int]()
    for start, end in _clusters(written[:MAX_CHARS]):
        plain = unicodedata.normalize("NFKC", written[start:end]).replace("’", "'")
        text += plain
        starts += [start] * len(plain)
        ends += [end] * len(plain)
    for pattern, replacement in _SPELLINGS:
        for match in reversed(list(pattern.finditer(text))):
            a, b = match.span()
            new = match.expand(replacement)
            first, last = (starts[a], ends[b - 1]) if b > a else (0, 0)
            text = text[:a] + new + text[b:]
            starts[a:b], ends[a:b] = [first] * len(new), [last] * len(new)
    words = (
        replace(word, place=(starts[word.place[0]], ends[word.place[1] - 1]))
        for word in _tokens(text)
    )
    return utterance(fold_numbers(tuple(words)))


def _clusters(text: str) -> Iterable[tuple[int, int]]:
    """Each character with the marks that belong to it: what NFKC composes."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not unicodedata.combining(text[at]):
            yield start, at
            start = at


def read(heard: str) -> Utterance:
    """Everything at once, without repairs: used for the agent file's own words."""
    return utterance(fold_numbers(split(heard)))
