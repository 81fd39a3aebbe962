"""From a path to a checked `AgentFile`, or to every fault in it with its line."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from telebot.dialog import agent_checks
from telebot.dialog.agent_file import AgentFile, Check, Form, Intent, OnComplete, Repair, Slot
from telebot.dialog.errors import BadAgentFile, Problem
from telebot.dialog.yaml_lines import Marked, NotYaml, Place, load

_INSTEAD = {
    "string_type": 'write a text in double quotes, like "…"',
    "string_too_short": "write at least one word",
    "string_too_long": "write it shorter",
    "int_type": "write a number in digits, like 4",
    "bool_type": "write true or false",
    "list_type": 'write a list: one line per entry, each beginning with "- "',
    "dict_type": 'write indented lines of the form "name: text" below it',
    "model_type": 'write indented lines of the form "name: text" below it',
    "too_short": "add at least one",
    "string_pattern_mismatch": "use small letters, digits and _ in names, one key for a digit",
}
_PARTS: dict[str, type[BaseModel]] = {"intents": Intent, "forms": Form, "repairs": Repair}


def load_agent_file(path: Path) -> AgentFile:
    """Read and check one file. Raises BadAgentFile that lists every fault."""
    try:
        marked = load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadAgentFile(path, 1, f"the file cannot be read ({error.strerror})",
                           "check its name and rights") from None  # fmt: skip
    except UnicodeDecodeError:
        raise BadAgentFile(path, 1, "the file is no UTF-8 text", "save it as UTF-8") from None
    except NotYaml as error:
        raise BadAgentFile.of(path, [error.problem]) from None
    file, problems = _shaped(marked)
    if file is not None:
        problems += [
            Problem(marked.line_of(place), problem, instead)
            for place, problem, instead in agent_checks.faults(file)
        ]
    if problems or file is None:
        raise BadAgentFile.of(path, problems)
    return file


def _shaped(marked: Marked) -> tuple[AgentFile | None, list[Problem]]:
    problems = list(marked.problems)
    if not isinstance(marked.data, dict):
        return None, [*problems, Problem(1, "the file holds no sections",
                                         'begin with "phrases:" and "intents:"')]  # fmt: skip
    try:
        return AgentFile.model_validate(marked.data), problems
    except ValidationError as error:
        details = error.errors()
        problems += [_problem(marked, item) for item in details if not _misspelt(item, details)]
        return None, problems


def _misspelt(item: ErrorDetails, among: list[ErrorDetails]) -> bool:
    """Whether a missing key stands right there under another spelling, which is told anyway."""
    place = item["loc"]
    beside = [other for other in among if other["loc"][:-1] == place[:-1]]
    unknown = [str(other["loc"][-1]) for other in beside if other["type"] == "extra_forbidden"]
    return item["type"] == "missing" and bool(difflib.get_close_matches(str(place[-1]), unknown))


def _problem(marked: Marked, details: ErrorDetails) -> Problem:
    place: Place = tuple(part for part in details["loc"] if part != "[key]")
    name, kind = str(place[-1]) if place else "the file", details["type"]
    line = marked.line_of(place)
    if kind == "extra_forbidden":
        known = _model_at(place[:-1]).model_fields
        return Problem(line, f'"{name}" is not known here', agent_checks.did_you_mean(name, known))
    if kind == "missing":
        return Problem(line, f'"{name}" is missing', f"add {name}: below this line")
    if kind == "literal_error":
        expected = details.get("ctx", {}).get("expected", "")
        return Problem(line, f'"{details["input"]}" is not possible for "{name}"',
                       f"write one of {expected}")  # fmt: skip
    instead = _INSTEAD.get(kind, details["msg"].lower())
    return Problem(line, f'"{name}" cannot be {_shown(details["input"])}', instead)


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "empty"
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "a block of names"
    text = str(value)
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"'


def _model_at(place: Place) -> type[BaseModel]:
    """The model whose keys stand at this place."""
    if not place:
        return AgentFile
    model = _PARTS.get(str(place[0]), AgentFile)
    if model is Form and len(place) > 2:
        inner: dict[str, type[BaseModel]] = {"slots": Slot, "on_complete": OnComplete}
        model = inner.get(str(place[2]), Form)
        if model is Slot and len(place) > 4:
            model = Check
    return model
