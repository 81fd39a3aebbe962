"""What `telebot doctor` finds; what listens on this machine: `tests/peers/test_doctor.py`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from telebot import doctor
from telebot.call.errors import ConfigError
from telebot.settings import Settings, load

pytestmark = pytest.mark.unit

SCRIPTED = {"stt": "scripted", "llm": "scripted", "tts": "scripted"}
AGENT = {"speech": SCRIPTED, "phrases": {"greeting": "Hello."}}


@pytest.fixture
def settings_of(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with agents of their own; `tree` is telebot.yaml."""

    def make(
        agents: dict[str, Any] | None = None, numbers: str = "", **tree: dict[str, Any]
    ) -> Settings:
        (tmp_path / "agents").mkdir()
        for name, agent in (agents or {"test": AGENT}).items():
            (tmp_path / "agents" / f"{name}.yaml").write_text(yaml.safe_dump(agent))
        (tmp_path / "numbers.yaml").write_text(numbers or 'numbers:\n  "*": test\n')
        (tmp_path / "telebot.yaml").write_text(yaml.safe_dump(tree or {"server": {"drain_s": 1}}))
        return load(tmp_path / "telebot.yaml", {}, {"server.data": str(tmp_path / "data")})

    return make


def data_folder(path: Path) -> doctor.Finding:
    [finding] = doctor._data_folder(load(environ={}, overrides={"server.data": str(path)}))
    return finding


def test_a_data_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "to" / "come"
    assert data_folder(path) == ("ok", "data folder", str(path))
    assert not path.exists()


@pytest.mark.parametrize("below", ["", "data"])
def test_a_data_folder_that_is_a_file(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.touch()
    level, _, why = data_folder(file / below)
    assert (level, why) == ("fault", f"{file} is no folder; name another by --data")


def test_a_data_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    level, _, why = data_folder(tmp_path / "data")
    assert level == "fault"
    assert why.endswith("cannot be written; name another by --data")


@pytest.mark.parametrize(
    ("url", "levels"),
    [("", ["ok"]), ("https://a.example", ["ok"]), ("http://a.example", ["fault"])],
)
def test_carriers_that_are_off_and_a_public_url_they_cannot_use(
    settings_of: Callable[..., Settings], url: str, levels: list[str]
) -> None:
    found = [*doctor._carriers(settings_of(server={"public_url": url}))]
    assert [level for level, _, _ in found][-len(levels) :] == levels
    assert ("off", "carrier twilio", "TWILIO_AUTH_TOKEN is not set") in found


def test_every_agent_is_judged_by_itself(settings_of: Callable[..., Settings]) -> None:
    broken = {**AGENT, "agent": {"name": "broken", "timezone": "Mars/Olympus"}}
    found = [*doctor._agents(settings_of({"test": AGENT, "broken": broken}))]
    assert {what: level for level, what, _ in found} == {
        "agent test": "ok",
        "agent broken": "fault",
    }
    [why] = [why for level, _, why in found if level == "fault"]
    assert "no zone 'Mars/Olympus'" in why


def test_a_number_of_no_agent(settings_of: Callable[..., Settings]) -> None:
    settings = settings_of(numbers='numbers:\n  "*": tset\n')
    [(level, what, why)] = doctor._guarded(doctor._agents, settings)
    assert (level, what) == ("fault", "agents")
    assert "no agent 'tset'" in why


@pytest.mark.parametrize(
    ("url", "level", "why"),
    [
        ("", "ok", "SQLite in the data folder"),
        ("nonsense", "fault", "records.database_url: write DIALECT+DRIVER://"),
        ("oracle+nodriver://ann:secret@host/x", "fault", "records.database_url: oracle+nodriver"),
        ("sqlite+aiosqlite:////proc/version/all.db", "fault", "/proc/version is no folder"),
    ],
)
def test_the_database(settings_of: Callable[..., Settings], url: str, level: str, why: str) -> None:
    settings = settings_of(records={"database_url": url})
    [found] = doctor._guarded(doctor._database, settings)
    assert found[:2] == (level, "database")
    assert found[2].startswith(why)
    assert "secret" not in found[2]


def test_a_database_that_is_not_there_yet_is_not_made(
    settings_of: Callable[..., Settings], tmp_path: Path
) -> None:
    file = tmp_path / "to" / "come.db"
    settings = settings_of(records={"database_url": f"sqlite+aiosqlite:///{file}"})
    assert doctor._guarded(doctor._database, settings) == [
        ("ok", "database", f"{file} will be made")
    ]
    assert not file.parent.exists()


def test_a_database_that_answers(settings_of: Callable[..., Settings], tmp_path: Path) -> None:
    file = tmp_path / "own.db"
    file.touch()
    settings = settings_of(records={"database_url": f"sqlite+aiosqlite:///{file}"})
    [(level, _, _)] = doctor._guarded(doctor._database, settings)
    assert level == "ok"


def test_one_fault_is_enough_and_the_rest_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def _fine(_: Settings) -> Iterator[doctor.Finding]:
        yield "ok", "this", ""
        yield "warn", "that", "look at it"

    def _broken(_: Settings) -> Iterator[doctor.Finding]:
        yield "ok", "not told, since the check itself failed", ""
        raise ConfigError("write something else")

    monkeypatch.setattr(doctor, "CHECKS", (_fine,))
    assert doctor.run(Settings()) == 0
    assert capsys.readouterr().out == "ok     this\nwarn   that: look at it\n"
    monkeypatch.setattr(doctor, "CHECKS", (_broken, _fine))
    assert doctor.run(Settings()) == 1
    assert capsys.readouterr().out.splitlines() == [
        "fault  broken: write something else", "ok     this", "warn   that: look at it",
    ]  # fmt: skip


LEAVING = """
as_of: 2026-11-20
vendors:
  scripted:
    name: Scripted Speech
    kind: tts
    status: retiring
    as_of: 2026-11-20
    shutdown_date: {day}
    replacement: local
"""


@pytest.mark.parametrize(
    ("day", "level", "says"),
    [
        ("2999-01-01", "warn", "speech.tts: Scripted Speech will be shut down on 2999-01-01; use"),
        ("2026-01-01", "fault", "Scripted Speech was shut down on 2026-01-01; use local instead"),
        ("soon", "fault", "providers.yaml:9: vendors.scripted.shutdown_date: Input should be"),
    ],
)
def test_a_vendor_that_leaves_is_told_before_and_after(
    settings_of: Callable[..., Settings], day: str, level: str, says: str
) -> None:
    settings = settings_of()
    path = settings.config_dir / "providers.yaml"
    path.write_text(LEAVING.format(day=day), encoding="utf-8")
    found = doctor._guarded(doctor._agents, settings)
    assert (found[-1][0], says in found[-1][2]) == (level, True), found
