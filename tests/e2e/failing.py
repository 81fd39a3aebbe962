"""Calls in which one vendor fails, through a server of their own (`bench/failover_calls.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from serving import Server

from bench.failover_calls import Caller, Outcome, calls
from bench.failover_cases import Case, staged, write_config
from bench.failover_words import Voice
from telebot.phone.voices import LocalSpeech as Ears
from telebot.providers.local_speech import LocalSpeech


async def rehearsed(cases: Sequence[Case], ears: Ears, folder: Path, at_once: int) -> list[Outcome]:
    """A call of each case."""
    async with LocalSpeech() as local, staged(local, cases) as (stages, environ):
        config = write_config(folder, {stage.case.name: stage.agent() for stage in stages})
        with ExitStack() as stack:
            server = Server(folder / "data", config, **environ)
            # in threads: it asks the vendors, which are in this process
            await asyncio.to_thread(stack.enter_context, server)
            key = (folder / "data" / "admin-key").read_text().strip()
            caller = Caller(server.url, key, ears, Voice(local))
            try:
                return await calls(caller, stages, at_once)
            finally:
                await asyncio.to_thread(stack.close)


def wrong(outcomes: Sequence[Outcome]) -> list[str]:
    """Every call that is not as it should be, and how."""
    return [
        f"{outcome.case.name}: {fault} (given up: {outcome.failovers})"
        for outcome in outcomes
        for fault in outcome.wrong()
    ]
