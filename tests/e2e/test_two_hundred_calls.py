"""Two hundred calls in a row: tasks, files, threads and memory are where they were."""

from __future__ import annotations

import pytest
from many_calls import at_rest, calls, holding
from serving import Dial, Start

pytestmark = pytest.mark.soak

WARM = 50  # calls after which every cache, pool and arena has its size
MORE = 50
GROWTH_MB = 6.0  # of the 150 calls after them


async def test_two_hundred_calls_leave_nothing(start: Start, dial: Dial) -> None:
    server = start()
    fresh = await holding(server)
    print(f"\nstart      {fresh.rss_mb:7.1f} MB {fresh.counted}")
    await calls(server, dial, 0, WARM)
    before = after = await at_rest(server, fresh)
    print(f"{WARM:3} calls  {before.rss_mb:7.1f} MB {before.counted}")
    for first in range(WARM, 200, MORE):
        await calls(server, dial, first, MORE)
        after = await at_rest(server, before)
        print(f"{first + MORE:3} calls  {after.rss_mb:7.1f} MB {after.counted}")
        assert after.counted == before.counted
    assert after.rss_mb - before.rss_mb < GROWTH_MB
    for name in ("tasks", "conversations", "vad_slots", "calls", "rows", "processes"):
        assert after.counted[name] == fresh.counted[name], name
