"""Sentences with gaps: "A table for {party_size} at {facts.name}."

Fields are checked when the file is loaded, so rendering cannot fail in a call.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

_FIELD = re.compile(r"\{([^{}]*)\}")
_STRAY = re.compile(r"[{}]")
_DOUBLE_STOP = re.compile(r"(?<!\.)([?!.])\.(?!\.)")
_SENTENCE = re.compile(r"(^|[.!?]\s+)([a-z])")


def fields(template: str) -> list[str]:
    """The names between braces, in order."""
    return [match[1].strip() for match in _FIELD.finditer(template)]


def fault(template: str, allowed: Iterable[str]) -> tuple[str, str] | None:
    """The first thing wrong with a template as (problem, instead), or None."""
    known = sorted(allowed)
    for name in fields(template):
        if name not in known:
            return f'"{{{name}}}" is not known here', _suggestion(name, known)
    if _STRAY.search(_FIELD.sub("", template)):
        return "a brace is left open or stands alone", 'write a field as "{name}", or no braces'
    return None


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f'did you mean "{{{close[0]}}}"?'
    return "use one of " + ", ".join(f"{{{item}}}" for item in known) if known else "write it out"


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill the gaps, a missing value with nothing; the rest stays as it is written."""
    return _FIELD.sub(lambda match: values.get(match[1].strip(), ""), template)


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill the gaps, a missing value with nothing; every sentence then begins with a capital."""
    text = fill(template, values)
    text = _DOUBLE_STOP.sub(r"\1", re.sub(r"\s+", " ", text).strip())
    return _SENTENCE.sub(lambda match: match[1] + match[2].upper(), text)
