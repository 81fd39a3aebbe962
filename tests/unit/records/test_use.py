"""What providers say they used, and what it comes to: by call, and by turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_scene import Scene
from sqlalchemy import text
from structlog.testing import capture_logs

from telebot.call.model import Call, UnitPrice, Usage
from telebot.records.cost import CallUse, CostItem, Pricing, total

pytestmark = pytest.mark.unit

NOVA, MINI, FLASH = "deepgram/nova-3", "openai/gpt-6-luna", "elevenlabs/eleven_flash_v2_5"
VENDORS = {"stt": NOVA, "llm": MINI, "tts": FLASH}
PRICES = {
    ("carrier", "twilio", "s"): UnitPrice(0.0001, "USD"),
    ("stt", NOVA, "s"): UnitPrice(0.0048 / 60, "USD"),
    ("stt", "assemblyai/pro", "socket_s"): UnitPrice(0.45 / 3600, "USD"),
    ("llm", MINI, "tokens_in"): UnitPrice(0.1e-6, "USD"),
    ("llm", MINI, "tokens_out"): UnitPrice(0.5e-6, "USD"),
    ("tts", FLASH, "characters"): UnitPrice(40e-6, "USD"),
    ("tts", "eurovoice", "characters"): UnitPrice(40e-6, "EUR"),
}
FREE = ("local", "dialog")


def price(kind: str, provider: str, unit: str) -> UnitPrice | None:
    return UnitPrice(0.0, "") if provider in FREE else PRICES.get((kind, provider, unit))


@pytest.fixture
async def scene(tmp_path, time):
    scene = Scene(tmp_path, time, price=price)
    await scene.store.open()
    yield scene
    await scene.store.close()


def use(scene: Scene, call: Call, *uses: tuple[str, str, float, str]) -> None:
    for each in uses:
        scene.log.used(call, Usage(*each))


async def bill(scene: Scene) -> dict[tuple[str, str, str], tuple[float, float | None]]:
    record = await scene.reader.call("call-1")
    return {
        (item.kind, item.provider, item.unit): (item.quantity, item.amount)
        for item in record.cost.items
    }


async def test_what_is_reported_is_billed_by_the_catalogue(scene, time):
    call = scene.answer(scene.call())
    use(scene, call, ("tts", FLASH, 50, "characters"))
    scene.log.turn(call, scene.turn(0, bot="x" * 50, providers={"tts": FLASH}))
    use(scene, call, ("stt", NOVA, 2.5, "s"), ("stt", NOVA, 3.5, "s"))
    use(scene, call, ("llm", MINI, 1000, "tokens_in"), ("llm", MINI, 200, "tokens_out"))
    use(scene, call, ("tts", FLASH, 100, "characters"))
    scene.log.turn(call, scene.turn(1, "hi", bot="y" * 90, providers=VENDORS))
    time.pass_(60)
    scene.end(call)
    await scene.log.flush()
    assert await bill(scene) == {
        ("carrier", "twilio", "s"): (60.0, 0.006),
        ("stt", NOVA, "s"): (6.0, 0.00048),
        ("llm", MINI, "tokens_in"): (1000.0, 0.0001),
        ("llm", MINI, "tokens_out"): (200.0, 0.0001),
        ("tts", FLASH, "characters"): (150.0, 0.006),
    }
    record = await scene.reader.call("call-1")
    assert record.cost.total == pytest.approx(0.01268)
    assert [turn.cost for turn in record.turns] == [0.002, pytest.approx(0.00468)]


async def test_who_reports_nothing_is_guessed_from_the_turns(scene, time):
    call = scene.answer(scene.call())
    use(scene, call, ("llm", MINI, 1000, "tokens_in"))
    parts = {"stt": NOVA, "llm": MINI, "tts": FLASH}
    scene.log.turn(call, scene.turn(0, "hi", bot="x" * 50, providers=parts))
    time.pass_(60)
    scene.end(call)
    await scene.log.flush()
    assert await bill(scene) == {
        ("carrier", "twilio", "s"): (60.0, 0.006),
        ("stt", NOVA, "s"): (60.0, 0.0048),  # it hears the whole call
        ("llm", MINI, "tokens_in"): (1000.0, 0.0001),
        ("tts", FLASH, "characters"): (50.0, 0.002),
    }
    (turn,) = (await scene.reader.call("call-1")).turns
    assert turn.cost is None  # how much of its hearing was for this turn is not known


async def test_a_model_reports_for_the_provider_that_a_turn_names(scene):
    use = CallUse()
    use.used(Usage("stt", NOVA, 4.0, "s"))
    use.add(scene.turn(0, "hi", providers={"stt": "deepgram", "llm": None, "tts": None}))
    assert use.items("twilio", 0.0, Pricing(price, "USD")) == [CostItem("stt", NOVA, 4.0, "s", 320)]


async def test_this_process_costs_nothing_a_turn_too(scene, time):
    call = scene.answer(scene.call(carrier="local"))
    scene.log.turn(call, scene.turn(0, "hi"))
    time.pass_(5)
    scene.end(call)
    await scene.log.flush()
    record = await scene.reader.call("call-1")
    assert (record.cost.total, record.turns[0].cost) == (0.0, 0.0)


def test_a_price_that_is_not_known_is_null_and_so_is_the_total():
    use = CallUse()
    use.used(Usage("llm", MINI, 10, "tokens_in"))
    use.used(Usage("llm", "acme/new", 10, "tokens_in"))
    items = use.items("twilio", 10.0, Pricing(price, "USD"))
    assert [item.amount_micros for item in items] == [1000, None, 1]
    assert total(items) is None


@pytest.mark.parametrize("measured", [("s", "socket_s"), ("socket_s", "s")])
def test_of_two_measures_of_the_same_work_one_is_billed(measured):
    use = CallUse()
    for unit in measured:
        use.used(Usage("stt", "assemblyai/pro", 36.0, unit))
        use.used(Usage("stt", NOVA, 36.0, unit))
    items = {(i.provider, i.unit): i.amount_micros for i in use.items("", 0, Pricing(price, "USD"))}
    assert items == {
        ("assemblyai/pro", "s"): 0,
        ("assemblyai/pro", "socket_s"): 4500,
        (NOVA, "s"): 2880,
        (NOVA, "socket_s"): 0,
    }


def test_one_measure_alone_that_is_not_billed_is_not_known():
    use = CallUse()
    use.used(Usage("stt", "assemblyai/pro", 36.0, "s"))
    (item,) = use.items("", 0.0, Pricing(price, "USD"))
    assert item.amount_micros is None


def test_another_currency_is_null_and_said_once():
    pricing = Pricing(price, "USD")
    with capture_logs() as logs:
        for _ in range(3):
            assert pricing.micros("tts", "eurovoice", "characters", 10) is None
    assert [(line["event"], line["provider"], line["currency"]) for line in logs] == [
        ("price_in_another_currency", "eurovoice", "EUR")
    ]
    assert Pricing(price, "EUR").micros("tts", "eurovoice", "characters", 10) == 400


async def test_use_after_the_end_is_said_and_changes_nothing(scene):
    call = scene.call()
    scene.end(call)
    with capture_logs() as logs:
        use(scene, call, ("stt", NOVA, 5.0, "socket_s"))
    assert logs[0]["event"] == "use_after_the_end"
    await scene.log.flush()
    assert await bill(scene) == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["stt", "llm", "tts"]),
            st.sampled_from([NOVA, MINI, FLASH, "local", "acme/new"]),
            st.floats(0, 1e6),
            st.sampled_from(["s", "socket_s", "characters", "tokens_in", "tokens_out"]),
        ),
        max_size=20,
    )
)
def test_uses_add_up_and_no_unknown_price_becomes_zero(uses):
    use = CallUse()
    for each in uses:
        use.used(Usage(*each))
    items = use.items("twilio", 0.0, Pricing(price, "USD"))
    quantity = sum(item.quantity for item in items)
    assert quantity == pytest.approx(sum(each[2] for each in uses), abs=0.02)
    for item in items:
        known = price(item.kind, item.provider, item.unit)
        assert item.amount_micros is not None or known is None
        if item.provider == "acme/new":
            assert item.amount_micros is None


async def test_a_record_of_before_has_turns_without_a_cost(scene):
    call = scene.answer(scene.call())
    scene.log.turn(call, scene.turn(0, "hi"))
    await scene.log.flush()
    async with scene.store.engine.begin() as connection:
        await connection.execute(text("UPDATE turns SET cost_micros = NULL"))
    assert (await scene.reader.call("call-1")).turns[0].cost is None
