"""A step that fails takes no other call along."""

from __future__ import annotations

import pytest

from telebot.sip.dispatch import Waker

pytestmark = pytest.mark.unit


def test_what_one_call_does_wrong_stops_no_other() -> None:
    done: list[str] = []

    def broken() -> None:
        raise AttributeError("a transaction that is over")

    waker = Waker()
    for step in (lambda: done.append("one"), broken, lambda: done.append("two")):
        waker.call_from_thread(step)
    waker.procrastinate()
    assert done == ["one", "two"]
