"""Node for the tests: programs of the JavaScript client, run to their end."""

from __future__ import annotations

import asyncio
import os
import shutil
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


async def _program(name: str, *argv: str | Path, cwd: Path, **environ: str) -> tuple[int, str]:
    found = shutil.which(name)
    if found is None:
        absent(f"{name} is not installed: the JavaScript client is not tried in it")
    process = await asyncio.create_subprocess_exec(
        found,
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
