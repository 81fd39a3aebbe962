"""Content filters: asked before a text is spoken, and before a model's reply is.

The operator's rules (words and patterns, `settings.voice.filters`) come first, then packages with
an entry point in `telebot.content_filters`, each told what the ones before it have made of the
text. Bounded in time; where one fails, the settings say whether the text is refused or said. No
text stands in the log. Who uses it: `speaking` endpoints by `judged`, replies that grow by
`by_sentence`.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol

import regex
import structlog

from telebot.call.errors import ApiError, ConfigError
from telebot.voice_settings import FilterSettings, WordRule

GROUP = "telebot.content_filters"
MOST_REASON = 200  # characters
LONGEST_SENTENCE = 600  # characters; more without an end is judged as it is
Source = Literal["request", "reply"]  # who wrote the text: who asked, or a model
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a text: `refused` with a reason that who asked is told, else `text` in its
    place, else it is said as it is."""

    text: str | None = None
    refused: str | None = None


ALLOW = Verdict()


def replace(text: str) -> Verdict:
    """Say this instead."""
    return Verdict(text=text)


def refuse(reason: str) -> Verdict:
    """Say nothing. The reason is told to who asked, so it should not hold the text."""
    return Verdict(refused=reason)


@dataclass(frozen=True, slots=True)
class About:
    """Where a text comes from: the id of the API key, and who wrote it."""

    owner: str
    source: Source = "request"
    language: str | None = None


class ContentFilter(Protocol):
    """What a package's entry point builds, from its options of the settings. It must not block:
    what computes for long belongs into a thread."""

    async def judge(self, text: str, about: About) -> Verdict:
        """Raises whatever it likes: the settings say what that means."""
        ...


class Filters:
    """All filters of a server, in their order. `counts` by outcome: allowed, replaced, refused,
    failed."""

    def __init__(self, filters: Sequence[tuple[str, ContentFilter]], settings: FilterSettings):
        self._filters = tuple(filters)
        self._within_s = settings.within_s
        self._open = settings.on_failure == "open"
        self.counts: Counter[str] = Counter()

    def __bool__(self) -> bool:
        """Whether any text is looked at."""
        return bool(self._filters)

    async def judged(self, text: str, about: About, param: str = "text") -> str:
        """The text that may be said. Raises `ApiError`: 422 where it is refused, or nothing is left
        of it, 503 where it cannot be judged."""
        if not self._filters:
            return text
        said, name, until = text, "", asyncio.get_running_loop().time() + self._within_s
        for name, one in self._filters:
            verdict = await self._asked(name, one, said, about, until)
            if verdict.refused is not None:
                self.counts["refused"] += 1
                raise _refused(name, verdict.refused, param)
            said = said if verdict.text is None else verdict.text
        if not said.strip():
            self.counts["refused"] += 1
            raise _refused(name, "nothing is left of it", param)
        self.counts["allowed" if said == text else "replaced"] += 1
        return said

    async def _asked(
        self, name: str, one: ContentFilter, text: str, about: About, until: float
    ) -> Verdict:
        """One filter's verdict. Raises `ApiError` where there is none and the text is not said."""
        verdict: object
        try:
            async with asyncio.timeout_at(until):
                (verdict,) = await asyncio.gather(one.judge(text, about), return_exceptions=True)
        except TimeoutError as late:
            verdict = late
        if isinstance(verdict, Verdict) and isinstance(verdict.text, str | None):
            return verdict
        # neither an error's words nor its trace: the text may stand in them
        log.error("content_filter_failed", filter=name, error=type(verdict).__name__)
        self.counts["failed"] += 1
        if self._open:
            return ALLOW
        raise ApiError(503, "content_filter_failed", "The text cannot be judged.")

    async def by_sentence(
        self, texts: AsyncIterator[str], about: About
    ) -> AsyncGenerator[str, None]:
        """A text that grows, judged a sentence at a time; nothing else of it is changed. Raises as
        `judged`; what was given before that was allowed."""
        if not self._filters:
            async for text in texts:
                yield text
            return
        waiting = ""
        async for text in texts:
            waiting += text
            done, waiting = _parted(waiting)
            if done:
                yield await self.judged(done, about, "reply") if done.strip() else done
        if waiting:
            yield await self.judged(waiting, about, "reply") if waiting.strip() else waiting


