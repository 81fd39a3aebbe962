from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import gateway_samples as samples
from bench.gateway_report import added, markdown, merged, ratios, slope
from bench.http_wire import Malformed, Message
from telebot.audio import files

pytestmark = pytest.mark.unit

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, size: int = 1 << 20) -> Message:
    message = Message()
    for at in range(0, len(data), size):
        message.feed(data[at : at + size])
    return message


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(1, 30))
def test_a_chunked_body_in_any_pieces(chunks: list[bytes], size: int) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    message = read(CHUNKED + wire + b"0\r\n\r\n", size)
    assert (message.complete, message.body) == (True, b"".join(chunks))


@given(st.binary(max_size=80), st.integers(1, 30))
def test_a_counted_body_in_any_pieces(body: bytes, size: int) -> None:
    head = b"POST /x HTTP/1.1\r\nContent-Length: %d\r\nA: b\r\n\r\n" % len(body)
    message = read(head + body, size)
    assert (message.complete, message.body, message.headers["a"]) == (True, body, "b")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        CHUNKED + b"x\r\n",
        CHUNKED + b"1\r\nabc",
        CHUNKED + b"0\r\n\r\nmore",
        b"A" * 20_000,
    ],
)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


def test_the_samples_are_what_is_said_of_them() -> None:
    assert len(samples.TEXT) == 200
    for kind in ("pcm", "mp3"):
        stamp = samples.stamped(kind)
        sound = samples.speech(kind).data
        assert len(stamp) == samples.stamp_bytes(kind)
        assert samples.stamp_of(kind, stamp + sound) is not None
        assert samples.stamp_of(kind, sound) is None
    pcm16, rate_hz = files.decoded(
        samples.stamped("mp3") + samples.speech("mp3").data, longest_s=60
    )
    assert len(pcm16) / 2 / rate_hz == pytest.approx(samples.SPEECH_S, abs=0.2)


def test_growth_is_told_with_its_error() -> None:
    assert slope([500.0] * 20) == {"per_1000": 0.0, "error": 0.0}
    assert slope([500.0 + at for at in range(20)]) == {"per_1000": 4.0, "error": 0.0}
    assert slope([500.0, 501.0] * 10)["error"] > 0
    assert slope([1.0])["error"] > 1000


def step(name: str, ms: float, rate: float | None = None, **changes: Any) -> dict[str, Any]:
    points = {"n": 9, "p50": ms, "p95": 2 * ms, "p99": 3 * ms, "max": 4 * ms}
    made: dict[str, Any] = {
        "what": "speech-mp3",
        "name": name,
        "rate": rate,
        "requests": 100,
        "per_s": 1000 / ms,
        "core_share": 1.0,
        "cpu_ms_per_request": ms,
        "per_core_s": 1000 / ms,
        "upstream_share": 0.1,
        "whole_ms": points,
        "first_ms": points,
        "passed_ms": points,
        "failures": {},
        "memory_mb": [1.0, 2.0, 3.0],
        "load": {"cpu_share": 0.2, "late_ms": {"n": 0}},
    }
    return {**made, **changes}


def test_rounds_are_put_together_and_compared() -> None:
    fast = [
        step("null", 0.1),
        step("telebot", 2.0),
        step("telebot", 2.0, failures={"cut": 2}),
        step("litellm", 8.0),
    ]
    slow = [step("direct", 50.0, 20.0), step("telebot", 51.0, 20.0), step("litellm", 59.0, 20.0)]
    rows = merged(fast)
    assert [row["name"] for row in rows] == ["null", "telebot", "litellm"]
    assert rows[1]["failed"] == 2
    assert added(slow[1], slow[0])["p95"] == 2.0
    (line,) = ratios(rows, merged(slow))
    assert "4.0 times the requests; the load reaches 20.0 times" in line
    assert "added p95 2.00 ms against 18.00 ms (0.11 of it)" in line
    result = {
        "machine": {
            "cpu": "c", "cores": 2, "memory": "m", "kernel": "k", "python": "3",
            "load_average_before": [0.0], "versions": {"telebot": "1"},
        },
        "litellm": "1.2.3",
        "priority": "usual",
        "idle_share": {"telebot": 0.01},
        "throughput": fast,
        "latency": slow,
        "memory": [{**step("telebot", 1.0), "growth": slope([1.0, 2.0, 3.0])}],
    }  # fmt: skip
    text = markdown(result)
    assert "litellm 1.2.3" in text
    assert line in text
