"""Items of the command line, sounds, and the turns measured on a virtual clock."""

from __future__ import annotations

import argparse
import base64
import gc
import json
import wave
from pathlib import Path

import numpy as np
import pytest

from telebot.audio import g711
from telebot.phone import turns
from telebot.phone.cli import add_arguments, run
from telebot.phone.destination import CannotCall, Destination, port_of
from telebot.phone.microphone import Microphone
from telebot.phone.playout import Span
from telebot.phone.script import BadItem, Item, dtmf, interrupt, say, wait
from telebot.phone.sound import BadSound, read_wav, utterance, write_wav
from telebot.phone.turns import Turn, measure
from telebot.phone.twilio_exchange import signature
from telebot.phone.twilio_stream import StreamIds, TwilioStream
from telebot.phone.voices import with_pauses

pytestmark = pytest.mark.unit


def parsed(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(argv)


def tone(seconds: float, rate_hz: int = 8000, level: float = 0.3, hz: float = 440) -> bytes:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (np.sin(2 * np.pi * hz * t) * level * 32767).astype("<i2").tobytes()


def test_items_keep_the_order_they_are_written_in() -> None:
    args = parsed(
        "http://127.0.0.1:1", "--say", "one", "--dtmf", "12#", "--interrupt", "0.5", "Stop",
        "--wav", "a.wav", "--wait", "3", "--say", "two",
    )  # fmt: skip
    assert [item.kind for item in args.items] == ["say", "dtmf", "say", "wav", "wait", "say"]
    assert args.items[2].after_s == 0.5
    assert parsed("http://127.0.0.1:1").items is None


def test_a_pause_stands_after_the_words_before_it() -> None:
    item = say("I'd like to book a table for [pause 1.0] six people")
    assert item.text == "I'd like to book a table for six people"
    assert item.pauses == ((7, 1.0),)


@pytest.mark.parametrize("text", ["", "  ", "[pause 1] hello", "hello [pause 1]", "x [pause 90] y"])
def test_sayings_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(BadItem):
        say(text)


def test_other_items() -> None:
    assert say("dtmf:1234#") == dtmf("1234#") == Item("dtmf", "1234#")
    assert wait("2").seconds == 2.0
    for broken in (lambda: dtmf("12a"), lambda: wait("long"), lambda: interrupt("-1", "x")):
        with pytest.raises(BadItem):
            broken()


@pytest.mark.parametrize(
    "argv",
    [["http://x", "--dtmf", "hello"], ["http://x", "--noise", "0"], ["http://x", "--timeout", "0"]],
)
def test_usage_errors_exit_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parsed(*argv)
    assert exit_.value.code == 2
    assert "--" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["sip:", "sip:100@", "sip:100@host:99999", "sip:a b@host"])
def test_a_sip_address_that_is_none_is_refused(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(parsed(url, "--say", "hello")) == 2
    error = capsys.readouterr().err
    assert error == f"telebot call: {url}: write a SIP address such as sip:100@127.0.0.1:5060\n"


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://x", "http://x:99999", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(CannotCall):
        port_of(url)


def test_the_agent_is_part_of_the_signed_url() -> None:
    to = Destination(
        "http://127.0.0.1:80/", "s", agent="front desk", public_url="https://b.example"
    )
    posted, signed = to.webhook()
    assert posted == "http://127.0.0.1:80/local/voice?agent=front+desk"
    assert signed == "https://b.example/local/voice?agent=front+desk"


def test_the_signature_is_twilios() -> None:
    # the example of Twilio's own page on webhook security
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }
    url = "https://example.com/myapp.php?foo=1&bar=2"
    assert signature("12345", url, form) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


@pytest.mark.parametrize(
    ("rate_hz", "width", "channels"), [(8000, 2, 1), (24000, 2, 2), (44100, 1, 1)]
)
def test_wav_of_any_kind_becomes_8_khz(
    tmp_path: Path, rate_hz: int, width: int, channels: int
) -> None:
    samples = np.frombuffer(tone(1.0, rate_hz), "<i2")
    data = samples if width == 2 else (samples // 256 + 128).astype(np.uint8)
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(data, channels).tobytes())
    heard = np.frombuffer(read_wav(path), np.int16).astype(float)
    assert len(heard) == pytest.approx(8000, abs=20)
    peak = np.argmax(np.abs(np.fft.rfft(heard))) * 8000 / len(heard)
    assert peak == pytest.approx(440, abs=2)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"hello world, this is text" * 9])
def test_what_is_no_wav_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(BadSound, match=r"a\.wav"):
        read_wav(path)
    with pytest.raises(BadSound, match="no such file"):
        read_wav(tmp_path / "none.wav")


def test_an_utterance_is_cut_to_its_speech() -> None:
    made = utterance("x", bytes(16000) + tone(0.5) + bytes(16000))
    assert (made.start, made.end) == (0, 4000)
    assert len(made.pcm16) // 2 == 4000 + 4 * 160
    with pytest.raises(BadSound):
        utterance("x", bytes(16000))


def test_pauses_are_put_in_between_the_words() -> None:
    pcm16 = tone(1.0)
    cut = with_pauses(pcm16, [0.25, 0.5, 1.0], ((1, 0.1), (2, 0.2)))
    assert len(cut) // 2 == 8000 + 800 + 1600
    assert cut[4000 : 4000 + 1600] == bytes(1600)
    assert cut.replace(bytes(1600), b"", 1)[:8000] == pcm16[:8000]


