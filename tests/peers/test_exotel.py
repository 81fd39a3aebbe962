"""Exotel from end to end on real sockets: its wire, its applets, its REST."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from carrier_call import calling, talked
from edge_server import edge
from exotel_peer import ACCOUNT, API_KEY, API_TOKEN, DIALLED, rest
from vendor_rest import serving

from telebot.call.errors import CarrierError, Unable
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Dials, HangsUp, SendsDigits, Transfers, Way
from telebot.carriers import rest as bounded
from telebot.carriers.exotel import ExotelCarrier, ExotelSettings
from telebot.phone.destination import CallRefused, CannotCall, Destination

pytestmark = pytest.mark.peers

CALL = "80bfbec2d78bbbf10fb851f4fa165211"
LOGIN = {"Authorization": aiohttp.encode_basic_auth(API_KEY, API_TOKEN)}


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(bounded, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
async def peer():
    async with serving(rest()) as running:
        yield running


def _environ(peer):
    return {
        "EXOTEL_ACCOUNT_SID": ACCOUNT,
        "EXOTEL_API_KEY": API_KEY,
        "EXOTEL_API_TOKEN": API_TOKEN,
        "EXOTEL_BASE_URL": peer.url,
    }


@pytest.fixture
async def server(tmp_path, peer):
    async with edge(tmp_path, environ=_environ(peer)) as running:
        yield running


def to(server, **more):
    return Destination(server.url, f"{API_KEY}:{API_TOKEN}", carrier="exotel", **more)


async def test_a_call_greets_hears_and_is_hung_up_by_the_bot(server):
    heard = await talked(to(server, agent="echo"), server)
    assert heard.call.agent == "echo"
    assert [at for _, at in heard.frames[:3]] == [0, 20, 40]
    assert server.log.reasons() == ["bot_hangup"]


async def test_the_caller_hangs_up(server):
    async with calling(to(server)) as call:
        await call.until("played", "greeting")
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["caller_hangup"]


@pytest.mark.parametrize("secret", ["", f"{API_KEY}:guessed", "guessed:guessed"])
async def test_wrong_credentials_are_refused(server, secret):
    with pytest.raises(CannotCall, match="403"):
        async with calling(Destination(server.url, secret, carrier="exotel")):
            pass
    assert server.log.calls == []


async def test_a_full_server_has_no_address(tmp_path, peer):
    async with edge(tmp_path, environ=_environ(peer), max_calls=0) as server:
        with pytest.raises(CallRefused):
            async with calling(to(server)):
                pass


def _start(**parameters):
    start = {"call_sid": CALL, "from": "+911", "to": "+912", "custom_parameters": parameters}
    return {"event": "start", "stream_sid": "S1", "start": start}


async def test_a_stream_may_offer_the_call_itself(server, http):
    async with http.ws_connect(server.url + "/exotel/media", headers=LOGIN) as socket:
        await socket.send_json(_start(agent="echo"))
        await server.until(lambda: server.listeners.all)
        [heard] = server.listeners.all
        assert heard.call.offer == CallOffer("exotel", CALL, "+911", "+912", "echo")
    await server.until(lambda: server.log.endings)


@pytest.mark.parametrize("ticket", ["", "?t=guessed"])
async def test_a_stream_without_ticket_or_credentials_is_closed(server, http, ticket):
    async with http.ws_connect(f"{server.url}/exotel/media{ticket}") as socket:
        await socket.send_json(_start(token="a.b.c"))
        await socket.receive(timeout=20)
        assert socket.close_code == 1008
    assert server.log.calls == []


async def test_a_ticket_is_good_once(server, http):
    query = urlencode({"CallSid": CALL, "CallFrom": "+911", "CallTo": "+912"})
    async with http.get(f"{server.url}/exotel/voice?{query}", headers=LOGIN) as response:
        url = (await response.json())["url"]
    async with http.ws_connect(url) as socket:
        await socket.send_json(_start())
        await server.until(lambda: server.listeners.all)
        async with http.ws_connect(url) as again:
            await again.send_json(_start())
            await again.receive(timeout=20)
            assert again.close_code == 1008


async def test_the_flow_dials_whom_the_bot_transfers_to(tmp_path, peer):
    settings = {"carriers": {"exotel": {"connect_applet": True}}}
    async with edge(tmp_path, environ=_environ(peer), **settings) as server:
        carrier = server.carriers.get("exotel")
        assert isinstance(carrier, Transfers)
        async with calling(to(server)) as call:
            await call.until("played", "greeting")
            [heard] = server.listeners.all
            await carrier.transfer(heard.call, "+919000000000")
            await heard.wire.close()
            assert await call.over() == "Dialling +919000000000."


MULTIPART = (
    '--x\r\nContent-Disposition: form-data; name="CallSid"\r\n\r\n{}\r\n'
    '--x\r\nContent-Disposition: form-data; name="Status"\r\n\r\ncompleted\r\n--x--\r\n'
)


@pytest.mark.parametrize("kind", ["json", "form", "multipart"])
async def test_a_status_ends_a_call_whose_stream_never_came(server, http, kind):
    query = urlencode({"CallSid": CALL, "CallFrom": "+911", "CallTo": "+912"})
    async with http.get(f"{server.url}/exotel/voice?{query}", headers=LOGIN) as response:
        assert response.status == 200
    told = {"CallSid": CALL, "Status": "completed", "RecordingUrl": None}
    url, multipart = f"{server.url}/exotel/status", "multipart/form-data; boundary=x"
    sent = {
        "json": {"json": told},
        "form": {"data": {"CallSid": CALL, "Status": "completed"}},
        "multipart": {"data": MULTIPART.format(CALL), "headers": {"Content-Type": multipart}},
    }[kind]
    async with http.post(url, **sent) as response:
        assert response.status == 403
    headers = LOGIN | sent.pop("headers", {})
    async with http.post(url, headers=headers, **sent) as response:
        assert response.status == 200
    assert server.log.reasons() == ["carrier_ended"]


def _call():
    offer = CallOffer("exotel", CALL, "+911", "+912", direction="outbound")
    return Call("id1", offer, "front-desk", None)


WAY = Way(
    "https://bot.example/exotel/voice?call=id1",
    "https://bot.example/exotel/fallback?call=id1",
    "https://bot.example/exotel/status?call=id1",
    "wss://bot.example/exotel/media",
    "a." + "b" * 300 + ".c",
    45.0,
)


@pytest.fixture
async def carrier(peer):
    made = ExotelCarrier(
        ExotelSettings(account_sid=ACCOUNT, api_key=API_KEY, api_token=API_TOKEN, base_url=peer.url)
    )
    yield made
    await made.close()


async def test_what_we_do_to_a_call(carrier, peer):
    assert isinstance(carrier, Dials)
    for unable in (HangsUp, Transfers, SendsDigits):
        assert not isinstance(carrier, unable)
    assert await carrier.dial(_call(), WAY) == DIALLED
    [dial] = peer.asked
    assert (dial.body["From"], dial.body["CallerId"]) == ("+912", "+911")
    assert dial.body["StreamUrl"].startswith("wss://bot.example/exotel/media?t=")
    assert peer.refused == []
    callback = urlsplit(dial.body["StatusCallback"])
    assert parse_qs(callback.query).keys() == {"call", "proof"}


async def test_a_callback_of_ours_proves_itself(server, http, peer):
    carrier = server.carriers.get("exotel")
    await carrier.dial(_call(), WAY)
    query = urlsplit(peer.asked[0].body["StatusCallback"]).query
    told = {"CallSid": CALL, "Status": "busy"}
    async with http.post(f"{server.url}/exotel/status?{query}", json=told) as response:
        assert response.status == 200
    forged = query.replace("call=id1", "call=id2")
    async with http.post(f"{server.url}/exotel/status?{forged}", json=told) as response:
        assert response.status == 403


@pytest.mark.parametrize("answer", [500, "drop", "junk", 400, (200, {"Call": {}})], ids=str)
async def test_nobody_is_dialled_twice(carrier, peer, answer):
    peer.answers = [answer]
    with pytest.raises(CarrierError):
        await carrier.dial(_call(), WAY)
    assert len(peer.asked) == 1


async def test_what_is_not_set_is_said():
    with pytest.raises(Unable, match="EXOTEL_ACCOUNT_SID"):
        await ExotelCarrier(ExotelSettings(api_token="x")).dial(_call(), WAY)
