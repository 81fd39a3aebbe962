"""What is decoded at once is counted while it grows."""

from __future__ import annotations

import pytest

from telebot.call.errors import ApiError
from telebot.voice.sound_room import SoundRoom

pytestmark = pytest.mark.unit


def test_one_alone_has_room_whatever_it_is():
    room = SoundRoom(100)
    share = room.share("anna")
    for _ in range(50):
        share.grow(10)
    assert room.held == 500
    share.leave()
    share.leave()
    assert room.held == 0


def test_an_owner_has_at_most_half_of_it():
    room = SoundRoom(100)
    first, second, other = room.share("anna"), room.share("anna"), room.share("ben")
    first.grow(30)
    second.grow(20)
    with pytest.raises(ApiError) as refused:
        second.grow(1)
    assert (refused.value.status, refused.value.code) == (503, "busy")
    assert refused.value.retry_after_s == 10
    other.grow(50)
    with pytest.raises(ApiError):
        other.grow(1)
    first.leave()
    other.grow(1)
    assert room.held == 71


def test_what_nobody_waits_for_grows_no_more():
    room = SoundRoom(100)
    share = room.share("anna")
    share.grow(10)
    share.leave()
    with pytest.raises(ApiError):
        share.grow(1)
    assert room.held == 0
