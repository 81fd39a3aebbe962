import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import Samples, midmean, percentile, summary

pytestmark = pytest.mark.unit

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200)


def test_nearest_rank_on_known_values() -> None:
    ten = [15.0, 20.0, 35.0, 40.0, 50.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert percentile(ten, 0.5) == 5.0
    assert percentile(ten, 0.95) == 50.0
    assert percentile(ten, 0.0) == 1.0
    assert percentile(list(map(float, range(1, 101))), 0.95) == 95.0


@pytest.mark.parametrize("share", [-0.01, 1.01])
def test_a_share_outside_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile([1.0], share)


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
    assert summary([]) == {"n": 0}


@given(values, st.floats(0, 1))
def test_a_percentile_is_a_value_that_the_share_does_not_exceed(
    numbers: list[float], share: float
) -> None:
    found = percentile(numbers, share)
    assert found in numbers
    assert sum(n <= found for n in numbers) >= share * len(numbers) - 1e-9


@given(values)
def test_a_summary_ascends(numbers: list[float]) -> None:
    s = summary(numbers)
    assert s["p50"] <= s["p95"] <= s["p99"] <= s["max"] == round(max(numbers), 1)


def test_nothing_is_kept_before_measuring() -> None:
    samples = Samples()
    samples.keep(samples.response_ms, 0.1)
    samples.count("utterances")
    samples.interval(0.5, 0.02)
    assert (samples.response_ms, samples.intervals(), not samples.counts) == ([], 0, True)


def test_gaps_are_shares_of_the_intervals() -> None:
    samples = Samples(measuring=True)
    for gap_s, left_s in ((0.02, 0.1), (0.02, 0.1), (0.0595, 0.02), (0.061, 0.019), (9.0, 0.0)):
        samples.interval(gap_s, left_s)
    assert samples.intervals() == 5
    assert samples.gap_share() == pytest.approx(2 / 5)
    assert samples.thin_share() == pytest.approx(2 / 5)


def test_a_midmean_is_finer_than_its_steps_and_blind_to_the_odd_one():
    assert midmean([0.0, 20.0, 20.0, 0.0, 20.0, 0.0, 900.0, -900.0]) == 10.0
    assert midmean([3.0]) == 3.0
    with pytest.raises(ValueError):
        midmean([])