def build(settings: FilterSettings) -> Filters:
    """The filters of the settings. Raises ConfigError: a package is not installed, or does not
    build its filter."""
    filters: list[tuple[str, ContentFilter]] = []
    if settings.rules:
        filters.append(("rules", Rules(settings.rules, settings.within_s)))
    known = {point.name: point.value for point in entry_points(group=GROUP)}
    for name, options in settings.packages.items():
        if name not in known:
            raise ConfigError(f"voice.filters.packages: no installed package has a filter {name!r}")
        filters.append((name, _built(name, known[name], options)))
    return Filters(filters, settings)


def _built(name: str, entry: str, options: Mapping[str, Any]) -> ContentFilter:
    path, _, function = entry.partition(":")
    try:
        made: ContentFilter = getattr(importlib.import_module(path), function)(options)
    except Exception as error:  # a package's own code: the server does not start without it
        log.exception("content_filter_not_built", filter=name)
        raise ConfigError(f"voice.filters.packages.{name}: {type(error).__name__}") from error
    if not asyncio.iscoroutinefunction(getattr(made, "judge", None)):
        raise ConfigError(f"voice.filters.packages.{name}: has no `async def judge`")
    return made


class Rules:
    """The operator's words and patterns (a `ContentFilter`). Each rule sees the whole text. They
    are matched in a thread that holds nobody up, for `within_s` at the longest: a pattern may try
    more ways than there is time for, which Python's own `re` would do without letting go."""

    def __init__(self, rules: Sequence[WordRule], within_s: float) -> None:
        self._rules = [(_compiled(rule), _as_written(rule.replace)) for rule in rules]
        self._within_s = within_s

    async def judge(self, text: str, about: About) -> Verdict:
        """Replaced texts are seen by the rules that follow. Raises TimeoutError."""
        return await asyncio.to_thread(self._judged, text)

    def _judged(self, text: str) -> Verdict:
        said, until = text, time.monotonic() + self._within_s
        for pattern, instead in self._rules:
            left_s = max(0.001, until - time.monotonic())
            if instead is not None:
                said = pattern.sub(instead, said, concurrent=True, timeout=left_s)
            elif pattern.search(said, concurrent=True, timeout=left_s):
                return refuse("it holds what this server does not say")
        return ALLOW if said == text else replace(said)


def _compiled(rule: WordRule) -> regex.Pattern[str]:
    """Words count as such only where no letter or digit touches them."""
    words = "|".join(
        r"\s+".join(map(re.escape, phrase.split())) for phrase in rule.words if phrase.strip()
    )
    parts = [rf"(?<!\w)(?:{words})(?!\w)"] if words else []
    parts += [f"(?:{rule.pattern})"] if rule.pattern else []
    return regex.compile("|".join(parts) or r"(?!)", regex.IGNORECASE)


def _as_written(instead: str | None) -> Callable[[regex.Match[str]], str] | None:
    """What is said instead, in which nothing stands for a part of what was found."""
    return None if instead is None else lambda _: instead


def _refused(name: str, reason: str, param: str) -> ApiError:
    message = f"{param}: refused, {str(reason)[:MOST_REASON]}."
    return ApiError(422, "content_refused", message, param, metadata={"filter": name})


_END = re.compile(r"[.!?…。！？]+[\"'”’)\]]*\s+|[。！？]+|\n+")


def _parted(text: str) -> tuple[str, str]:
    """Whole sentences, and what has no end yet."""
    at = max((found.end() for found in _END.finditer(text)), default=0)
    if not at and len(text) > LONGEST_SENTENCE:
        at = text.rfind(" ", 0, LONGEST_SENTENCE) + 1 or LONGEST_SENTENCE
    return text[:at], text[at:]
