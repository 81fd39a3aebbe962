"""Whose voices are listed, by which key, and for how long that is remembered."""

from __future__ import annotations

import asyncio

import pytest

from telebot.providers.clips import VoiceRow, lost
from telebot.providers.failure import Cause
from telebot.voice import listings
from telebot.voice.listings import VoiceLists
from telebot.voice.offers import Offer

pytestmark = pytest.mark.unit


class Vendor:
    """Lists what it is told to; counts how often it is asked."""

    model, abilities, longest, rate_hz = "m", frozenset(), 10, 8000

    def __init__(self, *names, fails=None):
        self.names, self.fails, self.asked = names, fails, 0

    def speak(self, script): ...

    def uses(self, script):
        return ()

    async def voices(self):
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return [VoiceRow(name) for name in self.names]


def offer(worker, *, own=False, provider="acme"):
    return Offer("tts", provider, "m", worker, "account", own)


def names(found):
    return {provider: rows and [row.id for row in rows] for provider, rows in found.items()}


def asked(lists, owner, *offers):
    return names(asyncio.run(lists.of(owner, offers)))


def test_ones_own_key_is_asked_first_and_its_list_is_ones_own():
    now = [0.0]
    lists, own, house = VoiceLists(lambda: now[0]), Vendor("cloned"), Vendor("preset")
    assert asked(lists, "a", offer(own, own=True), offer(house)) == {"acme": ["cloned"]}
    assert asked(lists, "b", offer(house)) == {"acme": ["preset"]}
    other = Vendor("others")
    assert asked(lists, "b", offer(other, own=True), offer(house)) == {"acme": ["others"]}
    assert asked(lists, "a", offer(own, own=True), offer(house)) == {"acme": ["cloned"]}
    assert (own.asked, house.asked, other.asked) == (1, 1, 1)
    now[0] += listings.FRESH_S
    asked(lists, "b", offer(house))
    assert house.asked == 2


@pytest.mark.parametrize("fails", [lost(Cause.REFUSED), OSError(), RuntimeError()])
def test_where_a_key_is_refused_the_next_is_asked_and_nothing_is_remembered(fails):
    lists, own, house = VoiceLists(lambda: 0.0), Vendor(fails=fails), Vendor("preset")
    for _ in range(2):
        assert asked(lists, "a", offer(own, own=True), offer(house)) == {"acme": ["preset"]}
    assert own.asked == 2
    assert asked(lists, "a", offer(own, own=True)) == {"acme": None}


def test_lists_are_bounded(monkeypatch):
    monkeypatch.setattr(listings, "MOST_LISTS", 3)
    monkeypatch.setattr(listings, "MOST_VOICES", 2)
    lists = VoiceLists(lambda: 0.0)
    for owner in map(str, range(9)):
        own = offer(Vendor("x", "y", "z"), own=True)
        assert asked(lists, owner, own) == {"acme": ["x", "y"]}
    assert len(lists._kept) == 3


def test_who_has_no_list_is_missing():
    assert asked(VoiceLists(lambda: 0.0), "a", offer(object())) == {"acme": None}
