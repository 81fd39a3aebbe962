"""What a server prints when it takes calls."""

from pathlib import Path

import pytest

from telebot.app import Server
from telebot.carriers.registry import Carriers
from telebot.settings import load
from telebot.welcome import welcome

pytestmark = pytest.mark.unit


def lines(data: Path, **environ: str) -> list[str]:
    settings = load(environ=environ, overrides={"server.data": str(data)})
    server = Server(settings, "127.0.0.1:4711", Carriers(settings), None, None, None)  # type: ignore[arg-type]
    return welcome(server).splitlines()


def test_the_first_line_is_for_programs(tmp_path: Path) -> None:
    first = lines(tmp_path)[0]
    assert first == "ready http=127.0.0.1:4711 sip=127.0.0.1:5060 audiosocket=127.0.0.1:9092"


def test_a_carrier_that_is_off_says_why(tmp_path: Path) -> None:
    told = [line.split() for line in lines(tmp_path) if "off:" in line]
    assert told == [["twilio", "off:", "TWILIO_AUTH_TOKEN", "is", "not", "set"]]


def test_the_webhooks_of_those_that_come_from_outside_are_told(tmp_path: Path) -> None:
    url = "https://voice.example"
    told = lines(tmp_path, TELEBOT_PUBLIC_URL=url, TWILIO_AUTH_TOKEN="t")
    assert [line.split() for line in told if url in line] == [["twilio", f"{url}/twilio/voice"]]
