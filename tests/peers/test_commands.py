"""`telebot serve` and `telebot doctor` as processes: exit status, a line about what is wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from telebot.carriers.registry import CARRIERS

pytestmark = pytest.mark.peers

TELEBOT = Path(sys.executable).parent / "telebot"
# The ports of another test's server are not ours to find free.
ANY_PORT = ("--http", "127.0.0.1:0", "--sip", "127.0.0.1:0", "--audiosocket", "127.0.0.1:0")
WITHIN_S = 120.0  # this machine may be busy; nobody waits for it here
SCRIPTED = {"stt": "scripted", "llm": "scripted", "tts": "scripted", "endpointing": "vad"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configured(tmp_path)


def configured(tmp_path: Path) -> Path:
    """A configuration with one agent of no cost."""
    (tmp_path / "agents").mkdir()
    tree = {"speech": SCRIPTED, "phrases": {"greeting": "Hello."}}
    (tmp_path / "agents" / "test.yaml").write_text(yaml.safe_dump(tree))
    (tmp_path / "numbers.yaml").write_text('numbers:\n  "*": test\n')
    (tmp_path / "telebot.yaml").write_text("server:\n  drain_s: 0\n")
    return tmp_path


def command(folder: Path, name: str, *words: str) -> tuple[list[str], dict[str, str]]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith("TELEBOT_")}
    ours = {key: value for key, value in ours.items() if not key.startswith("TWILIO_")}
    argv = [str(TELEBOT), name, "--config", str(folder / "telebot.yaml")]
    return [*argv, "--data", str(folder / "data"), *words], ours


def typed(folder: Path, name: str, *words: str) -> tuple[int, str, list[str]]:
    """Status, what was printed, and the lines of complaint that are no log."""
    argv, environ = command(folder, name, *words)
    done = subprocess.run(
        argv, env=environ, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    return done.returncode, done.stdout, complaints


@pytest.fixture
def taken() -> Iterator[str]:
    """An address on which somebody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield f"127.0.0.1:{one.getsockname()[1]}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return configured(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def serving(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A server that takes calls."""
    argv, environ = command(home, "serve", *ANY_PORT)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(argv, env=environ, text=True, **pipes) as process:
        try:
            assert process.stdout
            assert process.stdout.readline().startswith("ready http=127.0.0.1:")
            yield process
        finally:
            process.kill()


def test_a_port_that_is_taken(folder: Path, taken: str) -> None:
    status, said, complaints = typed(folder, "serve", "--http", taken)
    assert (status, said) == (1, "")
    assert complaints == [f"telebot: http {taken}: address already in use; name another by --http"]


def test_a_host_that_there_is_not(folder: Path) -> None:
    status, _, complaints = typed(folder, "serve", "--http", "256.1.1.1:0")
    assert status == 1
    [complaint] = complaints
    assert complaint.startswith("telebot: http 256.1.1.1:0: ")
    assert complaint.endswith("; name another by --http")


def test_a_data_folder_that_is_a_file(folder: Path) -> None:
    file = folder / "file"
    file.touch()
    status, said, complaints = typed(folder, "serve", "--data", str(file))
    assert (status, said) == (1, "")
    [complaint] = complaints
    assert complaint.startswith(f"telebot: {file}: cannot be the data folder: ")
    assert complaint.endswith("; name another by --data")


def test_a_data_folder_of_another_server(home: Path, serving: subprocess.Popen[str]) -> None:
    status, said, complaints = typed(home, "serve", *ANY_PORT)
    assert (status, said) == (1, "")
    assert complaints == [
        f"telebot: {home / 'data'}: another telebot uses this data folder; "
        "give this one its own by --data"
    ]
    assert serving.poll() is None


def test_a_server_that_is_told_to_stop_was_no_failure(serving: subprocess.Popen[str]) -> None:
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(WITHIN_S) == 0


def test_doctor_finds_nothing(folder: Path) -> None:
    status, said, complaints = typed(folder, "doctor", *ANY_PORT)
    assert (status, complaints) == (0, [])
    found = {line[7:].partition(":")[0]: line[:6].strip() for line in said.splitlines()}
    on = {"sip", "asterisk", "audiosocket", "local"}  # who needs no account
    carriers = {f"carrier {name}": "ok" if name in on else "off" for name in CARRIERS}
    assert found == {
        "data folder": "ok",
        "http 127.0.0.1": "ok",
        "audiosocket 127.0.0.1": "ok",
        "sip 127.0.0.1": "ok",
        "trunk this-machine": "ok",
        **carriers,
        "agent test": "ok",
        "database": "ok",
        "local speech": "ok",
    }
    assert not (folder / "data" / "telebot.db").exists(), "asking makes no database"


def test_doctor_finds_every_fault_at_once(folder: Path, taken: str) -> None:
    (folder / "agents" / "mute.yaml").write_text(
        "speech: {tts: hal}\nphrases: {greeting: Hello.}\n"
    )
    (folder / "telebot.yaml").write_text(
        "server:\n  public_url: http://voice.example\n"
        "records:\n  database_url: postgresql+asyncpg://ann:secret@127.0.0.1:1/telebot\n"
    )
    status, said, complaints = typed(folder, "doctor", "--http", taken)
    assert (status, complaints) == (1, [])
    faults = [line[7:] for line in said.splitlines() if line.startswith("fault")]
    assert [fault.partition(":")[0] for fault in faults] == [
        "http 127.0.0.1", "public URL", "agent mute", "database",
    ]  # fmt: skip
    assert "no provider 'hal'" in faults[2]
    assert "secret" not in said
