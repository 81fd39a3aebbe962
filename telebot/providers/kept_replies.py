"""Replies of models to questions that were asked before, for agents that allow it.

A reply is kept for the first question of a conversation only, by the agent's version, the model and
what was said so far. `KeptReplies` is the process's, in memory, within a bound of bytes, each reply
for a time of its own; `Reuse` is one agent's use of it. Whether something is about nobody in
particular, and may be kept, is asked of whom the agent hands in (`speech/impersonal.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from telebot.providers.bounded import Bounded
from telebot.providers.clip_cache import CacheStats
from telebot.providers.link import Link

LIMIT_BYTES = 4 << 20
ENTRY_BYTES = 200  # what an entry takes beside its text
LONGEST_REPLY = 2000  # characters


class Impersonal(Protocol):
    """Says what may be kept: nothing with digits or names in it."""

    def question(self, text: str) -> str | None:
        """What the caller said in its normal form; None where it may be about the caller."""
        ...

    def reply(self, text: str) -> bool:
        """The reply may be said to anybody."""
        ...


@dataclass(frozen=True, slots=True)
class _Kept:
    sentences: tuple[str, ...]
    until: float


class KeptReplies:
    """Belongs to the event loop."""

    def __init__(self, clock: Callable[[], float], limit_bytes: int = LIMIT_BYTES) -> None:
        self._clock = clock
        self._replies: Bounded[_Kept] = Bounded(limit_bytes)
        self._hits = self._misses = 0

    def find(self, keys: Sequence[str]) -> tuple[int, tuple[str, ...]] | None:
        """The first of these that is kept, with its number."""
        for number, key in enumerate(keys):
            kept = self._replies.get(key)
            if kept is not None and kept.until > self._clock():
                self._hits += 1
                return number, kept.sentences
            self._replies.pop(key)
        self._misses += 1
        return None

    def put(self, key: str, sentences: Sequence[str], life_s: float) -> None:
        """Keep a whole reply for `life_s`."""
        size_bytes = ENTRY_BYTES + sum(len(sentence.encode()) for sentence in sentences)
        self._replies.put(key, _Kept(tuple(sentences), self._clock() + life_s), size_bytes)

    def stats(self) -> CacheStats:
        """First questions that may be answered again: answered so, or not; replies kept."""
        return CacheStats(self._hits, self._misses, len(self._replies), self._replies.size_bytes)


@dataclass(frozen=True, slots=True)
class Reuse:
    """`version` changes with the agent's file."""

    kept: KeptReplies
    version: str
    life_s: float
    impersonal: Impersonal

    def question(self, messages: Sequence[Any]) -> str | None:
        """What was said so far, where that is a conversation's first question, behind the greeting
        at the most, and one that anybody may ask."""
        texts = [_text(message) for message in messages]
        if not messages or None in texts or len(messages) > 2:
            return None
        roles = [message["role"] for message in messages]
        if roles not in (["user"], ["assistant", "user"]):
            return None
        asked = self.impersonal.question(texts[-1] or "")
        return None if asked is None else "\n".join([*map(str, texts[:-1]), asked])

    def find(self, question: str, links: Sequence[Link]) -> tuple[Link, tuple[str, ...]] | None:
        """The reply that one of these models gave."""
        able = [link for link in links if not link.whole]
        found = self.kept.find([self._key(link, question) for link in able]) if able else None
        return None if found is None else (able[found[0]], found[1])

    def offer(self, question: str, link: Link, sentences: Sequence[str]) -> None:
        """A model has answered it, from the first word to the last."""
        text = " ".join(sentences)
        fits = bool(text) and len(text) <= LONGEST_REPLY and not link.whole
        if fits and self.impersonal.reply(text):
            self.kept.put(self._key(link, question), sentences, self.life_s)

    def _key(self, link: Link, question: str) -> str:
        raw = "\0".join((self.version, link.name, question))
        return hashlib.sha256(raw.encode()).hexdigest()


def _text(message: Any) -> str | None:
    """The words of a message that is nothing but words."""
    if not isinstance(message, dict) or set(message) - {"role", "content"}:
        return None
    content = message.get("content")
    return content if isinstance(content, str) else None
