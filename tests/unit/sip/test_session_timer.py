"""RFC 4028: what both sides agree on."""

from __future__ import annotations

import pytest

from telebot.sip.session_timer import LEAST_S, Asked, BadInterval, Terms, accepted, agree, read

pytestmark = pytest.mark.unit


def test_what_a_message_says() -> None:
    assert read("1800;refresher=uas", "120", ["100rel", " Timer"]) == Asked(1800, "uas", 120, True)
    assert read(" 90 ; x=y ; Refresher = UAC", None, []) == Asked(90, "uac", LEAST_S, False)
    assert read("90;refresher=nobody", "5", []) == Asked(90, "", LEAST_S, False)
    assert read(None, None, ["timer"]) == Asked(None, "", LEAST_S, True)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e3", "1800 refresher=uas", "9" * 12])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(BadInterval):
        read(text, None, [])
    with pytest.raises(BadInterval):
        read("1800", text, [])


@pytest.mark.parametrize(
    ("asked", "ours", "terms"),
    [
        (Asked(), 1800, None),
        (Asked(supported=True), 0, None),
        (Asked(supported=True), 1800, Terms(1800, False)),
        (Asked(600, supported=True), 1800, Terms(600, False)),
        (Asked(600, supported=True), 0, Terms(600, False)),
        (Asked(600, "uac", supported=True), 1800, Terms(600, False)),
        (Asked(600, "uas", supported=True), 1800, Terms(600, True)),
        (Asked(7200, supported=True), 1800, Terms(1800, False)),
        (Asked(7200, "", 3600, True), 1800, Terms(3600, False)),
        (Asked(600), 1800, Terms(600, True, False)),
        (Asked(30), 1800, Terms(90, True, False)),
    ],
)
def test_the_table_of_section_9(asked: Asked, ours: int, terms: Terms | None) -> None:
    assert agree(asked, ours) == terms


def test_an_interval_too_small_is_refused_to_those_who_understand_it() -> None:
    assert Asked(89, supported=True).too_small
    assert not Asked(89).too_small
    assert not Asked(90, supported=True).too_small
    assert not Asked(supported=True).too_small


def test_when_and_how_it_is_said() -> None:
    ours, theirs = Terms(1800, True), Terms(1800, False)
    assert (ours.due_s, theirs.due_s) == (900, 1768)
    assert Terms(90, False).due_s == 60
    assert ours.as_answer() == (("Session-Expires", "1800;refresher=uas"),)
    assert theirs.as_answer() == (
        ("Session-Expires", "1800;refresher=uac"),
        ("Require", "timer"),
    )
    assert ours.as_request()[0] == ("Session-Expires", "1800;refresher=uac")


def test_their_200_to_our_request() -> None:
    assert accepted(Asked(600, "uac")) == Terms(600, True)
    assert accepted(Asked(600)) == Terms(600, True)
    assert accepted(Asked(600, "uas")) == Terms(600, False)
    assert accepted(Asked()) is None
