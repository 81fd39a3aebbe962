"""Reading back: pages that miss and repeat nothing, filters, costs, recordings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.call.model import UnitPrice, WireEvent
from telebot.records import cost
from telebot.records.cost import CallUse, CostItem, Pricing, total
from telebot.records.reading import BadCursor, CallFilter, NoRecording, _call_cursor, _event_cursor

pytestmark = pytest.mark.unit


async def walk(scene, wanted=None, limit=3, between=None) -> list[str]:
    found, cursor = [], None
    while True:
        page = await scene.reader.page(wanted or CallFilter(), limit, cursor)
        found += [call.id for call in page.data]
        cursor = page.next_cursor
        if cursor is None:
            return found
        assert len(page.data) == limit
        if between:
            await between()


async def test_pages_are_newest_first_and_miss_nothing_while_calls_come_in(scene, time):
    for n in range(10):
        scene.call(f"call-{n}")
        if n % 3 == 0:  # several begin in the same instant
            time.pass_(1)
    await scene.log.flush()
    new = iter(range(100))

    async def another() -> None:
        time.pass_(1)
        scene.call(f"new-{next(new)}")
        await scene.log.flush()

    found = await walk(scene, between=another)
    assert sorted(found) == sorted(f"call-{n}" for n in range(10))
    assert found[-1] == "call-0"
    times = [(await scene.reader.call(call_id)).started_at for call_id in found]
    assert times == sorted(times, reverse=True)


async def test_an_exactly_full_page_is_the_last(scene):
    for n in range(3):
        scene.call(f"call-{n}")
    await scene.log.flush()
    assert (await scene.reader.page(CallFilter(), 3)).next_cursor is None


async def test_filters(scene, time):
    first = scene.answer(scene.call("first", phone_from="+1555", carrier="telnyx"))
    scene.log.turn(first, scene.turn(0, "A table for FOUR, 100% sure", bot="Certainly."))
    scene.end(first, "silence")
    time.pass_(60)
    moment = time.now()
    second = scene.call("second", phone_to="+1777")
    scene.end(second, "capacity")
    time.pass_(60)
    scene.call("third")
    await scene.log.flush()
    for wanted, expected in [
        (CallFilter(carrier="telnyx"), ["first"]),
        (CallFilter(result="refused"), ["second"]),
        (CallFilter(reason="silence"), ["first"]),
        (CallFilter(state="ringing"), ["third"]),
        (CallFilter(agent="front-desk"), ["third", "second", "first"]),
        (CallFilter(agent="other"), []),
        (CallFilter(direction="inbound"), ["third", "second", "first"]),
        (CallFilter(direction="outbound"), []),
        (CallFilter(phone_from="+1555"), ["first"]),
        (CallFilter(phone_to="+1777"), ["second"]),
        (CallFilter(since=moment), ["third", "second"]),
        (CallFilter(until=moment), ["first"]),
        (CallFilter(q="for four"), ["first"]),
        (CallFilter(q="100%"), ["first"]),
        (CallFilter(q="100_"), []),
        (CallFilter(q="certain"), ["first"]),
        (CallFilter(q="CA-second"), ["second"]),
        (CallFilter(q="1777"), ["second"]),
        (CallFilter(q="' OR 1=1 --"), []),
    ]:
        assert await walk(scene, wanted) == expected, wanted


async def test_the_list_says_how_slow_a_call_was(scene):
    call = scene.call()
    for index, heard in enumerate((None, 400.0, 1900.0)):
        scene.log.turn(call, scene.turn(index, latency_ms={"heard": heard}))
    scene.call("quiet")
    await scene.log.flush()
    rows = {row.id: row for row in (await scene.reader.page(CallFilter(), 10)).data}
    assert (rows["call-1"].turn_count, rows["call-1"].slowest_ms) == (3, 1900.0)
    assert (rows["quiet"].turn_count, rows["quiet"].slowest_ms) == (0, None)


async def test_events_by_pages_in_order(scene, time):
    call = scene.call()
    for n in range(10):
        scene.log.event(call, WireEvent(time.now(), float(n), "mark", {"n": n}))
    await scene.log.flush()
    seen, cursor = [], None
    while True:
        page = await scene.reader.events("call-1", 4, cursor)
        seen += [event.fields["n"] for event in page.data]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == list(range(10))
    assert await scene.reader.events("none", 4) is None


@given(st.one_of(st.text(max_size=300), st.binary(max_size=60).map(lambda b: b.hex())))
def test_a_foreign_cursor_is_refused(cursor):
    for read in (_call_cursor, _event_cursor):
        try:
            read(cursor)
        except BadCursor:
            continue


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "W10",
        "bnVsbA",
        "WzFd" * 100,
        "WyIyMDI2LTEzLTAxIiwieCJd",
        "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5XQ",
        "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwieCJd",
        "WyI5OTk5LTEyLTMxVDIzOjU5OjU5LTE0OjAwIiwieCJd",
    ],
)
def test_near_cursors_are_refused(cursor):
    with pytest.raises(BadCursor):
        _call_cursor(cursor)
    if cursor:
        with pytest.raises(BadCursor):
            _event_cursor(cursor)


async def test_why_there_is_nothing_to_hear(scene):
    for call_id, state, path in [
        ("off", None, None),
        ("live", "live", "recordings/live.wav"),
        ("missing", "ready", "recordings/missing.wav"),
    ]:
        scene.call(call_id)
        if state:
            scene.log.recording(call_id, state, path, 1.0, None)
    await scene.log.flush()
    for call_id in ("off", "live", "missing"):
        with pytest.raises(NoRecording) as raised:
            await scene.reader.recording(call_id)
        assert raised.value.code == call_id
    assert await scene.reader.recording("none") is None
    scene.reader._server = "another"
    with pytest.raises(NoRecording, match="elsewhere"):
        await scene.reader.recording("missing")


def test_a_price_that_is_not_known_is_none_and_never_0(scene):
    use = CallUse()
    use.add(scene.turn(0, "hi", bot="12345"))
    use.add(scene.turn(1, "hi", bot="123", providers={"stt": "local", "llm": "acme", "tts": None}))
    prices = {
        ("tts", "local"): 0.0,
        ("stt", "local"): 0.0,
        ("llm", "dialog"): 0.01,
        ("carrier", "twilio"): 0.0001,
    }

    def price(kind, name, unit):
        amount = prices.get((kind, name))
        return None if amount is None else UnitPrice(amount, "USD")

    items = use.items("twilio", 60.0, Pricing(price, "USD"))
    assert items == [
        CostItem("carrier", "twilio", 60.0, "s", 6000),
        CostItem("llm", "acme", 1.0, "replies", None),
        CostItem("llm", "dialog", 1.0, "replies", 10_000),
        CostItem("stt", "local", 60.0, "s", 0),
        CostItem("tts", "local", 5.0, "characters", 0),
    ]
    assert total(items) is None
    assert total(item for item in items if item.provider != "acme") == 0.016
    assert total([]) == 0.0
    assert cost.built_in("stt", "local", "s") == UnitPrice(0.0, "")
    assert cost.built_in("carrier", "twilio", "s") is None


def test_a_call_that_was_never_answered_used_nothing():
    assert CallUse().items("twilio", 0.0, Pricing(cost.built_in, "USD")) == []
