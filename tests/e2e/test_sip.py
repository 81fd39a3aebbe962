"""A spoken booking over SIP, at 3 % loss and 40 ms jitter both ways."""

from __future__ import annotations

import pytest
from bookings import EXAMPLE, check_booking
from serving import Server
from sip_network import bad_line

from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e


async def test_a_booking_over_a_bad_line(server: Server, speech: LocalSpeech) -> None:
    async with bad_line(server, speech) as (phone, network):
        assert "how can i help" in (await phone.heard()).lower()
        monday, booking, confirmed, goodbye = [await phone.say(text) for text in EXAMPLE]
        assert await phone.until_over(10)
        assert phone.line.ended_by == "bot"
    assert "closed" in monday.heard.lower()
    assert "johnson" in booking.heard.lower()
    assert "booked" in confirmed.heard.lower()
    assert "goodbye" in goodbye.heard.lower()
    seen = network.seen["rtp"]
    assert 0.02 < seen["lost"] / seen["packets"] < 0.04, seen
    assert seen["overtook"] > 20, seen
    record = await server.record(phone.to.call_sid)
    check_booking(record)
    assert record["carrier"] == "sip"
    assert record["termination"] == {"result": "completed", "reason": "bot_hangup"}
    events = (await server.get(f"/v1/calls/{record['id']}/events?limit=500"))["data"]
    (stats,) = [event for event in events if event["name"] == "rtp_stats"]
    told = stats["fields"]
    assert 0.01 < told["lost"] / (told["received"] + told["lost"]) < 0.06, told
    assert told["reordered"] > 0, told
    assert told["jitter_ms"] > 1, told
    assert 1 < told["mos"] < 4.3, told
