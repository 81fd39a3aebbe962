"""The carrier's side of a media stream, on a virtual clock."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telebot.audio import g711
from telebot.phone.microphone import Microphone, Utterance
from telebot.phone.twilio_stream import StreamIds, TwilioStream

pytestmark = pytest.mark.unit

IDS = StreamIds("MZ" + "1" * 32, "CA" + "2" * 32, "AC" + "3" * 32)
LOUD = g711.encode((8000).to_bytes(2, "little") * 1)
START_S = 1000.0


def stream(noise_dbfs: float | None = None) -> TwilioStream:
    one = TwilioStream(IDS, {"token": "t"}, Microphone(noise_dbfs))
    one.open(START_S)
    return one


def said(messages: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages]


def media(samples: int) -> str:
    payload = base64.b64encode(LOUD * samples).decode()
    return event("media", payload=payload)


def event(name: str, /, **content: Any) -> str:
    tree: dict[str, Any] = {"event": name, "streamSid": IDS.stream_sid}
    if content:
        tree[name] = content
    return json.dumps(tree)


def names(messages: list[bytes]) -> list[str]:
    return [tree["mark"]["name"] for tree in said(messages) if tree["event"] == "mark"]


def test_it_opens_as_twilio_does() -> None:
    one = TwilioStream(IDS, {"token": "t"}, Microphone(None))
    connected, start = said(one.open(0.0))
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["sequenceNumber"] == "1"
    assert start["streamSid"] == start["start"]["streamSid"] == IDS.stream_sid
    assert start["start"]["customParameters"] == {"token": "t"}
    assert start["start"]["mediaFormat"] == {
        "encoding": "audio/x-mulaw",
        "sampleRate": 8000,
        "channels": 1,
    }


def test_frames_follow_the_clock_and_not_the_number_of_calls() -> None:
    one = stream()
    assert one.advance(START_S + 0.019) == []
    first = said(one.advance(START_S + 0.020))
    assert [tree["media"]["timestamp"] for tree in first] == ["0"]
    late = said(one.advance(START_S + 0.101))  # the process was busy for 80 ms
    assert [tree["media"]["timestamp"] for tree in late] == ["20", "40", "60", "80"]
    assert [tree["media"]["chunk"] for tree in late] == ["2", "3", "4", "5"]
    assert [tree["sequenceNumber"] for tree in late] == ["3", "4", "5", "6"]
    assert {len(base64.b64decode(tree["media"]["payload"])) for tree in late} == {160}


def test_it_says_when_it_is_due_next() -> None:
    one = stream()
    assert one.due_s() == pytest.approx(START_S + 0.020)
    one.receive(media(40), START_S)
    one.receive(event("mark", name="m"), START_S)
    assert one.due_s() == pytest.approx(START_S + 0.005)


def test_a_mark_comes_back_when_what_was_before_it_is_played() -> None:
    one = stream()
    one.receive(media(800), START_S)
    assert one.receive(event("mark", name="a"), START_S) == []
    one.receive(media(800), START_S)
    one.receive(event("mark", name="b"), START_S)
    assert names(one.advance(START_S + 0.099)) == []
    assert names(one.advance(START_S + 0.1)) == ["a"]
    assert names(one.advance(START_S + 0.3)) == ["b"]
    assert [h.position for h in one.happenings if h.name == "played"] == [800, 1600]


def test_a_mark_behind_nothing_comes_back_at_once() -> None:
    one = stream()
    assert names(one.receive(event("mark", name="a"), START_S + 0.001)) == ["a"]


def test_clear_empties_the_buffer_and_returns_every_mark() -> None:
    one = stream()
    one.receive(media(8000), START_S)
    for name in ("a", "b"):
        one.receive(event("mark", name=name), START_S)
    answer = one.receive(event("clear"), START_S + 0.25)
    assert names(answer) == ["a", "b"]
    assert [(h.position, h.amount) for h in one.happenings if h.name == "clear"] == [(2000, 6000)]
    one.advance(START_S + 1.0)
    assert one.playout.heard() == LOUD * 2000 + g711.SILENCE * 6000
    assert [(span.start, span.end) for span in one.playout.voice] == [(0, 2000)]


def test_audio_after_a_pause_is_played_when_it_comes() -> None:
    one = stream()
    one.receive(media(160), START_S)
    one.receive(media(160), START_S + 0.5)
    one.advance(START_S + 1.0)
    assert [(span.start, span.end) for span in one.playout.audio] == [(0, 160), (4000, 4160)]


def test_what_was_sent_has_no_holes_where_there_was_nothing_to_play() -> None:
    one = stream()
    one.receive(media(160), START_S)
    one.receive(media(320), START_S + 0.5)
    one.advance(START_S + 1.0)
    assert len(one.playout.heard()) == 8000
    assert one.playout.sent() == LOUD * 480
    assert one.playout.sent(80, 4000 + 200) == LOUD * (80 + 200)
    assert one.playout.sent(200, 3000) == b""


def test_keys_and_stop() -> None:
    one = stream()
    (key,) = said(one.press("5"))
    assert key["dtmf"] == {"track": "inbound_track", "digit": "5"}
    (stop,) = said(one.stop())
    assert stop["event"] == "stop"
    assert stop["stop"]["callSid"] == IDS.call_sid


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("{", "not JSON"),
        ("[1]", "not an object"),
        ('{"event": "media", "streamSid": "MZx", "media": {"payload": ""}}', "wrong streamSid"),
        (event("media", payload="%%"), "payload is not base64"),
        (event("media", payload=""), "media without audio"),
        (event("media", payload=5), "media without audio"),
        (event("mark", label="x"), "mark without a name"),
        (event("hold"), "unknown event"),
        (media(121 * 8000), "play-out buffer is full"),
    ],
)
def test_what_breaks_the_protocol_is_counted(message: str, fault: str) -> None:
    one = stream()
    one.receive(message, START_S)
    assert one.faults == [fault]
    assert one.playout.buffered == 0


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_no_message_breaks_it(message: bytes | str) -> None:
    one = stream()
    one.receive(message, START_S)
    assert one.fault_count == 1


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["media", "mark", "clear", "wait"]), st.integers(1, 2000)),
    max_size=40,
)


@settings(deadline=None)
@given(ACTIONS)
def test_every_mark_is_acknowledged_once_and_nothing_is_played_twice(
    actions: list[tuple[str, int]],
) -> None:
    one, now_s, sent, marks, out = stream(), START_S, 0, [], []
    for number, (what, amount) in enumerate(actions):
        if what == "wait":
            now_s += amount / 8000
            out += one.advance(now_s)
        elif what == "media":
            sent += amount
            out += one.receive(media(amount), now_s)
        elif what == "mark":
            marks.append(str(number))
            out += one.receive(event("mark", name=str(number)), now_s)
        else:
            out += one.receive(event("clear"), now_s)
    out += one.advance(now_s + 60)
    assert names(out) == marks
    cleared = sum(h.amount for h in one.happenings if h.name == "clear")
    assert sum(span.end - span.start for span in one.playout.audio) == sent - cleared
    sequence = [int(tree["sequenceNumber"]) for tree in said(out)]
    assert sequence == list(range(2, len(sequence) + 2))


def test_an_utterance_lies_where_it_was_said() -> None:
    one = stream()
    pcm16 = (8000).to_bytes(2, "little") * 400
    spoken = one.microphone.speak(Utterance("hm", pcm16, 0, 400))
    one.advance(START_S + 0.2)
    assert spoken.done
    assert (spoken.speech.start, spoken.speech.end) == (0, 400)
    assert one.microphone.said(0, 400) == LOUD * 400
    assert one.microphone.said(400, 480) == g711.SILENCE * 80


def test_an_utterance_begins_with_the_next_frame() -> None:
    one = stream()
    one.advance(START_S + 0.050)
    spoken = one.microphone.speak(Utterance("hm", b"\x40\x1f" * 160, 0, 160))
    one.advance(START_S + 0.060)
    assert spoken.begun_at == 320


def test_the_line_has_noise_of_the_level_asked_for() -> None:
    from telebot.audio.levels import level_dbfs

    one = stream(noise_dbfs=-50.0)
    one.advance(START_S + 2.0)
    assert level_dbfs(g711.decode(one.microphone.said())) == pytest.approx(-50.0, abs=1.0)
    again = stream(noise_dbfs=-50.0)
    again.advance(START_S + 2.0)
    assert again.microphone.said() == one.microphone.said()
