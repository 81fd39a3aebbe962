"""Faults as they are written on a command line, and when they happen."""

from __future__ import annotations

import asyncio

import pytest

from telebot.call.errors import ConfigError
from telebot.simulate.faults import Dropped, Exchange, Fault, Faults, Garbage, Refused

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("deepgram=401", Fault("401", "deepgram")),
        ("deepgram.stt=drop@middle", Fault("drop", "deepgram", "stt", "middle")),
        ("openai.llm=latency:2.5@first x1", Fault("latency", "openai", "llm", "first", 2.5, 1)),
        (" * . tts = silence @ end x 3", Fault("silence", "*", "tts", "end", 1.0, 3)),
    ],
)
def test_a_fault_is_read_as_it_is_written(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no fault"),
        ("deepgram", "is no fault"),
        ("=401", "nobody is called ''"),
        ("deepgramm=401", "nobody is called 'deepgramm'"),
        ("deepgram.sst=401", "KIND one of stt, llm, tts, realtime"),
        ("deepgram=402", "NAME one of latency, 401"),
        ("deepgram=drop@start", "POINT one of connect, first"),
        ("deepgram=latency:soon", "write numbers"),
        ("deepgram=latency:-1", "write numbers"),
        ("deepgram=latency:nan", "write numbers"),
        ("deepgram=drop x0", "write numbers"),
        ("deepgram=drop x-1", "write numbers"),
        ("deepgram=drop x1.5", "write numbers"),
    ],
)
def test_what_is_written_wrong_is_told(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        Fault.parse(text)
    assert says in str(error.value)


def test_a_fault_happens_where_and_as_often_as_it_says() -> None:
    fault = Fault.parse("openai.llm=429@first x2")
    faults = Faults([fault])
    assert faults.take("openai", "tts", "first") is None
    assert faults.take("openai", "llm", "connect") is None
    assert faults.take("groq", "llm", "first") is None
    taken = [faults.take("openai", "llm", "first") for _ in range(3)]
    assert taken == [fault, fault, None]


def test_a_star_is_every_vendor() -> None:
    faults = Faults([Fault.parse("*=500")])
    assert faults.take("soniox", "stt", "connect") is not None


@pytest.mark.parametrize(
    ("text", "raised"), [("429", Refused), ("drop", Dropped), ("garbage", Garbage)]
)
def test_what_an_exchange_comes_to(text: str, raised: type[Exception]) -> None:
    exchange = Exchange(Faults([Fault.parse(f"groq={text}")]), "groq", "llm")
    with pytest.raises(raised):
        asyncio.run(exchange.reach("connect"))


async def _names(text: str, items: list[str]) -> list[str]:
    exchange = Exchange(Faults([Fault.parse(text)]), "groq", "llm")
    handed_out: list[str] = []
    try:
        async for item in exchange.outputs(items):
            handed_out.append(item)
    except Dropped:
        handed_out.append("cut")
    return handed_out


@pytest.mark.parametrize(
    ("point", "before"), [("first", []), ("middle", ["a", "b"]), ("end", ["a", "b", "c"])]
)
def test_outputs_are_cut_at_their_points(point: str, before: list[str]) -> None:
    assert asyncio.run(_names(f"groq=drop@{point}", ["a", "b", "c", "d"])) == [*before, "cut"]
