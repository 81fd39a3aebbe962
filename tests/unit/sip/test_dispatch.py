"""A step that fails takes no other call along; and between two timers the thread sleeps."""

from __future__ import annotations

import threading

import pytest
import sippy.Time.MonoTime
from sippy.Time.Timeout import Timeout

from telebot.sip import dispatch
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


@pytest.mark.parametrize("runs_away_s", [-5.0, 5.0])
def test_it_sleeps_until_a_timer_is_due_by_sippys_clock(
    runs_away_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clocks of one machine are seconds apart once it was up for a week."""
    kept = sippy.Time.MonoTime.clock_getdtime
    monkeypatch.setattr(sippy.Time.MonoTime, "clock_getdtime", lambda one: kept(one) + runs_away_s)
    looks = 0

    class Counted(Waker):
        def procrastinate(self) -> None:
            nonlocal looks
            looks += 1
            super().procrastinate()

    def run() -> None:
        dispatcher = dispatch.begin()
        dispatcher.elp = Counted()
        Timeout(dispatcher.breakLoop, 0.2)
        dispatcher.loop()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60.0)
    assert not thread.is_alive()
    assert looks <= 10
