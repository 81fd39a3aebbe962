"""Telnyx from end to end on real sockets: its wire, its webhooks, its REST."""

from __future__ import annotations

import base64
import time
from urllib.parse import urlencode

import pytest
from carrier_call import calling, talked
from edge_server import edge
from telnyx_peer import API_KEY, DIALLED, PRIVATE, PUBLIC, rest
from vendor_rest import Asked, serving

from telebot.call.errors import CarrierError
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Dials, HangsUp, SendsDigits, Transfers, Way
from telebot.carriers import rest as bounded
from telebot.carriers.telnyx import TelnyxCarrier, TelnyxSettings
from telebot.phone.destination import CannotCall, Destination
from telebot.phone.telnyx_exchange import signed

pytestmark = pytest.mark.peers

CALL = "v3:KBnLO0ZK3DhKM5s7bE9VluaSmKsOchKht_fUYvxcp8ysbmzCCtpkmA"


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
        "TELNYX_PUBLIC_KEY": PUBLIC,
        "TELNYX_API_KEY": API_KEY,
        "TELNYX_CONNECTION_ID": "1494404757140276705",
        "TELNYX_BASE_URL": peer.url,
    }
    async with edge(tmp_path, environ=environ) as running:
        yield running


def to(server, **more):
    return Destination(server.url, PRIVATE, carrier="telnyx", call_sid=CALL, **more)


async def test_a_call_greets_hears_and_is_hung_up_by_the_bot(server, peer):
    heard = await talked(to(server, agent="echo"), server)
    assert heard.call.agent == "echo"
    assert heard.frames[0][1] == 0
    assert server.log.reasons() == ["bot_hangup"]
    await server.until(lambda: peer.asked)
    assert peer.asked == [Asked("POST", f"/v2/calls/{CALL}/actions/hangup", {})]
    assert peer.unauthorized == 0


async def test_the_caller_hangs_up(server, peer):
    async with calling(to(server)) as call:
        await call.until("played", "greeting")
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["caller_hangup"]
    assert peer.asked == []


async def test_another_key_is_refused(server):
    wrong = base64.b64encode(bytes(32)).decode()
    with pytest.raises(CannotCall, match="403"):
        async with calling(Destination(server.url, wrong, carrier="telnyx")):
            pass
    assert server.log.calls == []


async def test_a_stream_without_its_token_is_closed(server, http):
    async with http.ws_connect(server.url + "/telnyx/media") as socket:
        await socket.send_json({"event": "connected", "version": "1.0.0"})
        start = {"call_control_id": CALL, "media_format": {"encoding": "PCMU"}}
        await socket.send_json({"event": "start", "stream_id": "S1", "start": start})
        await socket.receive(timeout=20)
        assert socket.close_code == 1008


async def _post(server, http, path, fields, *, at=None, headers=None):
    body = urlencode(fields).encode()
    headers = headers or signed(PRIVATE, body, int(time.time() if at is None else at))
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    async with http.post(server.url + path, data=body, headers=headers) as response:
        return response.status, await response.text(), headers


async def test_a_webhook_is_believed_once_and_for_five_minutes(server, http):
    offer = {"CallSid": CALL, "From": "+1", "To": "+2", "AccountSid": "acc"}
    status, text, headers = await _post(server, http, "/telnyx/voice", offer)
    assert (status, "<Connect><Stream" in text) == (200, True)
    replayed, _, _ = await _post(server, http, "/telnyx/voice", offer, headers=headers)
    assert replayed == 403
    for at in (time.time() - 400, time.time() + 400, 0):
        assert (await _post(server, http, "/telnyx/voice", offer, at=at))[0] == 403
    again, text, _ = await _post(server, http, "/telnyx/voice", offer, at=time.time() - 5)
    assert (again, "<Connect>" in text) == (200, True)  # sent again and signed again
    ended = {"CallSid": CALL, "CallStatus": "completed"}
    assert (await _post(server, http, "/telnyx/status", ended))[0] == 200
    assert server.log.reasons() == ["carrier_ended"]
    async with http.get(server.url + "/telnyx/voice") as response:
        assert response.status == 405


