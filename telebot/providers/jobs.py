"""Recordings that a vendor takes in as a job: waited for by asking again, deleted at the end.

For the `NAME_clips.py` of such vendors. The waiting is bounded and grows slower; what lies at the
vendor is deleted whether the job was done, failed or given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from telebot.providers.clips import Recording, lost
from telebot.providers.failure import Cause
from telebot.providers.vendor_http import VendorHttp

T = TypeVar("T")
FIRST_S, SLOWER, LONGEST_S = 0.3, 1.5, 5.0  # between two questions
LEAST_S = 120.0  # for the shortest recording


def patience_s(recording: Recording) -> float:
    """How long a job may take: vendors are faster than the recording, but may be busy."""
    return LEAST_S + recording.sound.seconds


async def waited(ask: Callable[[], Awaitable[T | None]], *, who: str, within_s: float) -> T:
    """What `ask` gives once it gives something. Raises `ClipFailed` where that takes too long."""
    pause_s = FIRST_S
    try:
        async with asyncio.timeout(within_s):
            while (found := await ask()) is None:
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_S, pause_s * SLOWER)
    except TimeoutError:
        raise lost(Cause.SLOW_FIRST, f"{who} has not done it in {within_s:.0f} s") from None
    return found


@asynccontextmanager
async def cleared(http: VendorHttp) -> AsyncIterator[list[str]]:
    """A list for the paths of what this request leaves at the vendor; deleted when the block ends,
    last first, also where it is cancelled."""
    paths: list[str] = []
    try:
        yield paths
    finally:
        await http.discard(*reversed(paths))