def test_a_recording_keeps_both_sides_apart(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    write_wav(path, g711.encode(tone(0.1)), g711.encode(tone(0.05, level=0.1)))
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 800)
        both = np.frombuffer(file.readframes(800), "<i2").reshape(-1, 2)
    assert both[:, 0].max() > 9000
    assert 2500 < both[:400, 1].max() < 4000
    assert np.abs(both[400:, 1]).max() <= 8


def test_a_recording_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(IsADirectoryError):
        write_wav(tmp_path, b"", b"")
    gc.collect()  # nothing of it complains later
    missing = tmp_path / "none" / "call.wav"
    assert run(parsed("http://127.0.0.1:1", "--record", str(missing))) == 2  # before the call
    assert capsys.readouterr() == (
        "",
        f"telebot call: {missing}: there is no folder {missing.parent}\n",
    )


class Bot:
    """A stream on a virtual clock, and what a bot does to it."""

    def __init__(self) -> None:
        self.stream = TwilioStream(StreamIds("MZ1", "CA1", "AC1"), {}, Microphone(None))
        self.stream.open(0.0)

    def plays(self, at_s: float, seconds: float, hz: float = 440) -> None:
        self.sends(at_s, g711.encode(tone(seconds, hz=hz)))

    def sends(self, at_s: float, ulaw: bytes) -> None:
        payload = base64.b64encode(ulaw).decode()
        message = {"event": "media", "streamSid": "MZ1", "media": {"payload": payload}}
        self.stream.receive(json.dumps(message), at_s)

    def clears(self, at_s: float) -> None:
        self.stream.receive(json.dumps({"event": "clear", "streamSid": "MZ1"}), at_s)


def test_latency_counts_from_the_last_speech_frame_to_the_first_bot_frame() -> None:
    bot = Bot()
    turn = Turn("say", "hello", 8000, Span(4000, 8000))
    bot.plays(1.6, 1.0)
    bot.stream.advance(3.0)
    measure(bot.stream, turn)
    assert turn.answered
    assert turn.latency_ms == pytest.approx(600.0)
    assert turn.reply == Span(12800, 20800)


def test_a_bot_that_gives_way_was_interrupted_by_the_caller() -> None:
    bot = Bot()
    bot.plays(0.0, 3.0)
    bot.stream.advance(1.0)
    turn = Turn("say", "stop", 12000, Span(8000, 12000), over_bot=turns.speaking(bot.stream))
    bot.clears(1.2)
    bot.plays(2.0, 0.5, hz=620)
    bot.stream.advance(4.0)
    measure(bot.stream, turn)
    assert turn.interrupted_by == "caller"
    assert turn.clear_at == 9600
    assert turn.latency_ms == pytest.approx(500.0)


def test_a_bot_that_goes_on_was_not() -> None:
    bot = Bot()
    bot.plays(0.0, 3.0)
    bot.stream.advance(1.0)
    turn = Turn("say", "mm-hmm", 12000, Span(8000, 12000), over_bot=True)
    bot.stream.advance(4.0)
    measure(bot.stream, turn)
    assert turn.went_on
    assert turn.answered
    assert turn.interrupted_by is None
    assert turn.latency_ms is None


def test_a_bot_that_holds_its_breath_and_goes_on_was_not_interrupted() -> None:
    bot = Bot()
    chirp = np.arange(8000 * 3) / 8000
    ulaw = g711.encode((np.sin(600 * chirp**2) * 9000).astype("<i2").tobytes())
    bot.sends(0.0, ulaw)
    bot.stream.advance(1.0)
    turn = Turn("say", "mm-hmm", 12000, Span(8000, 12000), over_bot=True)
    bot.clears(1.1)  # at sample 8800
    measure(bot.stream, turn)
    assert turn.clear_at == 8800
    bot.sends(1.6, ulaw[8000:16000])  # from the beginning of the word
    bot.stream.advance(5.0)
    measure(bot.stream, turn)
    assert turn.went_on
    assert turn.answered
    assert [h.name for h in bot.stream.happenings] == ["media", "clear", "media", "resumed"]


def test_a_bot_that_says_something_else_was_interrupted() -> None:
    bot = Bot()
    chirp = np.arange(8000 * 3) / 8000
    ulaw = g711.encode((np.sin(600 * chirp**2) * 9000).astype("<i2").tobytes())
    bot.sends(0.0, ulaw)
    bot.clears(1.1)
    turn = Turn("say", "stop", 12000, Span(8000, 12000), over_bot=True)
    bot.sends(2.0, bytes(reversed(ulaw)))
    bot.stream.advance(6.0)
    measure(bot.stream, turn)
    assert turn.interrupted_by == "caller"


def test_a_bot_that_speaks_into_a_pause_did_not_wait() -> None:
    bot = Bot()
    bot.plays(1.0, 0.5)
    bot.stream.advance(4.0)
    turn = Turn("say", "a table for six", 16000, Span(4000, 16000))
    measure(bot.stream, turn)
    assert turn.interrupted_by == "bot"
    assert turn.latency_ms is None


def test_silence_is_no_answer() -> None:
    bot = Bot()
    bot.stream.advance(4.0)
    turn = Turn("say", "hello", 8000, Span(4000, 8000))
    measure(bot.stream, turn)
    assert not turn.answered


def test_voice_is_cut_into_pieces_at_its_pauses() -> None:
    bot = Bot()
    for at_s in (1.0, 2.1, 5.0):
        bot.plays(at_s, 1.0)
    bot.stream.advance(8.0)
    cut = turns.pieces(bot.stream, Span(8000 + 4000, 50000))
    assert [(one.start, one.end) for one in cut] == [(12000, 25600), (39200, 48800)]
