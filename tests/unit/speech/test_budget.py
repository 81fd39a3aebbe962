"""What a call may cost: what is counted, when its chains save, when it ends, and how politely."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs
from telephone import WORD_S, TestAgent, exchange, phrase
from virtual_time import Scheduler, run

from telebot.call.model import UnitPrice
from telebot.speech.budget import UNKNOWN, Budget, Prices

pytestmark = pytest.mark.unit

PRICES = {
    ("stt", "acme/ear", "s"): 0.0001,
    ("stt", "socket/ear", "socket_s"): 0.0002,
    ("llm", "acme/big", "tokens_in"): 2e-6,
    ("llm", "acme/big", "tokens_out"): 8e-6,
    ("llm", "acme/small", "tokens_in"): 1e-7,
    ("llm", "acme/small", "tokens_out"): 4e-7,
    ("llm", "half/known", "tokens_in"): 1e-7,
    ("tts", "acme/voice", "characters"): 1e-4,
    ("tts", "timed/voice", "s"): 1e-3,
    ("carrier", "acme-tel", "s"): 0.001,
    ("stt", "local", "s"): 0.0,
}
ANSWER = "We open at noon every day. And we close at ten. On Mondays we rest."
QUESTION = "When are you open?"
WORDS = "I must end here, goodbye."


def price(kind: str, provider: str, unit: str) -> UnitPrice | None:
    if provider == "dear/euro":
        return UnitPrice(1.0, "EUR")
    amount = PRICES.get((kind, provider, unit))
    return None if amount is None else UnitPrice(amount, "USD")


class Chain:
    """A chain as a budget sees it."""

    kind = "llm"

    def __init__(self) -> None:
        self.cost: Callable[[str], float] | None = None

    def save(self, cost: Callable[[str], float]) -> None:
        self.cost = cost


class Call:
    """A call as a budget sees it."""

    def __init__(self, limit: float, carrier: str = "local") -> None:
        self.time = Scheduler()
        self.happened: list[Any] = []
        self.chain = Chain()
        self.budget = Budget(
            limit,
            Prices(price, "USD"),
            carrier=carrier,
            clock=self.time.clock,
            later=self.time.later,
        )
        self.budget.watch([self.chain])  # type: ignore[list-item]

    def begin(self) -> Call:
        self.budget.begin(self)
        return self

    def note_event(self, name: str, **fields: object) -> None:
        self.happened.append((fields["level"], fields["spent"]))
        assert (name, fields["currency"]) == ("budget", "USD")

    def budget_spent(self) -> None:
        self.happened.append("over")


def test_at_four_fifths_the_chains_save_and_at_the_whole_the_call_ends() -> None:
    call = Call(1.0).begin()
    call.budget.used("tts", "acme/voice", 7900, "characters")
    assert (call.happened, call.chain.cost) == ([], None)
    call.budget.used("tts", "acme/voice", 100, "characters")
    assert call.happened == [("low", 0.8)]
    assert call.chain.cost is not None
    call.budget.used("llm", "acme/big", 100_000, "tokens_in")
    assert call.happened == [("low", 0.8), ("spent", 1.0), "over"]
    call.budget.used("llm", "acme/big", 100_000, "tokens_in")
    assert len(call.happened) == 3, "each is said once"


def test_one_use_may_take_both_steps() -> None:
    call = Call(0.1).begin()
    call.budget.used("tts", "acme/voice", 2000, "characters")
    assert call.happened == [("low", 0.2), ("spent", 0.2), "over"]


def test_the_carriers_leg_counts_by_the_time() -> None:
    call = Call(1.0, carrier="acme-tel").begin()
    call.time.run(500)
    call.budget.used("tts", "acme/voice", 1000, "characters")
    call.time.run(199)
    assert call.happened == []
    call.time.run(2)
    assert call.happened == [("low", pytest.approx(0.8))]
    call.time.run(197)
    assert call.happened[1:] == []
    call.time.run(3)
    assert call.happened[1:] == [("spent", pytest.approx(1.0)), "over"]
    assert call.time.pending == 0


def test_a_call_that_is_over_spends_nothing_more() -> None:
    call = Call(1.0, carrier="acme-tel").begin()
    call.budget.close()
    call.time.run(5000)
    call.budget.used("tts", "acme/voice", 1e6, "characters")
    assert call.happened == []
    assert call.time.pending == 0


def test_what_was_used_before_the_answer_counts_once_it_is_there() -> None:
    call = Call(1.0)
    call.budget.used("tts", "acme/voice", 9000, "characters")
    assert call.happened == []
    call.begin()
    assert call.happened == [("low", 0.9)]


def test_small_uses_are_not_lost_to_rounding() -> None:
    call = Call(1.0).begin()
    for _ in range(1000):
        call.budget.used("llm", "acme/small", 1, "tokens_in")
    assert call.budget.spent == pytest.approx(1e-4)


def test_a_price_that_is_not_known_counts_as_nothing_and_is_said_once() -> None:
    prices = Prices(price, "USD")
    with capture_logs() as logs:
        for _ in range(3):
            assert prices.of("llm", "who/knows", 1e9, "tokens_in") == 0.0
    assert [line["provider"] for line in logs] == ["who/knows"]
    with capture_logs() as logs:
        assert prices.of("tts", "dear/euro", 1, "characters") == 0.0
    assert "dear/euro" in {line["provider"] for line in logs}, "nothing is converted"


def test_what_a_vendor_bills_in_another_unit_is_counted_by_an_ordinary_minute() -> None:
    prices = Prices(price, "USD")
    assert prices.of("stt", "socket/ear", 60, "s") == pytest.approx(0.012)
    assert prices.of("tts", "timed/voice", 450, "characters") == pytest.approx(0.03)
    assert prices.of("stt", "local", 60, "s") == 0.0


def test_links_are_compared_by_an_ordinary_minute() -> None:
    prices = Prices(price, "USD")
    big, small = prices.of_minute("llm", "acme/big"), prices.of_minute("llm", "acme/small")
    assert big == pytest.approx(3000 * 2e-6 + 200 * 8e-6)
    assert small < big
    assert prices.of_minute("llm", "half/known") == UNKNOWN
    assert prices.of_minute("llm", "who/knows") == UNKNOWN
    assert prices.of_minute("stt", "local") == 0.0


def test_a_chain_that_is_made_late_saves_from_its_beginning() -> None:
    call, late = Call(0.1).begin(), Chain()
    call.budget.used("llm", "acme/big", 10_000, "tokens_in")
    assert call.happened == []
    call.budget.used("tts", "acme/voice", 700, "characters")
    call.budget.watch([late])  # type: ignore[list-item]
    assert call.happened == [("low", 0.09)]
    assert late.cost is not None
    assert late.cost("acme/small") < late.cost("acme/big")


def test_a_chain_is_told_the_cost_of_its_own_kind() -> None:
    call = Call(0.1).begin()
    call.budget.used("tts", "acme/voice", 900, "characters")
    assert call.chain.cost is not None
    names = ["who/knows", "acme/big", "acme/small"]
    assert sorted(names, key=call.chain.cost) == ["acme/small", "acme/big", "who/knows"]


# --- the end of the call -----------------------------------------------------------------------


class PaidAgent(TestAgent):
    """Lets a test say what its services used."""

    listener: Any = None

    def tts(self, listener: Any, _line: Any = None) -> Any:
        self.listener = listener
        return super().tts(listener)

    def use(self, characters: int) -> None:
        self.listener.link_used("tts", "acme/voice", characters, "characters")


def budgeted(answers: list[str], hears: list[str], **more: Any) -> PaidAgent:
    return PaidAgent(answers, hears=hears, call={"budget": 0.5}, **more)


def told(log: Any) -> list[str]:
    return [event.fields["level"] for event in log.events if event.name == "budget"]


def test_the_sentence_that_is_being_said_is_said_to_its_end(spoken):
    async def scene() -> None:
        agent = budgeted([ANSWER], [QUESTION])
        async with exchange(agent, price=price) as line:
            phone = await line.dial()
            await phone.quiet()
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: phone.conversation.parts.voice.talking)
            await asyncio.sleep(3 * WORD_S)
            agent.use(4100)
            agent.use(1000)
            await phone.until(lambda: phone.carrier.closed)
            await phone.hang_up("carrier_ended")
            answer, goodbye = line.log.turns[1:]
            assert answer.bot_text_heard == "We open at noon every day."
            assert answer.interrupted
            assert goodbye.bot_text_heard == WORDS
            assert [ending.reason for ending in line.log.endings] == ["budget"]
            assert line.log.endings[0].result.value == "completed"
            assert told(line.log) == ["low", "spent"]
            assert phone.carrier.heard().endswith(phrase(WORDS).ulaw)

    run(scene())


def test_an_answer_on_its_way_is_begun(spoken):
    async def scene() -> None:
        agent = budgeted([ANSWER], [QUESTION], llm_delay_s=1.0)
        async with exchange(agent, price=price) as line:
            phone = await line.dial()
            await phone.quiet()
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: phone.conversation.parts.replies.current is not None)
            agent.use(5000)
            await phone.until(lambda: phone.carrier.closed)
            await phone.hang_up("carrier_ended")
            heard = [turn.bot_text_heard for turn in line.log.turns[1:]]
            assert heard == ["We open at noon every day.", WORDS]

    run(scene())


def test_a_caller_who_speaks_is_heard_out_and_answered_in_a_sentence(spoken):
    async def scene() -> None:
        agent = budgeted([ANSWER], [QUESTION])
        async with exchange(agent, price=price) as line:
            phone = await line.dial()
            await phone.quiet()
            phone.said += spoken(QUESTION)
            await phone.until(lambda: phone.conversation.parts.turns.speaking)
            agent.use(5000)
            await phone.until(lambda: phone.carrier.closed)
            await phone.hang_up("carrier_ended")
            heard = [turn.bot_text_heard for turn in line.log.turns[1:]]
            assert heard == ["We open at noon every day.", WORDS]
            assert line.log.turns[1].caller_text == QUESTION

    run(scene())


def test_in_a_silence_it_is_said_at_once_and_the_caller_cannot_undo_it(spoken):
    async def scene() -> None:
        agent = budgeted([ANSWER], [QUESTION] * 3)
        async with exchange(agent, price=price) as line:
            phone = await line.dial()
            await phone.quiet()
            agent.use(5000)
            assert phone.conversation.parts.voice.talking
            phone.said += spoken(QUESTION) * 3
            await phone.until(lambda: phone.carrier.closed)
            await phone.hang_up("carrier_ended")
            assert [turn.bot_text_heard for turn in line.log.turns] == ["Hello there.", WORDS]

    run(scene())


def test_a_caller_who_never_stops_is_not_waited_for_for_ever(spoken):
    async def scene() -> None:
        agent = budgeted([ANSWER], [])
        async with exchange(agent, price=price) as line:
            phone = await line.dial()
            await phone.quiet()
            phone.said += spoken(QUESTION) * 60
            await phone.until(lambda: phone.conversation.parts.turns.speaking)
            agent.use(5000)
            began = phone.now
            await phone.until(lambda: phone.carrier.closed, 60)
            assert phone.now - began < 16
            await phone.hang_up("carrier_ended")
            assert [ending.reason for ending in line.log.endings] == ["budget"]

    run(scene())


def test_a_call_within_its_budget_notices_nothing(spoken):
    async def scene() -> None:
        agent = budgeted([ANSWER], [QUESTION])
        async with exchange(agent, price=price) as line:
            phone = await line.dial()
            await phone.quiet()
            agent.use(100)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: len(line.log.turns) == 2)
            assert line.log.turns[1].bot_text_heard == ANSWER
            await phone.hang_up()
            assert told(line.log) == []
            assert [ending.reason for ending in line.log.endings] == ["caller_hangup"]

    run(scene())
