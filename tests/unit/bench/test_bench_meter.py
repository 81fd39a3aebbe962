import pytest

from bench.meter import CallMeter
from bench.stats import Samples

pytestmark = pytest.mark.unit

PIECE = 160


class Bot:
    """Sends a reply in 20 ms pieces as fast as it is played, 100 ms ahead."""

    def __init__(self) -> None:
        self.samples = Samples(measuring=True)
        self.meter = CallMeter(self.samples)

    def talk(self, from_s: float, to_s: float, ahead_s: float = 0.1) -> None:
        self.meter.media(round(ahead_s * 8000), from_s)
        at_s = from_s
        while at_s < to_s - ahead_s - 1e-9:
            at_s += 0.02
            self.meter.media(PIECE, at_s)


@pytest.fixture
def bot() -> Bot:
    return Bot()


def test_greeting_counts_from_start(bot: Bot) -> None:
    bot.meter.start(5.0)
    bot.talk(5.006, 8.0)
    assert bot.samples.greeting_ms == [pytest.approx(6.0)]
    assert bot.samples.starvation_ms == []


def test_response_counts_from_the_last_frame_of_speech(bot: Bot) -> None:
    bot.meter.onset(10.0)
    bot.meter.speech_end(11.5)
    bot.talk(11.75, 14.75)
    assert bot.samples.response_ms == [pytest.approx(250.0)]
    assert bot.samples.gap_share() == 0.0


def test_a_barge_in_is_timed_to_the_clear_and_to_silence(bot: Bot) -> None:
    bot.talk(1.0, 2.5)
    bot.meter.onset(2.4)
    assert bot.meter.clear(2.62) == []
    # sending had stopped: what was 100 ms ahead ran out before the clear came
    assert bot.samples.onset_clear_ms == [pytest.approx(220.0)]
    assert bot.samples.onset_silent_ms == [pytest.approx(100.0)]
    bot.meter.speech_end(3.5)
    bot.talk(3.8, 5.0)
    assert bot.samples.response_ms == [pytest.approx(300.0)]
    assert bot.samples.counts["barge_ins"] == 1
    assert bot.samples.counts["barge_ins_missed"] == 0


def test_a_clear_in_full_flow_is_silence_at_once(bot: Bot) -> None:
    bot.talk(1.0, 2.6)
    bot.meter.onset(2.3)
    bot.meter.clear(2.5)
    assert bot.samples.onset_silent_ms == [pytest.approx(200.0)]


def test_a_reply_that_goes_on_over_the_caller_is_a_missed_barge_in(bot: Bot) -> None:
    bot.talk(1.0, 2.0)
    bot.meter.onset(1.9)
    bot.meter.speech_end(2.9)
    bot.meter.onset(6.0)
    assert bot.samples.counts["barge_ins_missed"] == 1
    assert bot.samples.counts["unanswered"] == 1
    assert bot.samples.onset_silent_ms == []


def test_a_hold_without_clear_that_ends_in_an_answer_is_a_stop(bot: Bot) -> None:
    bot.talk(1.0, 2.0)
    bot.meter.onset(1.9)
    bot.meter.speech_end(2.9)
    bot.talk(3.2, 4.0)
    assert bot.samples.counts["stops_without_clear"] == 1
    assert bot.samples.onset_silent_ms == [pytest.approx(100.0)]
    assert bot.samples.response_ms == [pytest.approx(300.0)]
    assert bot.samples.starvation_ms == []


def test_an_onset_in_the_last_second_of_a_reply_is_no_barge_in(bot: Bot) -> None:
    bot.talk(1.0, 4.0)
    bot.meter.onset(3.5)
    bot.meter.clear(3.7)
    assert bot.samples.onset_clear_ms == []
    assert bot.samples.counts["onsets_near_reply_end"] == 1


def test_a_clear_while_the_caller_is_silent_is_a_false_stop(bot: Bot) -> None:
    bot.talk(1.0, 2.0)
    bot.meter.clear(1.95)
    assert bot.samples.counts["false_stops"] == 1


def test_a_clear_with_nothing_to_stop_is_not(bot: Bot) -> None:
    bot.talk(1.0, 2.0)
    bot.meter.clear(9.0)
    assert bot.samples.counts["false_stops"] == 0


def test_a_stutter_inside_a_reply_is_starvation(bot: Bot) -> None:
    bot.meter.media(PIECE, 1.0)
    bot.meter.media(PIECE, 1.05)
    assert bot.samples.starvation_ms == [pytest.approx(30.0)]
    assert bot.samples.counts["thin"] == 0
    bot.meter.media(PIECE, 1.14)
    assert bot.samples.counts["thin"] == 1


def test_what_came_at_once_may_be_followed_late(bot: Bot) -> None:
    for _ in range(3):
        bot.meter.media(800, 1.0)
    bot.meter.media(800, 1.2)
    assert bot.samples.counts["thin"] == 0
    bot.meter.media(800, 1.39)
    assert bot.samples.counts["thin"] == 1
    assert bot.samples.gap_share() == pytest.approx(2 / 4)
    assert bot.samples.starvation_ms == []


def test_the_next_reply_is_no_stutter_of_the_last(bot: Bot) -> None:
    bot.talk(1.0, 2.0)
    bot.meter.onset(2.1)
    bot.meter.speech_end(3.0)
    bot.talk(3.3, 4.0)
    bot.talk(9.0, 9.5)
    assert bot.samples.starvation_ms == []
    assert bot.samples.counts["unasked_replies"] == 2  # the first (no caller), the last


def test_an_answer_into_the_middle_of_an_utterance_is_early_not_fast(bot: Bot) -> None:
    bot.meter.onset(1.0)
    bot.talk(1.6, 1.9)
    bot.meter.clear(1.9)
    bot.meter.speech_end(2.5)
    bot.talk(2.8, 3.5)
    assert bot.samples.counts["early_replies"] == 1
    assert bot.samples.response_ms == []


def test_silence_after_the_last_utterance_is_unanswered(bot: Bot) -> None:
    bot.meter.onset(1.0)
    bot.meter.speech_end(2.0)
    bot.meter.finish(3.0)
    assert bot.samples.counts["unanswered"] == 0
    bot.meter.finish(4.5)
    assert bot.samples.counts["unanswered"] == 1
