"""Node for the tests: programs of the JavaScript client, run to their end."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from absent import absent

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "telebot" / "console" / "static"
PROGRAMS = Path(__file__).parent / "client"
WITHIN_S = 120


async def node(*argv: str | Path, cwd: Path = ROOT, **environ: str) -> tuple[int, str]:
    """Exit code and everything it wrote."""
    return await _program("node", *argv, cwd=cwd, **environ)


async def tsc(*argv: str | Path) -> tuple[int, str]:
    return await _program("tsc", *argv, cwd=ROOT)


@asynccontextmanager
async def running(*argv: str | Path, cwd: Path, **environ: str) -> AsyncIterator[Process]:
    """Node while it runs, with its three streams; killed at the end if it has not ended."""
    process = await asyncio.create_subprocess_exec(
        _found("node"),
        *map(str, argv),
        cwd=cwd,
        env=os.environ | environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def _found(name: str) -> str:
    return shutil.which(name) or absent(
        f"{name} is not installed: the JavaScript client is not tried in it"
    )


async def _program(name: str, *argv: str | Path, cwd: Path, **environ: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        _found(name),
        *map(str, argv),
        cwd=cwd,
        env=os.environ | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            wrote, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, wrote.decode()
