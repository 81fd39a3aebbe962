from __future__ import annotations

import asyncio
import threading

import pytest

from telebot.call.errors import ProviderBusy, ProviderError
from telebot.providers.workers import ModelThreads

pytestmark = pytest.mark.unit


class Held:
    """A model whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.order: list[int] = []

    def answer(self, number: int) -> int:
        self.begun.set()
        assert self.go.wait(20)
        self.order.append(number)
        return number


async def test_jobs_run_in_order_and_their_wait_is_measured() -> None:
    now_s = [10.0]
    model = Held()
    pool = ModelThreads("t", [model], waiting_limit=8, clock=lambda: now_s[0])
    jobs = [pool.submit(lambda m, n=n: m.answer(n)) for n in range(4)]
    await asyncio.to_thread(model.begun.wait, 20)
    assert (pool.stats().running, pool.stats().waiting) == (1, 3)
    now_s[0] = 10.5
    model.go.set()
    done = [await asyncio.wrap_future(job) for job in jobs]
    pool.close()
    assert model.order == [0, 1, 2, 3]
    assert [d.queue_ms for d in done] == [0, 500, 500, 500]
    assert pool.stats().queue_ms_most == 500
    assert (pool.stats().waiting, pool.stats().running, pool.stats().done) == (0, 0, 4)


async def test_a_full_queue_refuses_and_room_comes_back() -> None:
    model = Held()
    pool = ModelThreads("t", [model], waiting_limit=1)
    running = pool.submit(lambda m: m.answer(1))
    await asyncio.to_thread(model.begun.wait, 20)
    waiting = pool.submit(lambda m: m.answer(2))
    with pytest.raises(ProviderBusy):
        pool.submit(lambda m: m.answer(3))
    waiting.cancel()
    again = pool.submit(lambda m: m.answer(4))
    model.go.set()
    await asyncio.wrap_future(running)
    await asyncio.wrap_future(again)
    pool.close()
    assert model.order == [1, 4]
    assert (pool.stats().refused, pool.stats().skipped) == (1, 1)


async def test_a_job_whose_caller_is_gone_is_skipped() -> None:
    model = Held()
    pool = ModelThreads("t", [model], waiting_limit=8)
    running = pool.submit(lambda m: m.answer(1))
    await asyncio.to_thread(model.begun.wait, 20)

    async def caller() -> None:
        await asyncio.wrap_future(pool.submit(lambda m: m.answer(2)))

    task = asyncio.create_task(caller())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    model.go.set()
    await asyncio.wrap_future(running)
    pool.close()
    assert model.order == [1]


async def test_a_failure_is_the_callers_and_the_model_goes_on() -> None:
    pool = ModelThreads("t", [7], waiting_limit=8)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wrap_future(pool.submit(lambda m: m // 0))
    assert (await asyncio.wrap_future(pool.submit(lambda m: m + 1))).value == 8
    pool.close()
    assert pool.stats().running == 0


async def test_no_model_is_used_twice_at_once() -> None:
    models = [threading.Lock(), threading.Lock()]
    pool = ModelThreads("t", models, waiting_limit=500)

    def use(model: threading.Lock) -> bool:
        free = model.acquire(blocking=False)
        if free:
            model.release()
        return free

    jobs = [pool.submit(use) for _ in range(400)]
    assert all([(await asyncio.wrap_future(job)).value for job in jobs])
    pool.close()


async def test_closing_joins_the_threads_and_refuses_more() -> None:
    before = threading.active_count()
    pool = ModelThreads("t", [1, 2], waiting_limit=8)
    await asyncio.wrap_future(pool.submit(lambda m: m))
    pool.close()
    pool.close()
    assert threading.active_count() == before
    with pytest.raises(ProviderError):
        pool.submit(lambda m: m)
