"""What the machine allows a server, and what the server makes of it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Dial, Server, Start

from telebot.settings import Settings

pytestmark = pytest.mark.e2e


@pytest.fixture
def few_files() -> Iterator[None]:
    """A shell that allows few open files, and more to whoever asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def files_allowed(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/limits").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("Max open files")]
    return int(line.split()[3])


async def test_a_shells_limit_is_not_the_servers(few_files: None, start: Start, dial: Dial) -> None:
    """Every call has a socket and a recording open."""
    server = start()
    calls = Settings().server.max_calls
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert files_allowed(server) >= min(2 * calls + 100, hard)
    async with dial(server, agent="echo") as phone:
        assert "say back" in (await phone.heard()).lower()
