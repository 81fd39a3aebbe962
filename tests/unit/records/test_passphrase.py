"""Secrets sealed under a passphrase: opened by it alone, in their own place alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telebot.records.passphrase import DoesNotOpen, Parameters, Sealed

pytestmark = pytest.mark.unit

PHRASE, SECRET, PLACE = "correct horse battery", "sk-canary-0001", b"anna/openai"


@pytest.fixture(scope="module")
def sealed():
    return Sealed.of(PHRASE)


def test_what_is_sealed_opens_elsewhere_by_the_same_passphrase(sealed):
    text = sealed.seal(SECRET, PLACE)
    assert SECRET not in text
    assert SECRET not in repr(sealed)
    assert Sealed.of(PHRASE, sealed.parameters).open(text, PLACE) == SECRET
    assert sealed.seal(SECRET, PLACE) != text
    assert Sealed.of(PHRASE).parameters.salt != sealed.parameters.salt


def test_not_in_another_place_not_by_another_not_changed(sealed):
    text = sealed.seal(SECRET, PLACE)
    with pytest.raises(DoesNotOpen):
        sealed.open(text, b"ben/openai")
    with pytest.raises(DoesNotOpen):
        Sealed.of("another phrase", sealed.parameters).open(text, PLACE)
    for changed in ("", "AAAA", "not base64", text[:-4] + "AAAA", text[4:]):
        with pytest.raises(DoesNotOpen):
            sealed.open(changed, PLACE)


@pytest.mark.parametrize(
    "wrong",
    [{"n": 0}, {"n": 3}, {"n": 1 << 30}, {"r": 1 << 20}, {"p": 0}, {"p": 1 << 20}, {"salt": "?"}],
)
def test_a_key_is_not_made_as_a_hostile_file_says(wrong):
    usual = Parameters(1 << 15, 8, 1, "c2FsdHNhbHRzYWx0c2FsdA==")
    Sealed.of(PHRASE, usual)
    with pytest.raises(DoesNotOpen):
        Sealed.of(PHRASE, replace(usual, **wrong))
