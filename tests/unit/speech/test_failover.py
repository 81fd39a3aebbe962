"""What a chain tells of its links' use goes onto the call's bill."""

from __future__ import annotations

from typing import Any

import pytest

from telebot.call.model import Usage
from telebot.speech.failover import Failovers

pytestmark = pytest.mark.unit


class Log:
    def __init__(self) -> None:
        self.uses: list[Usage] = []

    def used(self, call: Any, usage: Usage) -> None:
        self.uses.append(usage)


@pytest.mark.parametrize(
    ("kind", "quantity", "told"),
    [
        ("stt", 1.5, True),
        ("stt", 0.0, False),  # connected, and heard nothing
        ("llm", 0.0, True),  # what was kept cost nothing, and must not be guessed at
        ("tts", 0.0, True),
        ("tts", 12.0, True),
    ],
)
def test_what_was_used_is_billed_and_what_was_kept_is_not(
    kind: str, quantity: float, told: bool
) -> None:
    log = Log()
    listener = Failovers(None, log, {})  # type: ignore[arg-type]
    listener.link_used(kind, "acme/one", quantity, "characters")
    assert log.uses == ([Usage(kind, "acme/one", quantity, "characters")] if told else [])
