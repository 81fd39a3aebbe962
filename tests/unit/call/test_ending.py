"""Every reason has one result, and the model's docstring names every reason."""

from __future__ import annotations

import re

import pytest

from telebot.call.ending import COMPLETED, NO_MEDIA, REFUSED, UNANSWERED, termination
from telebot.call.model import Result, Termination

pytestmark = pytest.mark.unit

DOCUMENTED = set(re.findall(r"``(\w+)``", Termination.__doc__ or ""))


def test_the_named_reasons_are_the_documented_ones():
    assert COMPLETED | REFUSED | NO_MEDIA | UNANSWERED | {"transferred"} <= DOCUMENTED


@pytest.mark.parametrize("reason", sorted(DOCUMENTED))
def test_each_reason_has_its_result(reason):
    sets = {Result.COMPLETED: COMPLETED, Result.REFUSED: REFUSED, Result.NO_MEDIA: NO_MEDIA}
    sets |= {Result.TRANSFERRED: frozenset({"transferred"}), Result.UNANSWERED: UNANSWERED}
    [result] = [result for result, reasons in sets.items() if reason in reasons] or [Result.FAILED]
    assert termination(reason) == Termination(result, reason)


def test_what_nobody_named_is_a_failure():
    assert termination("the roof fell in").result is Result.FAILED
