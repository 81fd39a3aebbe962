"""What a server prints when it takes calls."""

import sys
from pathlib import Path

import pytest

from telebot.app import Server
from telebot.carriers.registry import Carriers
from telebot.settings import load
from telebot.welcome import welcome

pytestmark = pytest.mark.unit


def lines(data: Path, **environ: str) -> list[str]:
    settings = load(environ=environ, overrides={"server.data": str(data)})
    server = Server(
        settings,
        "127.0.0.1:4711",
        "127.0.0.1:4712",
        "127.0.0.1:4713",
        Carriers(settings),
        None,
        None,
        None,
    )  # type: ignore[arg-type]
    return welcome(server).splitlines()


def test_the_first_line_is_for_programs(tmp_path: Path) -> None:
    first = lines(tmp_path)[0]
    assert first == "ready http=127.0.0.1:4711 sip=127.0.0.1:4712 audiosocket=127.0.0.1:4713"


def test_carriers_that_are_off_are_told_in_a_line(tmp_path: Path) -> None:
    """Why, the log and `telebot doctor` say."""
    (told,) = (line for line in lines(tmp_path) if line.startswith("  off "))
    names = told.partition("   (")[0].replace(",", "").split()[1:]
    assert {"twilio", "telnyx"} <= set(names)
    assert not {"local", "sip"} & set(names)
    assert "doctor" in told


def test_the_webhooks_of_those_that_come_from_outside_are_told(tmp_path: Path) -> None:
    url = "https://voice.example"
    told = lines(tmp_path, TELEBOT_PUBLIC_URL=url, TWILIO_AUTH_TOKEN="t")
    shown = [line.split() for line in told if url in line]
    assert ["twilio", f"{url}/twilio/voice"] in shown
    assert not {line[0] for line in shown} & {"sip", "local"}


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("{here}/.venv/bin/telebot", ".venv/bin/telebot"),
        ("/opt/telebot/bin/telebot", "/opt/telebot/bin/telebot"),
        ("/usr/lib/python3/site-packages/telebot/__main__.py", "telebot"),
        ("pytest", "telebot"),
    ],
)
def test_the_command_is_shown_as_it_is_typed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, shown: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [typed.format(here=tmp_path), "serve"])
    told = next(line for line in lines(tmp_path) if "or by shell" in line)
    assert told.split("or by shell")[1].split()[:3] == [shown, "call", "http://127.0.0.1:4711"]


def test_a_command_on_the_path_is_shown_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "telebot"
    command.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(command), "serve"])
    assert any("or by shell   telebot call" in line for line in lines(tmp_path))


def test_where_the_key_of_the_console_lies_is_told_and_not_the_key(tmp_path: Path) -> None:
    (tmp_path / "admin-key").write_text("tb_secret")
    told = next(line for line in lines(tmp_path) if "/console/" in line)
    assert str(tmp_path / "admin-key") in told
    assert "tb_secret" not in told


def test_a_key_that_was_given_lies_in_no_file(tmp_path: Path) -> None:
    told = next(
        line for line in lines(tmp_path, TELEBOT_ADMIN_KEY="tb_secret") if "/console/" in line
    )
    assert "TELEBOT_ADMIN_KEY" in told
    assert "admin-key" not in told
    assert "tb_secret" not in told
