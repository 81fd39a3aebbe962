"""`telebot db` and `telebot keys` as an operator types them."""

from __future__ import annotations

import argparse
import re

import pytest

from telebot.records import commands, migrate
from telebot.settings import Settings

pytestmark = pytest.mark.unit


@pytest.fixture
def telebot(tmp_path, capsys):
    """Runs a command; returns its exit status, what it printed, and what it complained about."""

    def run(name: str, *words: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        commands.add_arguments(name, parser)
        settings = Settings.model_validate({"server": {"data": tmp_path}})
        status = commands.run(name, parser.parse_args(words), settings)
        return status, *capsys.readouterr()

    return run


def test_the_database_from_nothing_to_now(telebot, tmp_path):
    for does, status in (("current", 0), ("check", 1)):
        assert telebot("db", does)[:2] == (
            status,
            "no database yet: telebot db upgrade makes it\n",
        )
    assert list(tmp_path.iterdir()) == []  # asking makes nothing
    for does in ("upgrade", "current", "check"):
        assert telebot("db", does) == (0, f"revision {migrate.head()}\n", "")


def test_keys_made_listed_and_revoked(telebot):
    status, said, _ = telebot("keys", "create", "dashboard", "--scope", "operator")
    key_id, secret = re.fullmatch(r"(\w+)  operator  dashboard\n(tb_\S+)\n", said).groups()
    assert status == 0
    listed = telebot("keys", "list")[1]
    assert listed == f"{key_id}  live     operator  dashboard\n"
    assert secret not in listed
    assert telebot("keys", "revoke", key_id)[0] == 0
    assert "revoked" in telebot("keys", "list")[1]
    status, _, complaint = telebot("keys", "revoke", key_id)
    assert (status, complaint) == (1, f"telebot: no live key {key_id}\n")


def test_a_key_with_terms_of_its_own(telebot):
    words = "--models deepgram/*,local --tier high --expires 90d --monthly-budget 20"
    said = telebot("keys", "create", "program", *words.split())[1]
    key_id = said.split()[0]
    listed = telebot("keys", "list")[1]
    assert "models deepgram/*,local; tier high; budget 20/month; until 20" in listed
    status, secret, _ = telebot("keys", "rotate", key_id, "--grace", "24h")
    assert (status, secret[:3]) == (0, "tb_")


@pytest.mark.parametrize(
    "words",
    ["--expires 2020-01-01", "--expires soon", "--models ,", "--models a\x1b", "--tier first",
     "--monthly-budget 0", "--monthly-budget nan", "--requests-per-minute -1"],
)  # fmt: skip
def test_terms_that_are_none_are_refused(telebot, words, capsys):
    with pytest.raises(SystemExit):
        telebot("keys", "create", "program", *words.split())
    assert "keys" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [("keys", "list"), ("db", "upgrade")])
def test_a_data_folder_that_is_a_file_is_no_stack_trace(telebot, tmp_path, words):
    tmp_path.rmdir()
    tmp_path.touch()
    status, said, complaint = telebot(*words)
    assert (status, said) == (1, "")
    assert complaint.startswith(f"telebot: {tmp_path}/telebot.db: the database cannot be used: ")
    assert complaint.count("\n") == 1
