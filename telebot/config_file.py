"""One YAML file of the configuration: read with its lines, checked, and its faults told.

Knows no setting: `settings.py` says what may stand in a file. Every fault names where the value
came from (file and line, or the variable that set it) and what to write instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from telebot.yaml_nodes import composed, constructed

T = TypeVar("T", bound=BaseModel)
GROUP = "write `name: value` lines below it, indented"
# what YAML complains of, and what to do about it
HINTS = (
    ("\\t", "indent with spaces, never with the tab key"),
    ("mapping values are not allowed", 'put a text that holds ": " in double quotes'),
    (
        "expected <block end>",
        "line this up with the entries above it, and close every quotation mark before it",
    ),
    ("could not find expected ':'", 'write "name: text", with a space after the colon'),
    ("found unexpected end of stream", "close the quotation mark that is left open"),
    ("expected ',' or ']'", "close the list with ]"),
    ("expected ',' or '}'", 'put a text that begins with { in double quotes, "{…}"'),
)
INSTEAD = {"model_type": GROUP, "dict_type": GROUP, "missing": "is missing; write it here"}


class SettingsError(Exception):
    """The configuration cannot be used; one line for each fault, with what to write instead."""


@dataclass(slots=True)
class ConfigFile:
    """What was read, as a tree; `sources` tells by dotted name where a value came from, the file
    itself by the empty name."""

    tree: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: Any, source: str) -> None:
        """Set a value by its dotted name. What stands there and is no group stays, to be refused
        when the whole is checked."""
        tree = self.tree
        *groups, last = name.split(".")
        for group in groups:
            tree = tree.setdefault(group, {})
            if not isinstance(tree, dict):
                return
        tree[last] = value
        self.sources[name] = source

    def checked(self, model: type[T], *, also: Iterable[str] = (), prefix: str = "") -> T:
        """The tree as `model`. `also` are names that others read; `prefix` stands before every
        name. Raises `SettingsError` with every fault at once."""
        try:
            return model.model_validate(self.tree)
        except ValidationError as error:
            told = [self._told(model, dict(fault), [*also], prefix) for fault in error.errors()]
            raise SettingsError("\n".join(dict.fromkeys(told))) from None

    def _told(
        self, model: type[BaseModel], fault: dict[str, Any], also: list[str], prefix: str
    ) -> str:
        kind, place = fault["type"], tuple(str(part) for part in fault["loc"])
        if kind == "extra_forbidden":
            text = f"no such setting{_near(model, place, also, prefix)}"
        else:
            text = INSTEAD.get(kind) or fault["msg"].removeprefix("Value error, ")
            if kind != "missing":
                place = _written(self.tree, place)
        return told(self.sources, prefix + ".".join(place), text)


def told(sources: dict[str, str], name: str, text: str) -> str:
    """A fault in one line: where, which setting, what to write instead."""
    nearest = name
    while nearest not in sources and nearest:
        nearest = nearest.rpartition(".")[0]
    where = sources.get(nearest, "")
    return f"{where}: {name}: {text}" if where else f"{name}: {text}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'server.http'?`` where one of `known` is near `name`, else nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _near(model: type[BaseModel], place: tuple[str, ...], also: list[str], prefix: str) -> str:
    """What may have been meant: a name like it in the same group, or the same name in another."""
    name, last = prefix + ".".join(place), place[-1]
    every = [prefix + known for known in (*_names(model, ""), *also)]
    beside = [known for known in every if known.rpartition(".")[0] == name.rpartition(".")[0]]
    moved = [known for known in every if known.rpartition(".")[2] == last]
    return did_you_mean(name, beside) or "".join(f"; did you mean {it!r}?" for it in moved[:1])


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, info in model.model_fields.items():
        if info.exclude:
            continue
        yield prefix + name
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _names(info.annotation, f"{prefix}{name}.")


def _written(tree: Any, place: tuple[str, ...]) -> tuple[str, ...]:
    """`place` as far as it stands in the file: the rest names one of several types."""
    for depth, part in enumerate(place):
        if not isinstance(tree, dict) or part not in tree:
            return place[:depth]
        tree = tree[part]
    return place


def explained(error: yaml.MarkedYAMLError) -> tuple[int, str, str]:
    """Line, fault and remedy of a text that is no YAML."""
    left_open = "end of stream" in str(error.problem) and error.context_mark
    mark = left_open or error.problem_mark or error.context_mark
    instead = "check the indentation and the quotation marks around this line"
    for sign, remedy in HINTS:
        if sign in str(error.problem):
            instead = remedy
            break
    return mark.line + 1 if mark else 1, f"not readable as YAML ({error.problem})", instead


def read(path: Path) -> ConfigFile:
    """A file of `key: value` lines. Raises `SettingsError` where it is none."""
    try:
        root = composed(path.read_text(encoding="utf-8"))
        lines = [] if root is None else [*_lines(root, "")]  # before merges are written out
        tree = None if root is None else constructed(root)
    except yaml.MarkedYAMLError as error:
        line, problem, instead = explained(error)
        raise SettingsError(f"{path}:{line}: {problem}; {instead}") from None
    except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
        raise SettingsError(f"{path}: not readable as YAML: {error}") from error
    if tree is None:
        return ConfigFile({}, {"": str(path)})
    if not isinstance(tree, dict):
        raise SettingsError(f"{path}: must hold `key: value` lines")
    sources = {"": str(path)}
    for name, line in lines:
        if name in sources:
            raise SettingsError(f"{path}:{line}: {name}: stands here twice")
        sources[name] = f"{path}:{line}"
    # a heading alone, all below it commented out, sets nothing
    return ConfigFile({key: value for key, value in tree.items() if value is not None}, sources)


def _lines(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
    """Dotted name and line of every key."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            yield name, key.start_mark.line + 1
            yield from _lines(value, f"{name}.")
