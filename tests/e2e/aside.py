"""Peers on a loop and a thread of their own: they outlast a test, and what keeps a test's loop busy
does not slow them. Servers whose agents may use such vendors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from typing import Any, TypeVar

import yaml
from serving import REPOSITORY, Server
from simulated import Simulated, simulated

from telebot.providers.local_speech import LocalSpeech

WITHIN_S = 60.0
Peer = TypeVar("Peer")
HERE = {"stt": "local", "llm": "dialog", "tts": "local"}


@contextmanager
def aside(opened: Callable[[], AbstractAsyncContextManager[Peer]]) -> Iterator[Peer]:
    """What `opened()` gives, open on a loop of its own until the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="aside")
    stack = AsyncExitStack()

    async def begin() -> Peer:
        return await stack.enter_async_context(opened())

    with ExitStack() as ends:
        ends.callback(loop.close)
        thread.start()
        ends.callback(thread.join)
        ends.callback(loop.call_soon_threadsafe, loop.stop)
        peer = asyncio.run_coroutine_threadsafe(begin(), loop).result(WITHIN_S)
        try:
            yield peer
        finally:
            asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(WITHIN_S)


@asynccontextmanager
async def _vendors(names: tuple[str, ...]) -> AsyncIterator[Simulated]:
    async with LocalSpeech() as models, simulated(models, names) as running:
        yield running


@contextmanager
def vendors_aside(*names: str) -> Iterator[Simulated]:
    """These vendors, simulated, with models of their own."""
    with aside(lambda: _vendors(names)) as running:
        yield running


@contextmanager
def desks(
    folder: Path, environ: Mapping[str, str], **speech: Mapping[str, Any]
) -> Iterator[Server]:
    """A server in this environment with an agent of each name, like the front desk that ships but
    with this `speech` beside this machine's own; the first answers who names none."""
    (folder / "agents").mkdir()
    for name, own in speech.items():
        tree = yaml.safe_load((REPOSITORY / "config/agents/front-desk.yaml").read_text())
        tree["agent"] = {**tree.get("agent", {}), "name": name}
        tree["speech"] = {**HERE, **own}
        (folder / f"agents/{name}.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True))
    (folder / "numbers.yaml").write_text(f'numbers:\n  "*": {next(iter(speech))}\n')
    (folder / "telebot.yaml").write_text("server:\n  drain_s: 5\n")
    with Server(folder / "data", folder / "telebot.yaml", **environ) as server:
        yield server
