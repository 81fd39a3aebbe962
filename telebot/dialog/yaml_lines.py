"""YAML with the line of every key and value, so that each complaint can name its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from telebot.config_file import explained
from telebot.dialog.errors import Problem
from telebot.yaml_nodes import composed, has_alias

Place = tuple[str | int, ...]
MAX_BYTES = 1_000_000
MAX_DEPTH = 12


class NotYaml(Exception):
    """The text is no YAML that an agent file may hold."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.problem)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Marked:
    """Plain data beside the line (from 1) of every place in it; duplicates are `problems`."""

    data: Any
    lines: Mapping[Place, int]
    problems: tuple[Problem, ...]

    def line_of(self, place: Place) -> int:
        """The line of this place, or of the nearest place around it."""
        for end in range(len(place), -1, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return 1


def load(text: str) -> Marked:
    """Parse `text`. Raises NotYaml with the line where reading stopped."""
    if len(text) > MAX_BYTES:
        raise NotYaml(Problem(1, "the file is larger than a megabyte", "split the agent in two"))
    try:
        if has_alias(text):
            _refuse_aliases(text)
        try:
            node = composed(text)
        except RecursionError:
            _refuse_aliases(text)  # a fault of the text itself is told before its depth
            raise
    except yaml.MarkedYAMLError as error:
        raise NotYaml(Problem(*explained(error))) from None
    except RecursionError:
        raise NotYaml(Problem(1, "nested too deep", "write it flatter")) from None
    except yaml.YAMLError as error:
        raise NotYaml(
            Problem(1, f"not readable as YAML ({error})", "save it as UTF-8 text")
        ) from None
    lines: dict[Place, int] = {(): 1}
    problems: list[Problem] = []
    data = _plain(node, (), lines, problems) if node is not None else {}
    return Marked(data, lines, tuple(problems))


def _refuse_aliases(text: str) -> None:
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise NotYaml(
                Problem(
                    _line(event.start_mark),
                    "a text that begins with * repeats another part of the file",
                    "put the text in double quotes, or write the part out again",
                )
            )


def _line(mark: Any) -> int:
    return mark.line + 1 if mark else 1


def _plain(node: yaml.Node, place: Place, lines: dict[Place, int], bad: list[Problem]) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if len(place) > MAX_DEPTH:
        bad.append(Problem(node.start_mark.line + 1, "nested too deep", "write it flatter"))
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, lines, bad)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*place, i), lines, bad) for i, item in enumerate(node.value)]
    return _scalar(node)


def _mapping(
    node: yaml.MappingNode, place: Place, lines: dict[Place, int], bad: list[Problem]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
        line = key_node.start_mark.line + 1
        if not key:
            bad.append(Problem(line, "a name is missing here", 'write "name: text"'))
        elif key in found:
            first = lines[(*place, key)]
            problem = f'"{key}" stands here again (first in line {first})'
            bad.append(Problem(line, problem, "keep one of the two, or give this another name"))
        else:
            lines[(*place, key)] = line
            found[key] = _plain(value_node, (*place, key), lines, bad)
    return found


def _scalar(node: yaml.Node) -> str | int | bool | None:
    """Numbers, true/false and nothing; all else is text ("12:30", "yes" and 2026-12-25 too)."""
    text = str(node.value)
    if isinstance(node, yaml.ScalarNode) and not node.style:
        if re.fullmatch(r"-?[1-9]\d{0,8}|0", text):
            return int(text)
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        if text in ("", "~", "null"):
            return None
    return text