def _call(direction="inbound"):
    offer = CallOffer("telnyx", CALL, "+15550100", "+15550199", direction=direction)
    return Call("id1", offer, "front-desk", None)


@pytest.fixture
async def carrier(peer):
    settings = TelnyxSettings(
        public_key=PUBLIC,
        api_key=API_KEY,
        account_sid="acc",
        connection_id="1494404757140276705",
        base_url=peer.url,
    )
    made = TelnyxCarrier(settings)
    yield made
    await made.close()


WAY = Way(
    "https://bot.example/telnyx/voice?call=id1",
    "https://bot.example/telnyx/fallback?call=id1",
    "https://bot.example/telnyx/status?call=id1",
    "wss://bot.example/telnyx/media",
    "a.b.c",
    45.0,
)


async def test_what_we_do_to_a_call(carrier, peer):
    assert isinstance(carrier, HangsUp)
    assert isinstance(carrier, Transfers)
    assert isinstance(carrier, Dials)
    assert isinstance(carrier, SendsDigits)
    await carrier.transfer(_call(), "+1555<0123>")
    await carrier.transfer(_call("outbound"), "+15550123")
    await carrier.send_digits(_call(), "12w#")
    assert await carrier.dial(_call("outbound"), WAY) == DIALLED
    update, bridge, stop, digits, dial = peer.asked
    assert update.path == f"/v2/texml/Accounts/acc/Calls/{CALL}"
    assert "<Dial><Number>+1555&lt;0123&gt;</Number></Dial>" in update.body["Texml"]
    assert (bridge.path.rpartition("/")[2], bridge.body) == ("transfer", {"to": "+15550123"})
    assert stop.path.endswith("/streaming_stop")
    assert digits.body == {"digits": "12w#"}
    assert (dial.body["to"], dial.body["from"]) == ("+15550199", "+15550100")
    assert base64.b64decode(dial.body["client_state"]) == b"a.b.c"
    assert dial.body["webhook_url"] == WAY.status_url
    assert peer.refused == []


GONE = (422, {"errors": [{"code": "90018", "title": "Call has already ended"}]})


@pytest.mark.parametrize("answer", [404, GONE, 429, 503, "drop"], ids=str)
async def test_a_call_that_is_gone_has_ended(carrier, peer, answer):
    peer.answers = [answer]
    await carrier.hang_up(_call())


@pytest.mark.parametrize("answers", [[401], [422], [500] * 3, ["drop"] * 3], ids=str)
async def test_what_stays_wrong_is_a_carrier_error(carrier, peer, answers):
    peer.answers = list(answers)
    with pytest.raises(CarrierError):
        await carrier.hang_up(_call())
    assert peer.answers == []


@pytest.mark.parametrize("answer", [500, "drop", "junk", (200, {"data": {}}), GONE], ids=str)
async def test_nobody_is_dialled_twice(carrier, peer, answer):
    peer.answers = [answer]
    with pytest.raises(CarrierError):
        await carrier.dial(_call("outbound"), WAY)
    assert len(peer.asked) == 1


async def test_what_is_not_set_is_said():
    bare = TelnyxCarrier(TelnyxSettings(public_key=PUBLIC))
    with pytest.raises(CarrierError, match="TELNYX_API_KEY"):
        await bare.hang_up(_call())
    keyed = TelnyxCarrier(TelnyxSettings(public_key=PUBLIC, api_key=API_KEY))
    with pytest.raises(CarrierError, match="TELNYX_CONNECTION_ID"):
        await keyed.dial(_call(), WAY)
    with pytest.raises(CarrierError, match="TELNYX_ACCOUNT_SID"):
        await keyed.transfer(_call(), "+1")
    await keyed.close()
