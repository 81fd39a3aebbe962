"""A text of YAML as nodes, each with its line, and nodes as plain data.

LibYAML reads it where it is there: several times as fast as the parser in Python, at every start
and for every file of the configuration. It words its complaints otherwise, and lets pass a few
things that the other refuses; so what it cannot read, and what it might read otherwise, is read by
the one in Python, whose word counts. `config_file.py` and `dialog/yaml_lines.py` come here.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor

# where the two differ: a tab between tokens, directives, a byte order mark, line breaks that are
# not those of a text file, `?` where a token may begin, a comment that touches `|` or `>`
DIFFER = re.compile(
    "[\t\ufeff\x85\u2028\u2029]|^%|(?:^|[\\s\\[{,:-])\\?|[|>][-+0-9]*#", re.MULTILINE
)

QUICK: Any = None
if yaml.__with_libyaml__:

    class _Quick(Composer, yaml.CSafeLoader):
        """Events by LibYAML, nodes by PyYAML: its own way from one to the other recurses in C, and
        a text that is nested too deep would end the process."""

        def __init__(self, stream: str) -> None:
            yaml.CSafeLoader.__init__(self, stream)
            Composer.__init__(self)

    QUICK = _Quick


class Plain(SafeConstructor):
    """Leaves dates as they are written: no setting is one, and a day that does not exist
    (2026-13-24) is told with its line by whoever wanted a day."""


def _text(plain: Any, node: yaml.ScalarNode) -> str:
    return str(plain.construct_scalar(node))


Plain.add_constructor("tag:yaml.org,2002:timestamp", _text)


def composed(text: str) -> yaml.Node | None:
    """The root node; None of an empty text. Raises `yaml.YAMLError`, RecursionError."""
    if QUICK is not None and not DIFFER.search(text):
        try:
            return yaml.compose(text, Loader=QUICK)
        except (yaml.YAMLError, UnicodeError):
            pass  # told in the words that people look up
    return yaml.compose(text, Loader=yaml.SafeLoader)


def has_alias(text: str) -> bool:
    """Whether the text may repeat a part of itself; True where that is not known."""
    if "*" not in text:
        return False
    if QUICK is None or DIFFER.search(text):
        return True
    try:
        return any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=QUICK))
    except (yaml.YAMLError, UnicodeError):
        return True


def constructed(node: yaml.Node) -> Any:
    """Plain data of what `composed` gave, whose merges (``<<``) it writes out. Raises
    `yaml.YAMLError`."""
    return Plain().construct_document(node)
