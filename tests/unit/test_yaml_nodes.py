"""LibYAML and the parser in Python are one reader: the same nodes with the same lines, the same
refusals in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from telebot import config_file, yaml_nodes

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = sorted((REPOSITORY / "config").rglob("*.yaml"))
# what a line of a configuration may be made of
PIECES = st.sampled_from(
    [
        *("a", "b", "key", "1", "2026-13-24", "true", "null", "~", "Zoë", "0x1f", "1_000"),
        *(":", ": ", " :", "- ", "-", "? ", "?", "# no", " #", "&x", "*x", "!!str ", "!t "),
        *("[", "]", "{", "}", ", ", "'", '"', "''", "\\", "\\n", "|", ">", "|-", ">2", "%", "@"),
        *("\n", "\n  ", "\n    ", "\n- ", "\n\n", "\t", " ", "\n---\n", "\n...\n", "\r\n"),
        *("<<: ", "`", "\u2028"),
    ]
)


class Dateless(yaml.SafeLoader):
    """As configurations have been read: days stay text."""


Dateless.add_constructor("tag:yaml.org,2002:timestamp", Dateless.construct_scalar)


def shape(node: yaml.Node | None) -> Any:
    """All that anybody asks of a node."""
    if node is None:
        return None
    if isinstance(node, yaml.MappingNode):
        value: Any = [(shape(key), shape(inner)) for key, inner in node.value]
    elif isinstance(node, yaml.SequenceNode):
        value = [shape(inner) for inner in node.value]
    else:
        value = node.value, not node.style
    line = node.start_mark.line if value != ("", True) else None  # of nothing they may differ
    return node.tag, line, value


def outcome(text: str) -> Any:
    try:
        return shape(yaml_nodes.composed(text))
    except (yaml.YAMLError, RecursionError) as error:
        return str(error)


def in_python(text: str) -> Any:
    try:
        return shape(yaml.compose(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError) as error:
        return str(error)


def test_the_quick_one_is_there() -> None:
    assert yaml_nodes.QUICK is not None, "PyYAML's wheels bring LibYAML"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_files_that_ship_are_read_the_same_by_both(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not yaml_nodes.DIFFER.search(text), "read by the slow one"
    assert outcome(text) == in_python(text)
    node = yaml_nodes.composed(text)
    assert node is not None
    assert yaml_nodes.constructed(node) == yaml.load(text, Loader=Dateless)


@given(st.lists(PIECES, max_size=14).map("".join))
@example("a:\tb")
@example("{?a: b}")
@example("[a, ?b ]")
@example("%YAML 1.1\n---\na: b")
@example("a: &x 1\nb: &x 2\nc: *x")
@example("a: 'b\n")
@example("\ufeffa: b")
@example("a: b\u0085c: d")
@example("a: |\n  b\n\n  c\nd: >-\n  e")
@example("? a\n: b")
@example("a: b: c")
def test_any_text_is_read_or_refused_as_by_the_parser_in_python(text: str) -> None:
    assert outcome(text) == in_python(text)


@pytest.mark.parametrize("part", ["[", "{a: ", "- ", "? "])
def test_a_text_that_is_nested_without_end_is_refused(part: str, tmp_path: Path) -> None:
    with pytest.raises((RecursionError, yaml.YAMLError)):
        yaml_nodes.composed(part * 100_000)
    (file := tmp_path / "deep.yaml").write_text(part * 100_000)
    with pytest.raises(config_file.SettingsError, match="not readable as YAML"):
        config_file.read(file)


def test_a_group_that_holds_itself_is_refused(tmp_path: Path) -> None:
    (file := tmp_path / "round.yaml").write_text("a: &a\n  b: *a\n")
    with pytest.raises(config_file.SettingsError, match="not readable as YAML"):
        config_file.read(file)


def test_merged_groups_are_written_out_and_stand_where_they_are_written(tmp_path: Path) -> None:
    (file := tmp_path / "merged.yaml").write_text(
        "usual: &usual\n  x: 1\n  y: 2\nmine:\n  <<: *usual\n  y: 3\n"
    )
    found = config_file.read(file)
    assert found.tree["mine"] == {"x": 1, "y": 3}
    assert found.sources["mine.y"] == f"{file}:6"


@given(st.lists(PIECES, max_size=14).map("".join))
@example("a: &x 1\nb: *x")
@example("a: 2 * 3")
@example("a: '*x'")
def test_an_alias_is_never_overlooked(text: str) -> None:
    try:
        aliases = any(
            isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)
        )
    except yaml.YAMLError:
        return
    assert yaml_nodes.has_alias(text) or not aliases
