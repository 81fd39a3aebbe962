"""Ending calls over Twilio's REST: what it may answer, and that no caller notices."""

from __future__ import annotations

import asyncio
import socket

import pytest
from edge_server import AUTH_TOKEN, edge
from twilio_peer import Twilio

from telebot.call.errors import CarrierError
from telebot.carriers import twilio_rest
from telebot.carriers.twilio import TwilioCarrier, TwilioSettings
from telebot.carriers.twilio_rest import TwilioRest
from telebot.web import media_stream

pytestmark = pytest.mark.peers

ACCOUNT = "AC1"


@pytest.fixture(autouse=True)
def _soon(monkeypatch, request):
    monkeypatch.setattr(twilio_rest, "FIRST_PAUSE_S", 0.01)
    if "hang'" in request.node.name or "hang]" in request.node.name:
        monkeypatch.setattr(twilio_rest, "TIMEOUT_S", 0.5)


@pytest.fixture
async def client(rest_peer):
    rest = TwilioRest(ACCOUNT, "a token", rest_peer.url)
    yield rest
    await rest.close()


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        ([], 1),
        ([404], 1),
        (["gone"], 1),
        ([429], 2),
        ([500, 429], 3),
        ([503, "drop"], 3),
        (["hang"], 2),
        (["hang", "hang", 404], 3),
    ],
    ids=str,
)
async def test_a_call_ends_and_one_that_is_gone_is_fine(client, rest_peer, answers, requests):
    rest_peer.answers = answers
    await client.hang_up("CA1")
    assert rest_peer.asked == [("CA1", {"Status": "completed"})] * requests
    assert rest_peer.unauthorized == 0


@pytest.mark.parametrize(
    "answers",
    [[500] * 3, [429] * 3, ["hang"] * 3, ["drop"] * 3, ["junk"], [400], [403], [401]],
    ids=str,
)
async def test_what_stays_wrong_is_a_carrier_error_after_three_tries(client, rest_peer, answers):
    rest_peer.answers = list(answers)
    with pytest.raises(CarrierError):
        await client.hang_up("CA1")
    assert len(rest_peer.asked) == len(answers)
    assert rest_peer.answers == []


async def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        rest = TwilioRest(ACCOUNT, "a token", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(CarrierError):
            await rest.hang_up("CA1")
        await rest.close()


async def test_a_transfer_dials(client, rest_peer):
    await client.dial("CA1", "+441632960003 & co")
    [(call, fields)] = rest_peer.asked
    assert call == "CA1"
    assert "<Dial>+441632960003 &amp; co</Dial>" in fields["Twiml"]
    rest_peer.answers = ["gone"]
    with pytest.raises(CarrierError):
        await client.dial("CA1", "+441632960003")


async def test_without_an_account_there_is_no_rest():
    carrier = TwilioCarrier(TwilioSettings(auth_token="token"))
    with pytest.raises(CarrierError, match="TWILIO_ACCOUNT_SID"):
        await carrier.hang_up(None)
    await carrier.close()


async def test_the_account_is_the_one_that_signs_where_none_is_set(tmp_path, http, rest_peer):
    environ = {"TWILIO_BASE_URL": rest_peer.url, "TWILIO_ACCOUNT_SID": ""}
    async with edge(tmp_path, environ=environ) as server:
        await _bot_hangs_up(server, Twilio(http, server.url, AUTH_TOKEN))
        await server.until(lambda: rest_peer.asked)
        assert rest_peer.unauthorized == 0
        assert _outcome(server, "failed") is None


async def _bot_hangs_up(server, twilio):
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        await stream.event("dtmf", {"track": "inbound_track", "digit": "#"})
        assert await stream.closed() == 1000
    return sid, reply


async def test_the_bot_hangs_up(server, twilio, rest_peer):
    sid, reply = await _bot_hangs_up(server, twilio)
    await server.until(lambda: rest_peer.asked)
    assert rest_peer.asked == [(sid, {"Status": "completed"})]
    assert server.log.reasons() == ["bot_hangup"]
    fallback = await twilio.webhook(reply.redirect, {"CallSid": sid})
    assert fallback.verbs == ["Hangup"]  # no apology after a proper goodbye


@pytest.mark.parametrize("answer", [500, "hang", "drop", "junk"])
async def test_a_rest_in_trouble_breaks_nothing(server, twilio, rest_peer, answer):
    rest_peer.then = answer
    sid, reply = await _bot_hangs_up(server, twilio)
    fallback = await twilio.webhook(reply.redirect, {"CallSid": sid})
    assert fallback.verbs == ["Hangup"]
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["bot_hangup"]
    await _bot_hangs_up(server, twilio)  # the next caller, while the first hang-up may be trying
    await server.until(lambda: _outcome(server, "failed") == 2)


async def test_after_a_fault_the_caller_hears_the_apology_first(
    server, twilio, rest_peer, monkeypatch
):
    monkeypatch.setattr(media_stream, "APOLOGY_S", 0.2)
    server.listeners.fails = "start"
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        assert await stream.closed() == 1001
    fallback = await twilio.webhook(reply.redirect, {"CallSid": sid})
    assert fallback.verbs == ["Say", "Hangup"]
    assert rest_peer.asked == []
    await server.until(lambda: rest_peer.asked)  # in case the carrier never asked


async def test_hang_ups_are_finished_when_the_server_goes_down(tmp_path, http, rest_peer):
    async with edge(tmp_path, environ={"TWILIO_BASE_URL": rest_peer.url}) as server:
        server.listeners.fails = "audio"
        twilio = Twilio(http, server.url, AUTH_TOKEN)
        sid, reply = await twilio.call()
        async with twilio.stream(sid, reply) as stream:
            await stream.speak()
            assert await stream.closed() == 1001
        assert rest_peer.asked == []
    assert [call for call, _ in rest_peer.asked] == [sid]


async def test_a_hundred_hang_ups_at_once(server, twilio, rest_peer):
    """Bounded in number, none lost."""
    carrier = server.carriers.get("twilio")
    for _ in range(3):
        await _bot_hangs_up(server, twilio)
    await server.until(lambda: _outcome(server, "ok") == 3)
    calls = [call for call, _ in server.log.endings]
    rest_peer.answers = ["drop"] * 5  # for the first of each: none has so many tries
    await asyncio.gather(*(carrier.hang_up(calls[n % 3]) for n in range(97)))
    assert not rest_peer.answers
    assert len(rest_peer.asked) == 105


def _outcome(server, outcome):
    return server.metrics.registry.get_sample_value("telebot_hangups_total", {"outcome": outcome})
