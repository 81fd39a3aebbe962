"""What is relayed between two legs, and what is left out where clocks run apart."""

import pytest

from telebot.audio import g711
from telebot.sip.bridge import Relay
from telebot.sip.ringback import tone

pytestmark = pytest.mark.unit

SPEECH = tone()[:160]
QUIET = g711.SILENCE * 160


class Leg:
    def __init__(self) -> None:
        self.waiting_ms = 0
        self.sent: list[bytes] = []
        self.keys = ""

    def send_audio(self, ulaw: bytes) -> None:
        self.sent.append(ulaw)

    def send_digits(self, digits: str) -> None:
        self.keys += digits


@pytest.mark.parametrize(
    ("waiting_ms", "passes"),
    [(0, [SPEECH, QUIET]), (60, [SPEECH, QUIET]), (80, [SPEECH]), (200, [SPEECH]), (220, [])],
)
async def test_silence_is_left_out_before_speech(waiting_ms: int, passes: list[bytes]) -> None:
    leg = Leg()
    relay = Relay(leg)
    leg.waiting_ms = waiting_ms
    await relay.audio(SPEECH, 0)
    await relay.audio(QUIET, 20)
    assert leg.sent == passes
    assert relay.left_out_ms == 20 * (2 - len(passes))


async def test_keys_are_keyed() -> None:
    leg = Leg()
    relay = Relay(leg)
    await relay.digit("5")
    await relay.digit("#")
    await relay.played("a mark of the bot's")
    await relay.ended("transferred")
    assert leg.keys == "5#"
    assert leg.sent == []


def test_a_ring_is_two_seconds_and_a_pause() -> None:
    assert len(tone()) == 6 * 8000
    assert tone()[2 * 8000 :] == g711.SILENCE * (4 * 8000)
