"""Keys become one input."""

from __future__ import annotations

import pytest
from virtual_time import Scheduler

from telebot.speech.keypad import MAX_DIGITS, Keypad

pytestmark = pytest.mark.unit


class Pressed:
    def __init__(self) -> None:
        self.time = Scheduler()
        self.taken: list[str] = []
        self.pad = Keypad(2.0, self.time.later, self.taken.append)

    def keys(self, keys: str, every_s: float = 0.3) -> None:
        for key in keys:
            self.pad.key(key)
            self.time.run(every_s)


def test_digits_are_taken_after_a_pause():
    pressed = Pressed()
    pressed.keys("1234")
    assert pressed.taken == []
    pressed.time.run(1.6)
    assert pressed.taken == []
    pressed.time.run(0.2)
    assert pressed.taken == ["1234"]
    assert pressed.time.pending == 0


def test_the_hash_key_ends_them_at_once():
    pressed = Pressed()
    pressed.keys("42#")
    assert pressed.taken == ["42"]
    assert pressed.time.pending == 0


@pytest.mark.parametrize(("keys", "taken"), [("#", [""]), ("##", ["", ""]), ("1#", ["1"])])
def test_a_hash_without_digits_is_an_empty_input(keys, taken):
    pressed = Pressed()
    pressed.keys(keys)
    pressed.time.run(10)
    assert pressed.taken == taken


def test_star_and_letters_are_keys_like_others():
    pressed = Pressed()
    pressed.keys("*9A#")
    assert pressed.taken == ["*9A"]


def test_an_endless_input_is_taken_in_parts():
    pressed = Pressed()
    pressed.keys("7" * (2 * MAX_DIGITS + 3), every_s=0.05)
    pressed.time.run(3)
    assert [len(part) for part in pressed.taken] == [MAX_DIGITS, MAX_DIGITS, 3]


def test_closing_stops_the_wait():
    pressed = Pressed()
    pressed.keys("12")
    pressed.pad.close()
    pressed.time.run(10)
    assert pressed.taken == []
    assert pressed.time.pending == 0
