"""The console's templates, which escape everything; `pages.py` renders by them.

The engine is imported, and the templates are compiled, when a page is first asked for, in a thread:
a server starts without them, and calls that are up do not wait for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telebot.console import view
from telebot.records.shape import rfc3339

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "templates"


class Templates:
    """`await ready()` before `render`."""

    def __init__(self) -> None:
        self._environment: Environment | None = None
        self._making = asyncio.Lock()

    async def ready(self) -> None:
        """All of them are compiled."""
        if self._environment is None:
            async with self._making:
                if self._environment is None:
                    self._environment = await asyncio.to_thread(compiled)

    def render(self, name: str, parts: Mapping[str, Any]) -> str:
        """The page."""
        if self._environment is None:
            raise RuntimeError("the templates are not ready")
        return self._environment.get_template(name).render(parts)


def compiled() -> Environment:
    """Every template, so that a fault in one is found at once. Blocks for a tenth of a second."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": view.clock,
        "ms": view.milliseconds,
        "words": view.words,
        "time": rfc3339,
    }
    for name in environment.list_templates():
        environment.get_template(name)
    return environment
