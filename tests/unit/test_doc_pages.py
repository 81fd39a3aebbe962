"""README and docs/ against the code: what they name exists, what they link to is there.

Not called test_docs.py, which `tests/unit/dialog` has: pytest wants one module of a name.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from telebot import settings_page
from telebot.agent_settings import AgentCall, AgentIdentity, AgentSpeech
from telebot.call.ending import COMPLETED, NO_MEDIA, REFUSED
from telebot.carriers.registry import CARRIERS
from telebot.settings import Settings, rows

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LIFE = ROOT / "docs" / "life-of-a-call.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
MENTION = re.compile(r"`((?:[\w.-]+/)*\w+\.py)(?::([A-Za-z_][\w.]*))?[`(]")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SETTING = re.compile(r"`([a-z]+(?:\.[a-z_]+)+)`")
FILES = (".yaml", ".md", ".py", ".js", ".ts", ".json", ".db", ".cfg", ".list")
FENCED = re.compile(r"^\s*```.*?^\s*```", re.M | re.S)


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def found(file: str) -> Path | None:
    """A file that a page names: from the root, below `telebot/`, or by its bare name there."""
    places = [ROOT / file, ROOT / "telebot" / file]
    if "/" not in file:
        places += sorted((ROOT / "telebot").rglob(file))
    return next((place for place in places if place.is_file()), None)


def names_in(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Functions, classes, constants, fields and instance attributes of a module, dotted."""
    for node in body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield prefix + node.name
                if isinstance(node, ast.ClassDef):
                    yield from names_in(node.body, f"{prefix}{node.name}.")
                elif node.name == "__init__":
                    yield from (prefix + name for name in attributes_in(node))
            case ast.Assign(targets=targets):
                yield from (prefix + t.id for t in targets if isinstance(t, ast.Name))
            case ast.AnnAssign(target=ast.Name(name)):
                yield prefix + name
            case _:
                pass


def attributes_in(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def broken_mentions(text: str) -> list[str]:
    broken = []
    for file, name in MENTION.findall(text):
        path = found(file)
        if path is None:
            broken.append(file)
        elif name and name not in names_in(ast.parse(path.read_text(encoding="utf-8")).body):
            broken.append(f"{file}:{name}")
    return broken


def anchors(page: Path) -> set[str]:
    """GitHub's anchors of a page's headings."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for link in LINK.findall(text):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_what_a_page_names_and_links_to_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert broken_mentions(text) == []
    assert broken_links(page, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "`web/nobody.py`",
        "`web/webhooks.py:nothing`",
        "`web/webhooks.py:Webhooks.nothing`",
        "`speech/ear.py:Ear.nothing(ulaw)`",
    ],
)
def test_a_wrong_mention_is_found(text: str) -> None:
    assert len(broken_mentions(text)) == 1


@pytest.mark.parametrize("link", ["[a](nowhere.md)", "[a](settings.md#nowhere)", "[a](#nowhere)"])
def test_a_broken_link_is_found(link: str) -> None:
    assert len(broken_links(LIFE, link)) == 1


def test_the_life_of_a_call_is_told_by_name() -> None:
    rooms = {file.partition("/")[0] for file, _ in MENTION.findall(LIFE.read_text("utf-8"))}
    assert {"app.py", "web", "carriers", "call", "speech", "dialog", "records"} <= rooms


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "settings.md"], ids=ids)
def test_settings_that_a_page_names_exist(page: Path) -> None:
    known = {name for name, *_ in rows(Settings)}
    for group, model in (("agent", AgentIdentity), ("speech", AgentSpeech), ("call", AgentCall)):
        known |= {f"{group}.{name}" for name, *_ in rows(model)}
    for carrier in CARRIERS:
        for model in settings_page.carrier_rows(carrier):
            known |= {f"carriers.{carrier}.{name}" for name, *_ in rows(model)}
            known.add(f"carriers.{carrier}")
    groups = {name.partition(".")[0] for name in known}
    told = {
        name
        for name in SETTING.findall(page.read_text("utf-8"))
        if name.partition(".")[0] in groups and not name.endswith(FILES)
    }
    inner = {name.rpartition(".")[0] for name in known}
    assert told - known - inner == set()


def test_the_settings_page_is_the_generated_one() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page.page(), "run: python -m telebot.settings_page > docs/settings.md"


def test_every_reason_of_an_ending_is_told() -> None:
    text = LIFE.read_text(encoding="utf-8")
    reasons = COMPLETED | REFUSED | NO_MEDIA | {"transferred"}
    assert {reason for reason in reasons if f"`{reason}`" not in text} == set()


def test_readme_gives_the_command_that_ci_calls() -> None:
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in run
    assert re.search(r"^\$ make test\b", (ROOT / "README.md").read_text("utf-8"), re.M)


def test_every_make_target_of_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    asked = re.findall(r"(?:`|^\$ )make ([a-z-]+)", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert asked
    assert set(asked) <= targets


def test_every_word_of_the_glossary_has_one_meaning() -> None:
    words = re.findall(r"^\*\*(.+?)\*\*", GLOSSARY.read_text(encoding="utf-8"), re.M)
    assert len(words) == len(set(words)) > 20
    assert words == sorted(words, key=str.lower)


def test_decisions_are_numbered_without_a_gap_and_say_their_state() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))
    for path in DECISIONS:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]} "), path.name
        assert re.search(r"^- Status: (accepted|replaced)", text, re.M), path.name
        assert re.search(r"^- Date: \d{4}-\d\d-\d\d$", text, re.M), path.name
