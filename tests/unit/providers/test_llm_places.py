"""Models ask for a place at their vendor and give it back, whatever becomes of the turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from virtual_time import run

from telebot.providers.breaker import Breakers
from telebot.providers.chain import Inbox, LinkFailed
from telebot.providers.chain_llm import ChainLLM
from telebot.providers.failure import Cause, Failure
from telebot.providers.link import Link, Patience, Port
from telebot.providers.pacing import Pace
from telebot.settings import VendorLimits
from telebot.speech.failover import Nobody

pytestmark = pytest.mark.unit

PATIENCE = Patience(start_s=1.0, first_s=0.9, stall_s=0.5, hedge_s=0.25)
STEP_S = 0.05


class Model:
    """A model that speaks after `first_s`, for `whole_s`; `fails` before a word."""

    up = True

    def __init__(self, first_s: float, whole_s: float = 0.2, *, fails: bool = False) -> None:
        self.inbox = Inbox()
        self.asked = 0
        self._first_s, self._whole_s, self._fails = first_s, whole_s, fails
        self._work: asyncio.Task[None] | None = None

    async def feed(self, frame: Frame) -> None:
        if self._work is not None:
            self._work.cancel()
        if isinstance(frame, LLMContextFrame):
            self.asked += 1
            self._work = asyncio.create_task(self._answer(self.inbox))

    async def _answer(self, inbox: Inbox) -> None:
        await inbox.put(LLMFullResponseStartFrame())
        await asyncio.sleep(self._first_s)
        if not self._fails:
            await inbox.put(LLMTextFrame("We are open. "))
            await asyncio.sleep(self._whole_s)
        await inbox.put(LLMFullResponseEndFrame())

    async def stop(self) -> None:
        if self._work is not None:
            self._work.cancel()


class Chained(ChainLLM):
    """Without a pipeline: the models above are its links' services."""

    def __init__(self, models: list[Model]) -> None:
        clock = asyncio.get_running_loop().time
        breakers = Breakers(clock)
        self.models: dict[str, Model] = {f"acme/{n}": model for n, model in enumerate(models)}
        self.paces = {name: Pace(name, VendorLimits(concurrent=1), clock) for name in self.models}
        links = [
            Link(name, lambda: None, breakers.of("llm", name), PATIENCE, pace=self.paces[name])  # type: ignore[arg-type, return-value]
            for name in self.models
        ]
        super().__init__(links, Nobody(), clock)
        self.pushed_frames: list[Frame] = []

    async def ready(self, port: Port) -> Any:
        model = self.models[port.link.name]
        model.inbox = Inbox()
        port.hosted = model  # type: ignore[assignment]
        await asyncio.sleep(0)
        return model, model.inbox

    async def push_frame(self, frame: Frame, *_: Any) -> None:
        self.pushed_frames.append(frame)
        await asyncio.sleep(0)

    @property
    def running(self) -> list[int]:
        return [pace.running for pace in self.paces.values()]

    def ask(self) -> asyncio.Task[None]:
        self._turn = self.begin(self._answer(LLMContext([{"role": "user", "content": "When?"}])))
        return self._turn

    async def over(self) -> None:
        await asyncio.gather(*self._dropping, *(model.stop() for model in self.models.values()))
        assert self.running == [0] * len(self.models)
        assert not any(pace.waiting for pace in self.paces.values())
        assert not self._places


def test_a_place_is_kept_until_the_reply_is_whole() -> None:
    async def scene() -> None:
        chain = Chained([Model(0.1, 0.4), Model(0.1)])
        turn = chain.ask()
        await asyncio.sleep(0.2)
        assert chain.running == [1, 0]
        await turn
        await chain.over()

    run(scene())


def test_a_hedged_model_takes_a_place_and_the_loser_gives_its_back() -> None:
    async def scene() -> None:
        chain = Chained([Model(0.8), Model(0.1, 0.3)])
        turn = chain.ask()
        await asyncio.sleep(0.3)
        assert chain.running == [1, 1]
        await asyncio.sleep(0.1)
        assert chain.running == [0, 1]
        await turn
        await chain.over()

    run(scene())


def test_of_two_that_speak_at_once_the_second_gives_its_place_back_at_once() -> None:
    async def scene() -> None:
        chain = Chained([Model(0.5, 0.4), Model(0.25)])
        turn = chain.ask()
        await asyncio.sleep(0.6)
        assert [model.asked for model in chain.models.values()] == [1, 1]
        assert chain.running == [1, 0]
        await turn
        await chain.over()

    run(scene())


def test_a_hedged_model_without_a_place_is_not_asked_and_the_slow_one_answers() -> None:
    async def scene() -> None:
        chain = Chained([Model(0.5), Model(0.0)])
        others = chain.paces["acme/1"].slot_now()
        assert others is not None
        await chain.ask()
        others.release()
        assert [model.asked for model in chain.models.values()] == [1, 0]
        await chain.over()

    run(scene())


def test_while_the_first_waits_for_a_place_the_second_is_asked() -> None:
    async def scene() -> None:
        chain = Chained([Model(0.0), Model(0.0)])
        others = chain.paces["acme/0"].slot_now()
        assert others is not None
        await chain.ask()
        others.release()
        assert [model.asked for model in chain.models.values()] == [0, 1]
        await chain.over()

    run(scene())


def test_what_fails_gives_its_place_back_before_the_next_is_asked() -> None:
    async def scene() -> None:
        chain = Chained([Model(0.1, fails=True), Model(0.2), Model(0.2)])
        turn = chain.ask()
        await asyncio.sleep(0.2)
        assert chain.running == [0, 1, 0]
        await turn
        await chain.over()

    run(scene())


@pytest.mark.parametrize("second_s", [0.0, 0.25, 0.6])
@pytest.mark.parametrize("taken", [(), ("acme/0",), ("acme/1",)])
def test_an_interruption_at_any_moment_leaves_no_place_taken(
    second_s: float, taken: tuple[str, ...]
) -> None:
    """`second_s` 0.25: both speak in the same moment. At each time, and so many turns of the loop
    behind it."""

    async def scene(at_s: float, turns: int) -> None:
        chain = Chained([Model(0.5), Model(second_s)])
        others = [chain.paces[name].slot_now() for name in taken]
        chain.ask()
        await asyncio.sleep(at_s)
        for _ in range(turns):
            await asyncio.sleep(0)
        await chain._stop_turn()
        for slot in others:
            assert slot is not None
            slot.release()
        await chain.over()

    for step in range(20):
        for turns in range(12):
            run(scene(step * STEP_S, turns))


def test_a_reply_that_breaks_off_gives_its_place_back() -> None:
    async def scene() -> None:
        chain = Chained([Model(0.1, 3.0)])
        await chain.ask()
        assert chain.running == [0]
        await chain.over()

    run(scene())


def test_a_vendor_that_cannot_be_reached_gives_its_place_back() -> None:
    async def scene() -> None:
        chain = Chained([Model(0.1), Model(0.1)])
        ready = chain.ready

        async def down(port: Port) -> Any:
            if port.link.name == "acme/0":
                raise LinkFailed(Failure(Cause.UNREACHABLE))
            return await ready(port)

        chain.ready = down  # type: ignore[method-assign]
        await chain.ask()
        await chain.over()

    run(scene())
