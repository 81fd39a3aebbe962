"""`telebot doctor` beside what already listens on this machine."""

from __future__ import annotations

import asyncio
import socket

import pytest

from telebot import doctor
from telebot.settings import load

pytestmark = pytest.mark.peers


async def address(http: str) -> list[doctor.Finding]:
    settings = load(environ={}, overrides={"server.http": http})
    return await asyncio.to_thread(lambda: [*doctor._address(settings)])


async def test_a_telebot_that_runs_is_no_fault(server):
    [(level, what, why)] = await address(server.url.removeprefix("http://"))
    assert level == "warn"
    assert what.startswith("http 127.0.0.1:")
    assert "a telebot takes calls there already" in why


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\n{}"])
async def test_whoever_else_listens_there_is_a_fault(says, monkeypatch):
    monkeypatch.setattr(doctor, "ANSWER_S", 0.2)

    answered = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append(writer)
        writer.write(says)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as stranger:
        port = stranger.sockets[0].getsockname()[1]
        [(level, _, why)] = await address(f"127.0.0.1:{port}")
        assert answered
        for writer in answered:
            writer.close()
    assert (level, why) == ("fault", "Address already in use; name another by --http")


async def test_a_free_port_is_fine():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert (await address(f"127.0.0.1:{port}"))[0][0] == "ok"


async def test_a_carrier_nobody_registered_is_a_fault(tmp_path, capsys):
    file = tmp_path / "telebot.yaml"
    file.write_text("carriers:\n  twillio: {}\n", encoding="utf-8")
    [(level, _, why)] = doctor._guarded(doctor._carriers, load(file, {}))
    assert level == "fault"
    assert why.endswith("telebot.yaml:2: carriers.twillio: no such carrier; did you mean 'twilio'?")
