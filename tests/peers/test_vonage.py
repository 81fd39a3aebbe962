"""Vonage from end to end on real sockets: its wire, its webhooks, its Voice API."""

from __future__ import annotations

import json
import time
from urllib.parse import urlencode

import pytest
from carrier_call import calling, talked
from edge_server import edge
from vendor_rest import Asked, serving
from vonage_peer import APPLICATION, DIALLED, PRIVATE_KEY, SECRET, rest

from telebot.call.errors import CarrierError, Unable
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Dials, HangsUp, SendsDigits, Transfers, Way
from telebot.carriers import rest as bounded
from telebot.carriers.vonage import VonageCarrier, VonageSettings
from telebot.phone.destination import CallRefused, CannotCall, Destination
from telebot.phone.vonage_exchange import signed

pytestmark = pytest.mark.peers

CALL = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(bounded, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
async def peer():
    async with serving(rest()) as running:
        yield running


def _environ(peer):
    return {
        "VONAGE_SIGNATURE_SECRET": SECRET,
        "VONAGE_APPLICATION_ID": APPLICATION,
        "VONAGE_PRIVATE_KEY": PRIVATE_KEY,
        "VONAGE_BASE_URL": peer.url,
    }


@pytest.fixture
async def server(tmp_path, peer):
    async with edge(tmp_path, environ=_environ(peer)) as running:
        yield running


def to(server, **more):
    return Destination(server.url, SECRET, carrier="vonage", **more)


async def test_a_call_greets_hears_and_is_hung_up_by_the_bot(server, peer):
    heard = await talked(to(server, agent="echo"), server)
    assert heard.call.agent == "echo"
    assert [at for _, at in heard.frames[:3]] == [0, 20, 40]
    assert heard.call.offer.phone_to == "+441632960000"
    assert server.log.reasons() == ["bot_hangup"]
    await server.until(lambda: peer.asked)
    call_id = heard.call.offer.carrier_call_id
    assert peer.asked == [Asked("PUT", f"/v1/calls/{call_id}", {"action": "hangup"})]
    assert peer.unauthorized == 0


async def test_the_caller_hangs_up_by_closing(server, peer):
    async with calling(to(server)) as call:
        await call.until("played", "greeting")
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["caller_hangup"]
    assert peer.asked == []


async def test_a_fault_of_ours_is_apologised_for_by_another_ncco(server):
    server.listeners.fails = "audio"
    async with calling(to(server)) as call:
        assert "sorry" in await call.over()


async def test_a_full_server_says_so(tmp_path, peer):
    async with edge(tmp_path, environ=_environ(peer), max_calls=0) as server:
        with pytest.raises(CallRefused, match="busy"):
            async with calling(to(server)):
                pass


async def test_another_secret_is_refused(server):
    with pytest.raises(CannotCall, match="403"):
        async with calling(Destination(server.url, "guessed " * 5, carrier="vonage")):
            pass
    assert server.log.calls == []


async def test_a_stream_without_its_token_is_closed(server, http):
    async with http.ws_connect(server.url + "/vonage/media") as socket:
        await socket.send_json({"event": "websocket:connected", "call": CALL})
        await socket.receive(timeout=20)
        assert socket.close_code == 1008


async def _post(server, http, path, tree, *, headers=None, at=None):
    body = json.dumps(tree).encode()
    headers = headers or signed(SECRET, body, at)
    headers = {"Content-Type": "application/json", **headers}
    async with http.post(server.url + path, data=body, headers=headers) as response:
        return response.status, await response.text(), headers


async def test_a_webhook_is_believed_once_and_for_five_minutes(server, http):
    offer = {"uuid": CALL, "from": "447700900000", "to": "442079460000"}
    status, text, headers = await _post(server, http, "/vonage/voice", offer)
    assert (status, json.loads(text)[0]["action"]) == (200, "connect")
    assert (await _post(server, http, "/vonage/voice", offer, headers=headers))[0] == 403
    for at in (time.time() - 400, time.time() + 400):
        assert (await _post(server, http, "/vonage/voice", offer, at=at))[0] == 403
    swapped = {**offer, "to": "1"}
    other = signed(SECRET, json.dumps(offer).encode())
    assert (await _post(server, http, "/vonage/voice", swapped, headers=other))[0] == 403
    for event in ("started", "ringing", "answered"):
        assert (await _post(server, http, "/vonage/status", {"uuid": CALL, "status": event}))[
            0
        ] == 200
    assert server.log.reasons() == []
    ended = {"uuid": CALL, "status": "completed"}
    assert (await _post(server, http, "/vonage/status", ended))[0] == 200
    assert server.log.reasons() == ["carrier_ended"]


@pytest.mark.parametrize("hashed", ["all", "theirs"])
async def test_the_answer_url_may_be_asked_by_get(server, http, hashed):
    theirs = {"to": "442079460000", "from": "447700900000", "uuid": CALL}
    asked = {"agent": "echo", **theirs}
    told = json.dumps(asked if hashed == "all" else theirs, separators=(",", ":")).encode()
    url = f"{server.url}/vonage/voice?{urlencode(asked)}"
    async with http.get(url, headers=signed(SECRET, told)) as response:
        assert (response.status, response.content_type) == (200, "application/json")
    assert server.log.calls[0].agent == "echo"
    async with http.get(url + "&x=1", headers=signed(SECRET, told)) as response:
        assert response.status == 403


def _call(direction="inbound"):
    offer = CallOffer("vonage", CALL, "+15550100", "+15550199", direction=direction)
    return Call("id1", offer, "front-desk", None)


@pytest.fixture
async def carrier(peer):
    made = VonageCarrier(
        VonageSettings(
            signature_secret=SECRET,
            application_id=APPLICATION,
            private_key=PRIVATE_KEY,
            base_url=peer.url,
        )
    )
    yield made
    await made.close()


WAY = Way(
    "https://bot.example/vonage/voice?call=id1",
    "https://bot.example/vonage/fallback?call=id1",
    "https://bot.example/vonage/status?call=id1",
    "wss://bot.example/vonage/media",
    "a.b.c",
    200.0,
)


async def test_what_we_do_to_a_call(carrier, peer):
    assert isinstance(carrier, HangsUp)
    assert isinstance(carrier, Transfers)
    assert isinstance(carrier, Dials)
    assert isinstance(carrier, SendsDigits)
    await carrier.transfer(_call(), "+15550123")
    await carrier.send_digits(_call(), "12w#")
    assert await carrier.dial(_call("outbound"), WAY) == DIALLED
    transfer, digits, dial = peer.asked
    assert transfer.body == {
        "action": "transfer",
        "destination": {
            "type": "ncco",
            "ncco": [
                {
                    "action": "connect",
                    "from": "15550199",
                    "endpoint": [{"type": "phone", "number": "15550123"}],
                }
            ],
        },
    }
    assert (digits.path, digits.body) == (f"/v1/calls/{CALL}/dtmf", {"digits": "12p#"})
    assert dial.body == {
        "to": [{"type": "phone", "number": "15550199"}],
        "from": {"type": "phone", "number": "15550100"},
        "answer_url": [WAY.answer_url],
        "answer_method": "POST",
        "event_url": [WAY.status_url],
        "event_method": "POST",
        "ringing_timer": 120,
    }
    assert (peer.unauthorized, peer.refused) == (0, [])
    with pytest.raises(Unable, match="alone"):
        await carrier.send_digits(_call(), "A")


@pytest.mark.parametrize("answer", [404, 429, 503, "drop"], ids=str)
async def test_a_call_that_is_gone_has_ended(carrier, peer, answer):
    peer.answers = [answer]
    await carrier.hang_up(_call())


@pytest.mark.parametrize("answers", [[401], [400], [500] * 9, ["drop"] * 9], ids=str)
async def test_what_stays_wrong_is_a_carrier_error(carrier, peer, answers):
    peer.answers = list(answers)
    with pytest.raises(CarrierError):
        await carrier.hang_up(_call())
    assert len(peer.asked) <= 6  # three tries; aiohttp repeats a PUT whose connection was cut


@pytest.mark.parametrize("answer", [500, "drop", "junk", (201, {})], ids=str)
async def test_nobody_is_dialled_twice(carrier, peer, answer):
    peer.answers = [answer]
    with pytest.raises(CarrierError):
        await carrier.dial(_call("outbound"), WAY)
    assert len(peer.asked) == 1


async def test_what_is_not_set_is_said():
    bare = VonageCarrier(VonageSettings(signature_secret=SECRET))
    with pytest.raises(Unable, match="VONAGE_APPLICATION_ID"):
        await bare.hang_up(_call())
    wrong = VonageSettings(
        signature_secret=SECRET, application_id=APPLICATION, private_key="-----BEGIN nothing"
    )
    with pytest.raises(Unable, match="VONAGE_PRIVATE_KEY"):
        await VonageCarrier(wrong).hang_up(_call())
