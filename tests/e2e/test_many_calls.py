"""Calls in a row leave the server as they found it; `test_two_hundred_calls` makes more of them."""

from __future__ import annotations

import pytest
from many_calls import POOLED, at_rest, calls, settled
from serving import Dial, Start

pytestmark = pytest.mark.e2e


async def test_calls_that_end_in_every_way_leave_nothing(start: Start, dial: Dial) -> None:
    server = start()
    await calls(server, dial, 0, 8)  # every way with every agent: threads and connections are there
    before = await settled(server)
    assert before.counted["calls"] == 0
    await calls(server, dial, 8, 16)
    after = await at_rest(server, before)
    assert after.counted == before.counted
    assert after.threads <= before.threads + POOLED
