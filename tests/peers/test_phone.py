"""The phone against a small server of Twilio's kind, on real sockets with real speech."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from answering_machine import SECRET, AnsweringMachine, Talk

from telebot.audio import g711
from telebot.phone import cli
from telebot.phone.destination import CallRefused, CannotCall, Destination
from telebot.phone.phone import Phone
from telebot.phone.sound import read_wav
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.peers

GREETING = "Good evening, this is the answering machine."
LONG = "Please leave your name and your telephone number, and somebody will call you back tomorrow."


@pytest.fixture(scope="module")
def speech() -> Iterator[LocalSpeech]:
    one = LocalSpeech()
    yield one
    one.close()


@pytest.fixture(scope="module")
def voice(speech: LocalSpeech) -> dict[str, bytes]:
    """What the machine says, as mu-law."""

    async def made() -> dict[str, bytes]:
        await speech.load()
        clips = [await speech.speak(text) for text in (GREETING, LONG, "Goodbye.")]
        return {clip.text: g711.encode(clip.pcm16) for clip in clips}

    return asyncio.run(made())


def to(machine: AnsweringMachine, agent: str | None = None) -> Destination:
    return Destination(machine.url, SECRET, agent=agent)


@pytest.fixture
async def echo(voice: dict[str, bytes]) -> AsyncIterator[AnsweringMachine]:
    """Greets, then plays back what it heard 700 ms before."""

    async def reply(talk: Talk, number: int) -> None:
        if number == 0:
            await talk.play(voice[GREETING])
            await talk.send("mark", name="greeting")
        else:
            await talk.play(bytes(talk.heard[-3 * 8000 : -35 * 160]))
            await talk.send("mark", name=f"reply {number}")

    async with AnsweringMachine(reply) as machine:
        yield machine


async def test_a_conversation_is_heard_and_measured(
    echo: AnsweringMachine, speech: LocalSpeech
) -> None:
    async with Phone(to(echo, agent="front-desk"), speech) as phone:
        assert "answering machine" in (await phone.heard()).lower()
        turn = await phone.say("Are you open on Mondays?")
    assert "open on monday" in turn.heard.lower()
    assert turn.latency_ms is not None
    assert turn.latency_ms >= 700  # 35 frames of silence had to be seen first
    assert phone.line.ended_by == "caller"
    assert phone.stream.faults == []
    (talk,) = echo.talks
    await asyncio.wait_for(talk.over.wait(), 30)
    assert talk.stopped
    assert talk.marks == ["greeting", "reply 1"]
    assert talk.start["customParameters"] == {"token": "t1"}
    assert echo.forms[0]["agent"] == "front-desk"
    assert echo.forms[0]["CallSid"] == talk.start["callSid"] == phone.to.call_sid
    assert echo.asked_after == []  # the caller hung up: there is no one left to ask for
    timestamps = [int(m["media"]["timestamp"]) for m in talk.messages if m["event"] == "media"]
    assert timestamps == list(range(0, 20 * len(timestamps), 20))


async def test_speaking_over_the_bot_and_being_cleared(
    voice: dict[str, bytes], speech: LocalSpeech
) -> None:
    async def reply(talk: Talk, number: int) -> None:
        if number == 0:
            await talk.play(voice[LONG])
            await talk.send("mark", name="long")
        else:
            await talk.send("clear")
            await talk.play(voice["Goodbye."])

    async with AnsweringMachine(reply) as machine, Phone(to(machine), speech) as phone:
        turn = await phone.interrupt("Stop", after_s=1.0)
    assert turn.interrupted_by == "caller"
    assert turn.caller is not None
    assert turn.clear_at is not None
    assert turn.clear_at > turn.caller.end
    assert phone.greeting.until == turn.clear_at
    assert "goodbye" in turn.heard.lower()
    assert "tomorrow" not in phone.greeting.heard.lower()
    (clear,) = [h for h in phone.stream.happenings if h.name == "clear"]
    assert clear.amount > 0
    played = [h for h in phone.stream.happenings if h.name == "played"]
    assert [(h.detail, h.position) for h in played] == [("long", clear.position)]


async def test_a_bot_that_goes_on_loses_no_word(
    voice: dict[str, bytes], speech: LocalSpeech
) -> None:
    async def reply(talk: Talk, number: int) -> None:
        if number == 0:
            await talk.play(voice[LONG])

    async with AnsweringMachine(reply) as machine, Phone(to(machine), speech) as phone:
        turn = await phone.interrupt("Mm-hmm", after_s=1.0)
    assert turn.went_on
    assert turn.answered
    assert turn.interrupted_by is None
    assert "call you back tomorrow" in phone.greeting.heard.lower()


async def test_keys_are_pressed_and_answered(voice: dict[str, bytes], speech: LocalSpeech) -> None:
    async def reply(talk: Talk, number: int) -> None:
        await talk.play(voice[GREETING if number == 0 else "Goodbye."])

    async with AnsweringMachine(reply) as machine, Phone(to(machine), speech) as phone:
        await phone.heard()
        turn = await phone.press("12#")
        assert "goodbye" in (await phone.heard()).lower()
    assert machine.talks[0].digits == "12#"
    assert turn.answered


async def test_when_the_bot_hangs_up_the_carrier_asks_what_now(
    voice: dict[str, bytes], speech: LocalSpeech
) -> None:
    async def reply(talk: Talk, number: int) -> None:
        await talk.play(voice[GREETING])
        await talk.socket.close(code=1000)

    async with AnsweringMachine(reply) as machine:
        async with Phone(to(machine), speech) as phone:
            assert await phone.until_over(10)
        assert machine.asked_after == [phone.to.call_sid]
    assert phone.line.ended_by == "bot"
    assert phone.line.close_code == 1000
    assert phone.line.cut_samples > 8000  # it hung up in the middle of its own greeting
    assert phone.apology == ""


async def test_a_dropped_line_says_nothing(echo: AnsweringMachine, speech: LocalSpeech) -> None:
    async with Phone(to(echo), speech) as phone:
        await phone.wait(0.5)
        await phone.drop()
    (talk,) = echo.talks
    await asyncio.wait_for(talk.over.wait(), 30)
    assert not talk.stopped
    assert talk.socket.close_code in (None, 1006)


@pytest.mark.parametrize(
    ("twiml", "status", "error", "why"),
    [
        (None, 500, CannotCall, "HTTP 500"),
        ("<Response><Say>All busy.</Say><Hangup/></Response>", 200, CallRefused, "All busy"),
        ("<html/>", 200, CannotCall, "root"),
        (
            '<Response><Connect><Stream url="ws://127.0.0.1:9/x"/></Connect></Response>',
            200,
            CannotCall,
            "127.0.0.1:9",
        ),
    ],
)
async def test_there_is_no_call(
    speech: LocalSpeech, twiml: str | None, status: int, error: type[CannotCall], why: str
) -> None:
    async def reply(talk: Talk, number: int) -> None:
        raise AssertionError("nobody should have come")

    async with AnsweringMachine(reply, twiml, status) as machine:
        with pytest.raises(error, match=why):
            async with Phone(to(machine), speech):
                pass


async def test_a_wrong_secret_is_refused(echo: AnsweringMachine, speech: LocalSpeech) -> None:
    with pytest.raises(CannotCall, match="403"):
        async with Phone(Destination(echo.url, "guessed"), speech):
            pass


async def command(machine: AnsweringMachine, data: Path, *argv: str) -> int:
    """`telebot call` in a thread of its own, as it has an event loop of its own."""
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    await asyncio.to_thread((data / "local.key").write_text, SECRET)
    return await asyncio.to_thread(cli.run, parser.parse_args([machine.url, *argv]))


async def test_a_server_that_is_not_there_is_told_plainly(speech: LocalSpeech) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(
            CannotCall, match=r"voice: cannot connect \(.*\); is the server running"
        ):
            async with Phone(Destination(url, "secret"), speech):
                pass


async def test_the_command_prints_one_object(
    echo: AnsweringMachine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TELEBOT_DATA", str(tmp_path))
    recording = tmp_path / "call.wav"
    argv = ["--say", "Are you open on Mondays?", "--json", "--record", str(recording)]
    assert await command(echo, tmp_path, *argv) == 0
    call = json.loads(capsys.readouterr().out)
    assert call["answered"] is True
    assert call["ended_by"] == "caller"
    assert "answering machine" in call["greeting"].lower()
    (turn,) = call["turns"]
    assert turn["said"] == "Are you open on Mondays?"
    assert "monday" in turn["heard"].lower()
    assert turn["latency_ms"] >= 700
    assert call["faults"] == {"count": 0, "kinds": []}
    assert len(read_wav(recording)) / 16000 == pytest.approx(call["duration_s"], abs=0.1)


async def test_the_command_fails_where_the_bot_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def reply(talk: Talk, number: int) -> None:
        """Says nothing, ever."""

    monkeypatch.setenv("TELEBOT_DATA", str(tmp_path))
    async with AnsweringMachine(reply) as machine:
        assert await command(machine, tmp_path, "--say", "Hello?", "--timeout", "3") == 1
    assert "timed out" in capsys.readouterr().out


async def test_the_command_says_when_nobody_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TELEBOT_DATA", str(tmp_path))
    machine = AnsweringMachine(lambda talk, number: asyncio.sleep(0))
    machine.url = "http://127.0.0.1:9"
    assert await command(machine, tmp_path, "--say", "Hello?") == 2
    error = capsys.readouterr().err
    assert error.startswith("telebot call: http://127.0.0.1:9/local/voice: ")
    assert error.count("\n") == 1
