"""Names that the pages tell, against those that the code has, both ways: errors, events, variables,
commands, configurations. Those of a running server: tests/e2e/test_doc_server.py.
"""

import argparse
import ast
import json
import re
import shlex
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
import yaml

from telebot import cli, settings
from telebot.sip import trunks

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TOLD = {page: page.read_text("utf-8") for page in PAGES if "decisions" not in page.parts}
ALL = "\n".join(TOLD.values())
MODULES = {
    path.relative_to(ROOT / "telebot"): path.read_text("utf-8")
    for path in (ROOT / "telebot").rglob("*.py")
}
CODE = "\n".join(MODULES.values())
FENCED = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```$", re.M | re.S)
VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b")
ENDS = frozenset("KEY URL TOKEN SECRET USER PASSWORD PEERS REGION SID VOICE PROJECT".split())
ERROR_ROW = re.compile(r"^\| \d{3} \| (.+?) \|", re.M)
EVENT_ROW = re.compile(r"^\| (`\w+`(?: · `\w+`)*) \| ", re.M)
NOTING = frozenset({"note_event", "_note_event", "event", "note", "_note", "WireEvent"})
# where calls talk of themselves; elsewhere the same words mean other things
TALKING = ("speech", "sip", "web/realtime", "web/media_stream.py", "api/steering.py")


def words(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def section(page: str, title: str) -> str:
    return (ROOT / "docs" / page).read_text("utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def calls(text: str, names: Collection[str]) -> Iterator[ast.Call]:
    """The calls of these, by the last part of what is called."""
    if not any(f"{name}(" in text for name in names):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Attribute(attr=name) | ast.Name(id=name) if name in names:
                    yield node


def texts(node: ast.AST) -> Iterator[str]:
    """What an argument may be: a text, or one of two."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=yes, orelse=no):
            yield from texts(yes)
            yield from texts(no)


def error_codes() -> set[str]:
    found = {"no_key", "key_expired", "wrong_scope", "records_away"}  # web/errors.py:STATUSES
    for path, text in MODULES.items():
        raising = {"ApiError", "DialFailed"} | (
            {"_refused"} if path.name == "fetching.py" else set()
        )
        for call in calls(text, raising):
            found |= {code for argument in call.args[1:2] for code in texts(argument)}
    return found - {"internal_server_error"}  # a status' own name


def test_every_error_is_told_with_its_code() -> None:
    rows = ERROR_ROW.findall(section("api.md", "Errors"))
    told = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    assert error_codes() - told == set()
    assert {code for code in told if f'"{code}"' not in CODE and "recording_" not in code} == set()


def test_every_cause_is_told() -> None:
    from telebot.providers.failure import Cause

    assert set(Cause) - words(section("api.md", "Errors")) == set()


def event_names() -> set[str]:
    found = set()
    for path, text in MODULES.items():
        if path.as_posix().startswith(TALKING):
            for call in calls(text, NOTING):
                found |= {name for argument in call.args for name in texts(argument)}
    return found - {"low", "spent"}  # the level of `budget`


def test_every_event_of_a_call_is_told() -> None:
    rows = EVENT_ROW.findall(section("records.md", "Events"))
    told = {name for row in rows for name in words(row)}
    sip = words(section("carriers/sip.md", "What a call keeps"))
    assert event_names() - told - sip == set()
    assert {name for name in told if f'"{name}"' not in CODE} == set()


def audited() -> set[str]:
    found = set()
    for path, text in MODULES.items():
        if path.parts[0] in ("records", "api"):
            for call in calls(text, {"entry", "note", "_changed"}):
                found |= {name for argument in call.args for name in texts(argument)}
    return {name for name in found if re.fullmatch(r"[a-z]+_[a-z_]+", name)}


def test_every_action_of_the_audit_log_is_told() -> None:
    told = words(section("access.md", "API keys").split("Its actions are")[1].split(".")[0])
    assert audited() == told


def test_lines_of_the_log_that_are_told_are_written() -> None:
    told = re.findall(r"^\| (`.+?`) \|", section("metrics.md", "The log"), re.M)
    lines = {line for row in told for line in re.findall(r"`([\w ]+)`", row)}
    assert len(lines) > 10
    assert {line for line in lines if f'"{line}"' not in CODE} == set()


def variables(text: str) -> set[str]:
    return {name for name in VARIABLE.findall(text) if name.rpartition("_")[2] in ENDS}


def test_variables_that_a_page_names_are_read() -> None:
    """Those of a vendor are made of its name."""
    names = re.findall(r'"([a-z-]+)"', CODE)
    vendors = {name.upper().replace("-", "_") for name in names}
    vendors |= {name.partition("-")[0].upper() for name in names}  # of several names of one
    of_vendors = re.compile(rf"({'|'.join(sorted(vendors))})_(API_KEY|BASE_URL|REGION)")
    examples = {"TELEBOT_URL", "TELEBOT_KEY", "MOD_AUDIO_BASIC_AUTH_PASSWORD"}
    examples |= set(re.findall(r"password_env: (\w+)", ALL))
    examples |= set(re.findall(r"ACME_\w+", ALL))
    read = CODE + "\n".join(path.read_text("utf-8") for path in (ROOT / "docker").rglob("*.*"))
    told = variables(ALL) - examples
    assert {name for name in told if name not in read and not of_vendors.fullmatch(name)} == set()


def test_every_variable_of_ours_is_told() -> None:
    read = set(re.findall(r"\bTELEBOT_[A-Z_]+\b", CODE))
    assert {name for name in read if name not in ALL} == set()


def lines_of(language: str, page: Path) -> Iterator[str]:
    """Commands of a page's blocks, continued lines joined."""
    for kind, block in FENCED.findall(TOLD[page]):
        if kind in language.split():
            yield from block.replace("\\\n", " ").splitlines()


def command_lines() -> Iterator[tuple[str, list[str]]]:
    for page in TOLD:
        for line in lines_of("console sh", page):
            found = re.search(r"^(?:\$ )?(?:\.venv/bin/)?telebot ([a-z].*)", line.strip())
            if found:
                if "acme" in found[1]:
                    continue  # a vendor that the reader adds
                alone = re.split(r" (?:\||&&) ", found[1])[0]
                yield f"{page.name}: {found[0]}", shlex.split(alone, comments=True)


@pytest.mark.parametrize(("told", "arguments"), [*command_lines()], ids=lambda part: str(part)[:60])
def test_a_command_is_one_that_there_is(told: str, arguments: list[str]) -> None:
    cli._parser().parse_args(arguments)


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from (name for name in action.option_strings if name.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield name
                yield from options(inner)


def test_every_command_and_option_is_told() -> None:
    known = set(options(cli._parser())) - {"--help"}
    assert {name for name in known if not re.search(rf"{name}\b", ALL)} == set()


def configurations() -> Iterator[tuple[str, str]]:
    for page, text in TOLD.items():
        for number, (kind, block) in enumerate(FENCED.findall(text)):
            if kind == "yaml":
                yield f"{page.name}-{number}", block


@pytest.mark.parametrize("block", [pytest.param(b, id=name) for name, b in configurations()])
def test_a_configuration_is_taken_as_it_is_shown(block: str, tmp_path: Path) -> None:
    """Of the server and of its trunks; agents' are in tests/unit/dialog/test_docs.py."""
    tree = yaml.safe_load(block)
    groups = set(tree) if isinstance(tree, dict) else set()
    if groups and groups <= set(settings.Settings.model_fields) - {"speech"}:
        path = tmp_path / "telebot.yaml"
        path.write_text(block, "utf-8")
        settings.load(path, environ={})
    elif groups == {"trunks"}:
        (tmp_path / "trunks.yaml").write_text(block, "utf-8")
        names = re.findall(r"password_env: (\w+)", block)
        trunks.load(tmp_path, {"TELEBOT_SIP_PASSWORD": "secret", **dict.fromkeys(names, "secret")})


BODY = re.compile(r"-d '(\{.*?\}|\[.*?\])'", re.S)
BODIES = [(page.name, body) for page, text in TOLD.items() for body in BODY.findall(text)]


@pytest.mark.parametrize(("page", "body"), BODIES)
def test_a_body_that_is_sent_is_json(page: str, body: str) -> None:
    json.loads(body)


def test_every_page_is_found_from_the_readme() -> None:
    """Each is told of by another one, from the README on."""
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text("utf-8")):
            target = (page.parent / link).resolve()
            if target.is_dir():
                ahead += target.glob("*.md")
            elif target.is_file():
                ahead.append(target)
    assert set(PAGES) - seen == set()
