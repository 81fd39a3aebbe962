"""Who is answered with problem details."""

from __future__ import annotations

import pytest

from telebot.api import answers
from telebot.web import errors

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/problem+json", True),
        ("Application/Problem+JSON; q=0.5", True),
        ("audio/*, application/problem+json;q=0.9", True),
        ("application/json, application/problem+json", True),
        ("application/json, application/problem+json;q=0.5", False),
        ("application/problem+json;q=0", False),
        ("application/problem+json;q=0.000", False),
        ("application/problem+json;q=nan", False),
        ("application/problem+json;q=", False),
        ("application/problem+jsonp", False),
        ("*/*", False),
        ("", False),
        (";;,,;q=,", False),
        ("text/html," * 10_000 + "application/problem+json", False),
    ],
)
def test_problem_details_are_for_who_names_them(accept, wanted):
    assert errors._wants_problem([accept]) is wanted


def test_both_rooms_mean_the_same_media_type():
    assert answers.PROBLEM == errors.PROBLEM
