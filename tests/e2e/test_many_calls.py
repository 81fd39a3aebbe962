"""What the machine allows a server, and what the server makes of it; calls in a row leave it as
they found it (`test_two_hundred_calls` makes more of them)."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from many_calls import POOLED, at_rest, calls, settled
from serving import Dial, Server, Start

from telebot.settings import Settings

pytestmark = pytest.mark.e2e


@contextmanager
def few_files() -> Iterator[None]:
    """A shell that allows few open files, and more to whoever asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def files_allowed(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/limits").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("Max open files")]
    return int(line.split()[3])


async def test_calls_that_end_in_every_way_leave_nothing(start: Start, dial: Dial) -> None:
    """Every call has a socket and a recording open: a shell's limit is not the server's."""
    with few_files():
        server = start()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert files_allowed(server) >= min(2 * Settings().server.max_calls + 100, hard)
    await calls(server, dial, 0, 8)  # every way with every agent: threads and connections are there
    before = await settled(server)
    assert before.counted["calls"] == 0
    await calls(server, dial, 8, 16)
    after = await at_rest(server, before)
    assert after.counted == before.counted
    assert after.threads <= before.threads + POOLED
