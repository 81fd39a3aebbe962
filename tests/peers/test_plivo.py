"""Plivo from end to end on real sockets: its wire, its webhooks, its REST."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from carrier_call import calling, talked
from edge_server import edge
from plivo_peer import AUTH_ID, AUTH_TOKEN, REQUEST, rest
from vendor_rest import Asked, serving

from telebot.call.errors import CarrierError, Unable
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Dials, HangsUp, SendsDigits, Transfers, Way
from telebot.carriers import rest as bounded
from telebot.carriers.plivo import PlivoCarrier, PlivoSettings
from telebot.phone.destination import CannotCall, Destination
from telebot.phone.plivo_exchange import signed

pytestmark = pytest.mark.peers

CALL = "12345678-1234-1234-1234-123456789abc"
ACCOUNT = f"/v1/Account/{AUTH_ID}"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(bounded, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
async def peer():
    async with serving(rest()) as running:
        yield running


@pytest.fixture
async def server(tmp_path, peer):
    environ = {
        "PLIVO_AUTH_ID": AUTH_ID,
        "PLIVO_AUTH_TOKEN": AUTH_TOKEN,
        "PLIVO_BASE_URL": peer.url,
    }
    async with edge(tmp_path, environ=environ) as running:
        yield running


def to(server, **more):
    return Destination(server.url, AUTH_TOKEN, carrier="plivo", **more)


async def test_a_call_greets_hears_and_is_hung_up_by_the_bot(server, peer):
    heard = await talked(to(server, agent="echo"), server)
    assert heard.call.agent == "echo"
    assert [at for _, at in heard.frames[:3]] == [0, 20, 40]
    assert server.log.reasons() == ["bot_hangup"]
    await server.until(lambda: peer.asked)
    call_id = heard.call.offer.carrier_call_id
    assert peer.asked == [Asked("DELETE", f"{ACCOUNT}/Call/{call_id}/", {})]
    assert peer.unauthorized == 0


async def test_the_caller_hangs_up_by_closing(server, peer):
    async with calling(to(server)) as call:
        await call.until("played", "greeting")
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["caller_hangup"]
    assert peer.asked == []


async def test_another_token_is_refused(server):
    with pytest.raises(CannotCall, match="403"):
        async with calling(Destination(server.url, "guessed", carrier="plivo")):
            pass
    assert server.log.calls == []


async def test_a_stream_without_its_token_is_closed(server, http):
    async with http.ws_connect(server.url + "/plivo/media") as socket:
        start = {"callId": CALL, "streamId": "S1"}
        await socket.send_json({"event": "start", "start": start, "extra_headers": "{}"})
        await socket.receive(timeout=20)
        assert socket.close_code == 1008


async def _post(server, http, path, form, *, headers=None):
    url = server.url + path
    headers = headers or signed(AUTH_TOKEN, url, form)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    async with http.post(url, data=urlencode(form).encode(), headers=headers) as response:
        return response.status, await response.text(), headers


async def test_a_webhook_is_believed_once(server, http):
    offer = {"CallUUID": CALL, "From": "+1", "To": "+2", "Direction": "inbound"}
    status, text, headers = await _post(server, http, "/plivo/voice?agent=echo", offer)
    assert (status, "</Stream><Redirect" in text) == (200, True)
    assert (await _post(server, http, "/plivo/voice?agent=echo", offer, headers=headers))[0] == 403
    other = signed(AUTH_TOKEN, f"{server.url}/plivo/voice", offer)
    assert (await _post(server, http, "/plivo/voice?agent=echo", offer, headers=other))[0] == 403
    ended = {"CallUUID": CALL, "CallStatus": "completed", "Event": "Hangup"}
    assert (await _post(server, http, "/plivo/status", ended))[0] == 200
    assert server.log.reasons() == ["carrier_ended"]


async def test_webhooks_may_come_by_get(server, http):
    query = urlencode({"CallUUID": CALL, "From": "+1", "To": "+2", "agent": "echo"})
    url = f"{server.url}/plivo/voice?{query}"
    async with http.get(url, headers=signed(AUTH_TOKEN, url)) as response:
        assert (response.status, response.content_type) == (200, "text/xml")
    assert server.log.calls[0].agent == "echo"
    async with http.get(url, headers=signed("guessed", url)) as response:
        assert response.status == 403


async def test_a_transfer_is_asked_for_and_answered(server, http, peer):
    async with calling(to(server)) as call:
        await call.until("played", "greeting")
        [heard] = server.listeners.all
        carrier = server.carriers.get("plivo")
        await carrier.transfer(heard.call, "+15550123")
        [asked] = peer.asked
        assert asked.body["aleg_url"] == f"{server.url}/plivo/fallback?dial=%2B15550123"
        path = asked.body["aleg_url"].removeprefix(server.url)
        form = {"CallUUID": heard.call.offer.carrier_call_id, "CallStatus": "in-progress"}
        status, text, _ = await _post(server, http, path, form)
        assert (status, "<Dial><Number>+15550123</Number></Dial>" in text) == (200, True)
        assert server.log.endings == []  # nothing is over by that


def _call(direction="inbound"):
    offer = CallOffer("plivo", CALL, "+15550100", "+15550199", direction=direction)
    return Call("id1", offer, "front-desk", None)


@pytest.fixture
async def carrier(peer):
    made = PlivoCarrier(PlivoSettings(auth_id=AUTH_ID, auth_token=AUTH_TOKEN, base_url=peer.url))
    yield made
    await made.close()


WAY = Way(
    "https://bot.example/plivo/voice?call=id1",
    "https://bot.example/plivo/fallback?call=id1",
    "https://bot.example/plivo/status?call=id1",
    "wss://bot.example/plivo/media",
    "a.b.c",
    44.5,
)


async def test_what_we_do_to_a_call(carrier, peer):
    assert isinstance(carrier, HangsUp)
    assert isinstance(carrier, Transfers)
    assert isinstance(carrier, Dials)
    assert isinstance(carrier, SendsDigits)
    await carrier.send_digits(_call(), "12w#")
    assert await carrier.dial(_call("outbound"), WAY) == REQUEST
    digits, dial = peer.asked
    assert digits == Asked(
        "POST", f"{ACCOUNT}/Call/{CALL}/DTMF/", {"digits": "12w#", "leg": "aleg"}
    )
    assert dial.body == {
        "from": "+15550100",
        "to": "+15550199",
        "answer_url": WAY.answer_url,
        "answer_method": "POST",
        "fallback_url": WAY.fallback_url,
        "fallback_method": "POST",
        "hangup_url": WAY.status_url,
        "hangup_method": "POST",
        "ring_timeout": 45,
    }
    with pytest.raises(Unable, match="no webhook"):
        await carrier.transfer(_call(), "+1")


@pytest.mark.parametrize("answer", [404, 429, 503, "drop"], ids=str)
async def test_a_call_that_is_gone_has_ended(carrier, peer, answer):
    peer.answers = [answer]
    await carrier.hang_up(_call())


async def test_a_call_that_rings_still_is_given_up(carrier, peer):
    peer.answers = [404]
    await carrier.hang_up(_call("outbound"))
    assert [one.path for one in peer.asked] == [
        f"{ACCOUNT}/Call/{CALL}/",
        f"{ACCOUNT}/Request/{CALL}/",
    ]


@pytest.mark.parametrize("answers", [[401], [400], [500] * 9, ["drop"] * 9], ids=str)
async def test_what_stays_wrong_is_a_carrier_error(carrier, peer, answers):
    peer.answers = list(answers)
    with pytest.raises(CarrierError):
        await carrier.hang_up(_call())
    assert len(peer.asked) <= 6  # three tries; aiohttp repeats a DELETE whose connection was cut


@pytest.mark.parametrize("answer", [500, "drop", "junk", (201, {})], ids=str)
async def test_nobody_is_dialled_twice(carrier, peer, answer):
    peer.answers = [answer]
    with pytest.raises(CarrierError):
        await carrier.dial(_call("outbound"), WAY)
    assert len(peer.asked) == 1


async def test_what_is_not_set_is_said():
    with pytest.raises(Unable, match="PLIVO_AUTH_ID"):
        await PlivoCarrier(PlivoSettings(auth_token="x")).hang_up(_call())
