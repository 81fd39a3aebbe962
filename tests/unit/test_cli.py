"""The command line: what it refuses, what it says about it, and its exit status."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import MODULES
from telebot import cli

pytestmark = pytest.mark.unit

COMMANDS = ("serve", "doctor", "call", "bench", "keys", "db")


class Typed:
    """Types a command; returns its status, what it printed and what it complained about."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main(words)
        return left.value.code, *self._capsys.readouterr()


@pytest.fixture
def telebot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    for name in ("TELEBOT_HTTP", "TELEBOT_DATA", "TELEBOT_LOG_LEVEL", "TELEBOT_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return Typed(capsys)


def test_every_command_is_told(telebot: Typed) -> None:
    status, said, complaint = telebot("--help")
    assert (status, complaint) == (0, "")
    told = {line.split()[0] for line in said.splitlines() if line.startswith("    ")}
    assert told >= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(telebot: Typed, command: str) -> None:
    status, said, complaint = telebot(command, "--help")
    assert (status, complaint) == (0, "")
    assert said.startswith(f"usage: telebot {command}")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "required: COMMAND"),
        (("dance",), "invalid choice: 'dance'"),
        (("serve", "--port", "80"), "unrecognized arguments: --port 80"),
        (("serve", "--http"), "--http: expected one argument"),
        (("keys",), "required: DO"),
        (("keys", "create"), "required: name"),
        (("keys", "create", "x", "--scope", "king"), "invalid choice: 'king'"),
        (("db", "downgrade"), "invalid choice: 'downgrade'"),
        (("call",), "required: URL"),
        (("call", "http://127.0.0.1:1", "--wait", "soon"), "--wait"),
        (("call", "http://127.0.0.1:1", "--dtmf", "4x"), "--dtmf"),
    ],
)
def test_what_was_typed_wrong(telebot: Typed, words: tuple[str, ...], says: str) -> None:
    status, said, complaint = telebot(*words)
    assert (status, said) == (2, "")
    assert complaint.startswith("usage: telebot")
    assert says in complaint


@pytest.mark.parametrize("command", [("serve",), ("doctor",), ("keys", "list"), ("db", "current")])
def test_a_setting_that_cannot_be_is_refused_by_every_command(
    telebot: Typed, command: tuple[str, ...]
) -> None:
    first, *rest = command
    status, said, complaint = telebot(first, "--http", "8080", *rest)
    assert (status, said) == (2, "")
    assert complaint.startswith("telebot: ")
    assert "write HOST:PORT, for example 127.0.0.1:8080 (got '8080')" in complaint
    assert "Traceback" not in complaint


def test_a_file_that_is_not_there(telebot: Typed, tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    assert telebot("serve", "--config", str(missing)) == (
        2, "", f"telebot: {missing}: no such file\n",
    )  # fmt: skip


def test_a_file_at_fault_names_its_line(telebot: Typed, tmp_path: Path) -> None:
    file = tmp_path / "telebot.yaml"
    file.write_text("server:\n  drain_s: soon\n")
    status, _, complaint = telebot("serve", "--config", str(file))
    assert status == 2
    assert f"{file}:2: server.drain_s" in complaint


def test_the_command_line_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TELEBOT_HTTP", "127.0.0.1:1111")
    monkeypatch.setenv("TELEBOT_DATA", "elsewhere")
    words = ["serve", "--http", "127.0.0.1:2222", "--data", str(tmp_path)]
    server = cli.settings_of(cli._parser().parse_args(words)).server
    assert (server.http, server.data) == ("127.0.0.1:2222", tmp_path)
    server = cli.settings_of(cli._parser().parse_args(["serve"])).server
    assert (server.http, server.data) == ("127.0.0.1:1111", Path("elsewhere"))


def test_whatever_follows_bench_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    args = cli._parser().parse_args(["bench", "run", "--calls", "10"])
    assert args.arguments == ["run", "--calls", "10"]


def test_bench_names_what_it_measures(telebot: Typed) -> None:
    _, said, _ = telebot("bench", "--help")
    said = re.sub(r"-\n\s+", "-", said)  # lines are broken behind hyphens
    started_by_others = {
        "noise-load", "sip-load", "sip-media-server", "gateway-load", "gateway-upstream",
    }  # fmt: skip
    own = MODULES.keys() - started_by_others
    assert [name for name in own if name not in said] == []


def test_without_a_checkout_there_is_no_benchmark(
    telebot: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "telebot" / "cli.py"))
    assert telebot("bench") == (2, "", "telebot: the benchmark needs a checkout of the project\n")


IMPORTED = """
import sys
from telebot import cli
try:
    cli.main(sys.argv[1:])
except SystemExit:
    pass
print(*sorted(sys.modules), sep="\\n")
"""
NOT_FOR = {
    "call": {"telebot.settings", "telebot.app", "telebot.records", "telebot.simulate", "pipecat",
             "pydantic", "yaml", "sqlalchemy", "alembic", "loguru", "sippy", "hibari"},
    "keys": {"telebot.app", "telebot.phone", "telebot.simulate", "telebot.speech", "pipecat",
             "alembic", "aiohttp", "onnxruntime", "openai", "sippy"},
    "simulate": {"telebot.app", "telebot.phone", "telebot.records", "alembic", "openai", "sippy"},
    "doctor": {"telebot.app", "telebot.phone", "telebot.simulate", "alembic", "openai", "jinja2"},
    "bench": {"telebot.settings", "telebot.app", "telebot.phone", "telebot.records", "pydantic"},
}  # fmt: skip


@pytest.mark.parametrize("command", NOT_FOR)
def test_a_command_imports_what_it_needs_alone(command: str, tmp_path: Path) -> None:
    words = {"keys": ["list", "--data", str(tmp_path)], "doctor": ["--config", "none"]}
    asked = [command, *words.get(command, ["--help"])]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *asked], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.splitlines())
    assert "telebot.cli" in imported
    assert imported & NOT_FOR[command] == set()


def test_control_c_is_no_stack_trace(telebot: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_bench", interrupted)
    assert telebot("bench") == (130, "", "")
