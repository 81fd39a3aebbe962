"""Calls by way of the Twilio carrier: signed with the auth token, over its own paths."""

from __future__ import annotations

import pytest
from serving import Server, Start, free_port

from telebot.phone.destination import CannotCall, Destination
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

TOKEN = "an auth token of the tests"


@pytest.fixture
def twilio_server(start: Start) -> Server:
    """A server that Twilio knows, and that cannot reach Twilio's REST."""
    port, nobody = free_port(), free_port()
    return start(
        f"127.0.0.1:{port}",
        TELEBOT_PUBLIC_URL=f"http://127.0.0.1:{port}",
        TWILIO_ACCOUNT_SID="AC" + "0" * 32,
        TWILIO_AUTH_TOKEN=TOKEN,
        TWILIO_BASE_URL=f"http://127.0.0.1:{nobody}",
    )


async def test_a_call_that_twilio_would_make(twilio_server: Server, speech: LocalSpeech) -> None:
    to = Destination(twilio_server.url, TOKEN, carrier="twilio", phone_to="+442079460000")
    async with Phone(to, speech) as phone:
        assert await phone.heard()
        goodbye = await phone.say("Goodbye")
        assert "goodbye" in goodbye.heard.lower()
        # the REST is out of reach: that is nothing the caller should wait for
        hung_up_within = phone.stream.position + 3 * 8000
        assert await phone.until_over(10)
        assert phone.stream.position < hung_up_within
    assert phone.apology == ""
    assert phone.stream.faults == []
    record = await twilio_server.record(to.call_sid)
    assert record["carrier"] == "twilio"
    assert record["to"] == "+442079460000"
    assert record["termination"] == {"result": "completed", "reason": "bot_hangup"}


async def test_another_token_is_refused(twilio_server: Server, speech: LocalSpeech) -> None:
    to = Destination(twilio_server.url, "guessed", carrier="twilio")
    with pytest.raises(CannotCall, match="403"):
        async with Phone(to, speech):
            pass
    assert (await twilio_server.get("/v1/calls"))["data"] == []
