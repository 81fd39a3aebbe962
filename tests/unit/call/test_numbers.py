"""How numbers are written, and which may be dialled."""

from __future__ import annotations

import pytest

from telebot.call.numbers import allowed, normalised

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+442079460018", "+442079460018"),
        (" +44 (20) 7946-0018 ", "+442079460018"),
        ("201", "201"),
        ("*70", "*70"),
        ("sip:someone@example.com", "sip:someone@example.com"),
        ("SIPS:1@[2001:db8::1]:5061", "SIPS:1@[2001:db8::1]:5061"),
    ],
)
def test_numbers_as_carriers_want_them(written, number):
    assert normalised(written) == number


@pytest.mark.parametrize(
    "written",
    [
        "",
        "+",
        "+0",
        "+44",
        "++442079460018",
        "+4420794600181234",
        "+44\u0662079460018",
        "+442079460018;phone-context=x",
        "1" * 21,
        "someone",
        "tel:+442079460018",
        "sip:",
        "sip:a b@c.d",
        "sip:a@b.c>",
    ],
)
def test_what_is_no_number(written):
    with pytest.raises(ValueError, match="write a number"):
        normalised(written)


@pytest.mark.parametrize(
    ("number", "prefixes", "denied", "may"),
    [
        ("+442079460018", [], [], False),
        ("+442079460018", ["+44"], [], True),
        ("+442079460018", ["+44"], ["+4420"], False),
        ("+442079460018", ["44"], [], False),
        ("+442079460018", ["+"], [], True),
        ("00442079460018", ["+"], [], False),
        ("201", ["2"], [], True),
        ("sip:a@example.com", ["+", "2"], [], False),
        ("sip:a@example.com", ["sip:A@example.com"], [], True),
        ("sip:a@example.com.evil.example", ["sip:a@example.com"], [], False),
    ],
)
def test_what_may_be_dialled(number, prefixes, denied, may):
    assert allowed(number, prefixes, denied) is may
