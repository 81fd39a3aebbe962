"""Budgets of keys over real records: what is finished counts at once, what has begun by its
estimate."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import aiohttp
import pytest
from records_server import RecordsServer, records_server
from simulated import simulated
from voice_server import voice_server

from telebot.audio import wav
from telebot.call.errors import ApiError
from telebot.providers.clips import Use
from telebot.providers.replies import Message, Question
from telebot.records.keys import ApiKey, Scope
from telebot.records.spending import FRESH_S, NANOS, Spending
from telebot.voice import replying
from telebot.voice.done import Done, new_id
from telebot.voice.permits import permit_of
from telebot.voice.pricing import Cost
from telebot.voice.replying import Asked
from telebot.web.key_budgets import KeyBudgets

pytestmark = pytest.mark.peers


@dataclass
class Purse:
    """One key with a budget of half a dollar, on clocks that are turned by hand."""

    records: RecordsServer
    key: ApiKey
    spending: Spending
    passed: list[float]

    def now(self) -> datetime:
        return now(self.passed)

    def spend(self, amount: str, *, noted: bool = True, at: datetime | None = None) -> None:
        done = Done(
            id=new_id(),
            at=at or self.now(),
            key_id=self.key.id,
            work="stt",
            provider="deepgram/nova-3",
            own_key=False,
            uses=(Use(60.0, "s"),),
            cost=Cost(Decimal(amount), "USD", True),
            ms=1.0,
            first_ms=None,
            attempts=(),
        )
        values = done.values()
        self.records.archive.log.worked(values)
        if noted:
            self.spending.note(self.key.id, done.at, values["amount_nanos"])

    async def refused(self) -> str:
        with pytest.raises(ApiError) as raised:
            await KeyBudgets(self.spending).check(self.key)
        assert (raised.value.status, raised.value.code) == (402, "budget_used_up")
        return str(raised.value)

    async def passes(self) -> None:
        await KeyBudgets(self.spending).check(self.key)


START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def now(passed: list[float]) -> datetime:
    """No two moments are the same."""
    passed[0] += 1e-6
    return START + timedelta(seconds=passed[0])


@pytest.fixture
async def purse(tmp_path) -> AsyncIterator[Purse]:
    async with records_server(tmp_path) as records:
        key, _ = await records.archive.keys.create("p", Scope.VIEWER, monthly_budget=0.5)
        passed = [0.0]
        archive = records.archive
        spending = Spending(
            archive.reports, archive.written, lambda: passed[0], lambda: now(passed)
        )
        yield Purse(records, key, spending, passed)


async def test_what_is_finished_counts_at_once(purse):
    await purse.passes()
    purse.spend("0.3")
    await purse.passes()
    purse.spend("0.3")  # no look-up lies between
    assert "spent 0.60 of its 0.50 USD" in await purse.refused()


async def test_nothing_is_counted_twice_or_lost_by_a_look_up(purse):
    for step in range(40):
        purse.spend("0.01")
        purse.passed[0] += FRESH_S * (step % 4) / 2  # a look-up now and then, also in between
        assert await purse.spending.nanos(purse.key.id) == (step + 1) * NANOS // 100


async def test_what_another_server_spends_counts_after_a_while(purse):
    await purse.passes()
    purse.spend("0.6", noted=False)
    await purse.records.archive.written()
    await purse.passes()
    purse.passed[0] += FRESH_S + 1
    await purse.refused()


async def test_a_new_month_begins_with_nothing(purse):
    purse.spend("0.6")
    await purse.refused()
    purse.passed[0] = timedelta(days=11).total_seconds()
    await purse.passes()
    assert await purse.spending.nanos(purse.key.id) == 0


async def test_what_is_under_way_counts_by_its_estimate(purse):
    with purse.spending.running(purse.key.id, NANOS // 2):
        await purse.refused()
    await purse.passes()


async def test_work_that_is_noted_while_the_sum_is_looked_up(purse):
    read = purse.records.archive.reports.sums

    async def slow(*args):
        found = await read(*args)
        purse.passed[0] += 0.001
        purse.spend("0.1")  # after the sum, before it is taken over
        return found

    purse.records.archive.reports.sums = slow
    assert await purse.spending.nanos(purse.key.id) == NANOS // 10
    purse.records.archive.reports.sums = read
    purse.passed[0] += FRESH_S + 1
    assert await purse.spending.nanos(purse.key.id) == NANOS // 10


async def test_a_key_without_a_budget_is_never_looked_up(purse):
    other, _ = await purse.records.archive.keys.create("q", Scope.OPERATOR)
    purse.records.archive.reports.sums = None
    await KeyBudgets(purse.spending).check(other)


@asynccontextmanager
async def spending_server(speech, tmp_path, budget: float):
    """OpenAI is simulated and paid for by the house; the only key has a budget."""
    async with records_server(tmp_path) as records, simulated(speech, ["openai"]) as vendors:
        archive = records.archive
        key, _ = await archive.keys.create("p", Scope.VIEWER, monthly_budget=budget)
        names = ("OPENAI_BASE_URL", "OPENAI_API_KEY")
        environ = {name: vendors.environ[name] for name in names}

        async def permit(_: str):
            return permit_of(key)

        def ledger(done: Done) -> None:
            values = done.values()
            archive.log.worked(values)
            archive.spending.note(done.key_id, done.at, values["amount_nanos"] or 0)

        owners = {"permit": permit, "spending": archive.spending}
        async with voice_server(speech, environ=environ, ledger=ledger, owners=owners) as server:
            yield server, archive.spending


async def test_many_at_once_cannot_spend_more_than_there_is(speech, tmp_path):
    clips = [clip.pcm16 async for clip in speech.tts.stream("A table for four.", rate_hz=16_000)]
    pcm16 = b"".join(clips)
    file = wav.written(pcm16 + bytes(2 * 16_000 * 60 - len(pcm16)), 16_000)  # a minute

    async with spending_server(speech, tmp_path, 0.02) as (server, spending):

        async def ask() -> tuple[int, str]:
            form = aiohttp.FormData({"model": "openai/whisper-1"})  # 0.006 a minute
            form.add_field("file", io.BytesIO(file), filename="a.wav")
            status, told, _ = await server.post("/v1/voice/transcribe", data=form)
            return status, told["error"]["code"] if status != 200 else ""

        answers = await asyncio.gather(*(ask() for _ in range(8)))
        assert sorted(answers) == [*3 * [(200, "")], *5 * [(402, "budget_used_up")]]
        assert await spending.nanos("id") <= 0.02 * NANOS
        asked = {"text": "x" * 5000, "model": "openai/tts-1"}
        status, told, _ = await server.post("/v1/voice/synthesize", json=asked)
        assert (status, "would cost about 0.0750" in told["error"]["message"]) == (402, True)


async def test_replies_that_are_under_way_count_by_their_estimate(speech, tmp_path):
    async with spending_server(speech, tmp_path, 0.005) as (server, spending):

        async def ask(text: str = "Where can I park?") -> str:
            question = Question((Message("user", text),))
            try:  # 0.002 for 256 tokens of an answer
                replied = await replying.whole(server.voice, "id", Asked.of(question, "gpt-4.1"))
            except ApiError as error:
                return error.code
            return replied.done.provider

        answers = sorted(await asyncio.gather(*(ask() for _ in range(6))))
        assert answers == [*4 * ["budget_used_up"], *2 * ["openai/gpt-4.1"]]
        assert 0 < await spending.nanos("id") < 0.001 * NANOS  # what they really cost
        assert await ask("x" * 20_000) == "budget_used_up"  # 5,000 tokens: 0.01
        assert await ask() == "openai/gpt-4.1"
