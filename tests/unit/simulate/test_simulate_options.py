"""What `telebot simulate` takes, and the variables that it tells of."""

from __future__ import annotations

from pathlib import Path

import pytest

from telebot import cli
from telebot.call.errors import ConfigError
from telebot.simulate.cli import Simulation, _announce, loopback
from telebot.simulate.registry import OWN_PORTS, VENDORS, environ, variables

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:8090", ("127.0.0.1", 8090)),
        ("127.1.2.3:0", ("127.1.2.3", 0)),
        ("localhost:1", ("localhost", 1)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_loopback_addresses(listen: str, address: tuple[str, int]) -> None:
    assert loopback(listen) == address


@pytest.mark.parametrize(
    "listen",
    ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", ":80", "127.0.0.1", "localhost:x", "127.0.0.1:65536"],
)
def test_nobody_else_is_served(
    listen: str, telebot: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError):
        loopback(listen)
    with pytest.raises(SystemExit) as end:
        cli.main(["simulate", "--listen", listen])
    assert end.value.code == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "write a loopback address, for example 127.0.0.1:8090" in said.err


@pytest.fixture
def telebot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command without its effects on this process's logging."""
    monkeypatch.setattr("telebot.logs.configure", lambda *_, **__: None)
    monkeypatch.setattr("telebot.logs.quiet_imports", lambda: None)


def test_a_wrong_fault_is_told_before_anything_is_loaded(
    telebot: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["simulate", "--fault", "deepgram=sleepy"])
    assert end.value.code == 2
    assert "'deepgram=sleepy' is no fault" in capsys.readouterr().err


def test_a_vendor_that_there_is_not(telebot: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["simulate", "--vendor", "hal"])
    assert end.value.code == 2
    assert "invalid choice: 'hal'" in capsys.readouterr().err


def test_every_vendor_has_its_variables() -> None:
    found = environ("http://127.0.0.1:1")
    for vendor in VENDORS:
        name = vendor.partition("-")[0].upper()
        assert found[f"{name}_API_KEY"] == "simulated"
        assert found[f"{name}_BASE_URL"].startswith("http://127.0.0.1:1")
    assert found["OPENAI_BASE_URL"] == "http://127.0.0.1:1/openai/v1"


def test_a_port_of_its_own_has_no_path() -> None:
    for vendor in OWN_PORTS:
        url = variables(vendor, "http://127.0.0.1:2")[f"{vendor.upper()}_BASE_URL"]
        assert url == "http://127.0.0.1:2"


def test_the_lines_to_paste(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulation = Simulation("h:1", {"groq": {"GROQ_BASE_URL": "http://h:1/groq", "K": "a b"}}, {})
    _announce(simulation, None, ())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ready http=h:1"
    assert "export GROQ_BASE_URL=http://h:1/groq K='a b'" in lines
    assert any("curl http://h:1/faults -d " in line for line in lines)

    file = tmp_path / "two words.env"
    _announce(simulation, file, ())
    said = capsys.readouterr().out
    assert f". '{file}'" in said
    assert "export" not in said
    assert "export GROQ_BASE_URL=http://h:1/groq K='a b'\n" in file.read_text()


def test_a_vendor_that_is_left_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    simulation = Simulation("h:1", {}, {"google": "no package"})
    _announce(simulation, None, ())
    assert "without google: no package" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="google: no package"):
        _announce(simulation, None, ("google",))
