"""Two hundred calls in a row: tasks, files, threads and memory are where they were."""

from __future__ import annotations

import pytest
from many_calls import POOLED, Holding, at_rest, calls, settled
from serving import Dial, Start

pytestmark = pytest.mark.soak

WARM = 50  # calls after which every cache, pool and arena has its size
MORE = 50
GROWTH_MB = 12.0  # of the 150 calls after them: 80 kB a call; one that is kept has more


def tell(calls: int, now: Holding) -> None:
    """For whoever reads along (`-s`)."""
    print(f"{calls:3} calls {now.rss_mb:7.1f} MB {now.threads:3} threads {now.counted}")


async def test_two_hundred_calls_leave_nothing(start: Start, dial: Dial) -> None:
    server = start()
    fresh = await settled(server)
    tell(0, fresh)
    await calls(server, dial, 0, WARM)
    before = after = await at_rest(server, fresh)
    tell(WARM, before)
    for first in range(WARM, 200, MORE):
        await calls(server, dial, first, MORE)
        after = await at_rest(server, before)
        tell(first + MORE, after)
        assert after.counted == before.counted
        assert after.threads <= before.threads + POOLED
    assert after.counted == fresh.counted
    assert after.rss_mb - before.rss_mb < GROWTH_MB
