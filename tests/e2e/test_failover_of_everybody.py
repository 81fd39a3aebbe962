"""As `test_failover.py`, for every vendor that is simulated (`make soak`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from failing import rehearsed, wrong

from bench.failover_cases import KINDS, matrix, simulated
from telebot.phone.voices import LocalSpeech
from telebot.providers.registry import Kind

pytestmark = pytest.mark.soak

AT_ONCE = 8
EVERYBODY = [(kind, vendor) for kind in KINDS for vendor in simulated(kind)]


@pytest.mark.parametrize(("kind", "vendor"), EVERYBODY, ids=[" ".join(each) for each in EVERYBODY])
async def test_every_fault_at_every_point(
    kind: Kind, vendor: str, speech: LocalSpeech, tmp_path: Path
) -> None:
    outcomes = await rehearsed(matrix(kind, vendor), speech, tmp_path, AT_ONCE)
    assert wrong(outcomes) == []
