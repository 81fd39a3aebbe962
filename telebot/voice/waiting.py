"""How long a provider was waited for, all in all: what its throughput is measured by. The time that
our own client takes to read counts for nobody.
"""

from __future__ import annotations

import time
from types import TracebackType


class Waited:
    """Seconds, added up over each time that it is entered."""

    __slots__ = ("_since", "s")

    def __init__(self) -> None:
        self.s = 0.0
        self._since = 0.0

    def __enter__(self) -> Waited:
        self._since = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.s += time.monotonic() - self._since
