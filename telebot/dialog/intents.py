"""Which intents a sentence holds: by the agent's keywords, else by likeness to its examples.

A sentence is cut into clauses, so that two questions in one sentence are both found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from telebot.dialog import similarity
from telebot.dialog.agent_file import Intent
from telebot.dialog.hearing import Utterance, read
from telebot.dialog.words import FILLERS

THRESHOLD = 0.62
MARGIN = 0.05
JOINS = frozenset("and but also or plus".split())
_WH = frozenset("what when where how time which days day hours late early long do you".split())
_QUESTION = re.compile(
    r"^(?:where|what time|how|do you|are you|is there|can i|could i|may i|i would like|i want)\b"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """An intent and the characters [start, end) of the clause that holds it."""

    intent: str
    start: int
    end: int
    by: Literal["keyword", "only", "likeness"]


@dataclass(frozen=True, slots=True)
class Scored:
    """An intent and how sure it is: 1 for its words, the likeness to an example else."""

    intent: str
    score: float
    hit: Hit


@dataclass(frozen=True, slots=True)
class _Rules:
    name: str
    keywords: tuple[re.Pattern[str], ...]
    only: frozenset[str]
    unless: tuple[re.Pattern[str], ...]


def clauses(heard: Utterance) -> list[tuple[int, int]]:
    """Character ranges of clauses: cut at pauses, joining words and new questions."""
    cuts = [0]
    for index in range(1, len(heard.words)):
        word, before = heard.words[index], heard.words[index - 1].text
        question = before not in _WH and _QUESTION.match(heard.text[heard.starts[index] :])
        if word.after_pause or word.text in JOINS or question:
            cuts.append(heard.starts[index])
    ends = [*(cut - 1 for cut in cuts[1:]), len(heard.text)]
    return list(zip(cuts, ends, strict=True))


class IntentMatcher:
    """The intents of one agent, compiled. Immutable; shared by all calls."""

    def __init__(self, intents: Mapping[str, Intent]) -> None:
        self._rules = tuple(_compile(name, intent) for name, intent in intents.items())
        self._example_names: list[str] = []
        sentences: list[str] = []
        for name, intent in intents.items():
            sentences += [_plain(example) for example in intent.examples]
            self._example_names += [name] * len(intent.examples)
        self._examples = similarity.vectors(sentences) if sentences else None

    def match(self, heard: Utterance, *, likeness: bool = True) -> list[Hit]:
        """Every intent, in the order of the sentence, each once. `likeness` allows the guess."""
        ways = _ways(heard.text)
        only = [rule.name for rule in self._rules if ways & rule.only]
        if only:
            return [Hit(name, 0, len(heard.text), "only") for name in only]
        hits: list[Hit] = []
        for start, end in clauses(heard):
            clause = heard.text[start:end]
            found = sorted((at, name) for name, at in self._keyword_hits(clause))
            hits += [Hit(name, start, end, "keyword") for _, name in found]
        hits = hits or self._courtesies(heard)
        if not hits and likeness:
            guess = self._most_alike(heard.text)
            hits = [Hit(guess, 0, len(heard.text), "likeness")] if guess else []
        return _each_once(hits)

    def scored(self, heard: Utterance) -> list[Scored]:
        """As `match`, with scores; likeness is judged of each clause that holds no keyword, so that
        several intents are found by their examples too."""
        found = [Scored(hit.intent, 1.0, hit) for hit in self.match(heard, likeness=False)]
        taken = [(each.hit.start, each.hit.end) for each in found]
        left = [span for span in clauses(heard) if span not in taken]
        if not found:
            left = [(0, len(heard.text)), *left]
        for start, end in left:
            if any(a < end and start < b for a, b in taken):
                continue
            guess = self._guessed(heard.text[start:end])
            if guess is not None:
                hit = Hit(guess[0], start, end, "likeness")
                found.append(Scored(guess[0], round(guess[1], 3), hit))
        best: dict[str, Scored] = {}
        for each in sorted(found, key=lambda each: (-each.score, each.hit.start)):
            best.setdefault(each.intent, each)
        return sorted(best.values(), key=lambda each: each.hit.start)

    def _keyword_hits(self, clause: str) -> list[tuple[str, int]]:
        found = []
        for rule in self._rules:
            places = [m.start() for p in rule.keywords if (m := p.search(clause))]
            if places and not any(pattern.search(clause) for pattern in rule.unless):
                found.append((rule.name, min(places)))
        return found

    def _courtesies(self, heard: Utterance) -> list[Hit]:
        """Clauses that are an intent as a whole; beside anything else they are mere politeness."""
        return [
            Hit(rule.name, start, end, "only")
            for start, end in clauses(heard)
            for rule in self._rules
            if " " in heard.text[start:end] and _ways(heard.text[start:end]) & rule.only
        ]

    def _most_alike(self, text: str) -> str | None:
        guess = self._guessed(text)
        return guess[0] if guess else None

    def _guessed(self, text: str) -> tuple[str, float] | None:
        words = text.split()
        if self._examples is None or len(words) < 2:
            return None
        scores = self._examples @ similarity.vectors([" ".join(words[:40])])[0]
        best = int(np.argmax(scores))
        name = self._example_names[best]
        others = [s for s, n in zip(scores, self._example_names, strict=True) if n != name]
        clear = not others or scores[best] - max(others) >= MARGIN
        return (name, float(scores[best])) if scores[best] >= THRESHOLD and clear else None


def _compile(name: str, intent: Intent) -> _Rules:
    return _Rules(
        name,
        tuple(_pattern(words) for words in intent.keywords),
        frozenset(_plain(words) for words in intent.only),
        tuple(_pattern(words) for words in intent.unless),
    )


def _plain(words: str) -> str:
    return read(words).text


def _pattern(words: str) -> re.Pattern[str]:
    """ "park*" is any word that begins so; "{number} people" has any number; "what ... close"
    allows up to five words between.
    """
    parts = [" ".join(_word(word) for word in part.split()) for part in words.split("...")]
    return re.compile(r"(?<!\S)" + r"(?: \S+){0,5}? ".join(filter(None, parts)) + r"(?!\S)")


def _word(word: str) -> str:
    if word == "{number}":
        return r"\d{1,4}"
    return re.escape(_plain(word.rstrip("*"))) + (r"[\w']*" if word.endswith("*") else "")


def _ways(text: str) -> frozenset[str]:
    """The text with and without the politeness around it: "um, no thanks" and "no thanks"."""
    words = text.split()
    first = next((i for i, word in enumerate(words) if word not in FILLERS), len(words))
    last = next((i for i in range(len(words), first, -1) if words[i - 1] not in FILLERS), first)
    if words[last - 2 : last] == ["thank", "you"] and last - first > 2:
        last -= 2
    ranges = ((0, len(words)), (first, len(words)), (0, last), (first, last))
    return frozenset(" ".join(words[a:b]) for a, b in ranges if a < b)


def _each_once(hits: list[Hit]) -> list[Hit]:
    seen: dict[str, Hit] = {}
    for hit in hits:
        seen.setdefault(hit.intent, hit)
    return list(seen.values())
