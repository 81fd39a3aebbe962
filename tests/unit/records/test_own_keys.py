"""What a key of whoever talks pays for costs the house nothing."""

from __future__ import annotations

import pytest

from telebot.call.model import CallOffer, UnitPrice, Usage
from telebot.records.cost import CallUse, Pricing

pytestmark = pytest.mark.unit

PRICING = Pricing(lambda kind, provider, unit: UnitPrice(0.01, "USD"), "USD")


def test_own_uses_have_a_line_and_no_price() -> None:
    use = CallUse()
    use.used(Usage("stt", "deepgram/nova-3", 60.0, "s", own_key=True))
    use.used(Usage("tts", "elevenlabs/flash", 100.0, "characters"))
    amounts = {item.provider: item.amount_micros for item in use.items("", 60.0, PRICING)}
    assert amounts == {"deepgram/nova-3": 0, "elevenlabs/flash": 1_000_000}


def test_a_session_has_no_carrier_that_bills_it() -> None:
    session = CallOffer("realtime", "rt_1", "", "", key_id="key")
    call = CallOffer("twilio", "CA1", "+44", "+44")
    assert (session.billed, call.billed) == ("", "twilio")
    assert list(CallUse().items(session.billed, 60.0, PRICING)) == []
    assert [item.kind for item in CallUse().items(call.billed, 60.0, PRICING)] == ["carrier"]
