"""Asterisk's WebSocket channel on real sockets: calls, who may call, the manager interface."""

from __future__ import annotations

import aiohttp
import pytest
from asterisk_peer import ami, settings
from edge_server import GREETING, edge
from pbx_call import calling, heard

from telebot.call.errors import CarrierError
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Dials, HangsUp, SendsDigits, Transfers, Way
from telebot.carriers import ami as manager
from telebot.phone.asterisk_exchange import AsteriskExchange

pytestmark = pytest.mark.peers


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(manager, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(manager, "KEY_MS", 1)
    monkeypatch.setattr(manager, "PAUSE_S", 0.01)


@pytest.fixture
async def peer():
    async with ami() as running:
        yield running


@pytest.mark.parametrize("json", [True, False], ids=["json", "plain"])
async def test_a_call_from_the_dialplan_to_the_record(server, monkeypatch, json):
    monkeypatch.setattr(AsteriskExchange, "json", json)
    async with calling(server.url, "asterisk", agent="echo", phone_to="100") as line:
        await heard(line, GREETING)
        assert line.stream.answered
        await server.until(server.heard)
        [listener] = server.listeners.all
        await server.until(lambda: listener.marks)
        assert listener.marks == ["greeting"]
        await line.press("5")
        await line.press("*")  # which has the bot's voice taken back
        await server.until(lambda: len(listener.digits) == 2)
        await server.until(lambda: "clear" in [h.name for h in line.stream.happenings])
        stamps = [at_ms for _, at_ms in listener.frames]
        assert stamps == sorted(stamps)
        assert {len(ulaw) for ulaw, _ in listener.frames} == {160}
    await server.until(lambda: server.log.endings)
    [(call, ending)] = server.log.endings
    assert (call.agent, call.offer.phone_to, ending.reason) == ("echo", "100", "caller_hangup")
    assert (line.stream.faults, server.junk()) == ([], {})


async def test_the_bot_hangs_up(server):
    async with calling(server.url, "asterisk") as line:
        await heard(line, GREETING)
        await line.press("#")
        await server.until(line.over.is_set)
        assert (line.ended_by, line.stream.hung_up) == ("bot", True)
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["bot_hangup"]


async def test_a_connection_that_breaks_is_no_hang_up(server):
    async with calling(server.url, "asterisk") as line:
        await heard(line, GREETING)
        line._wire._socket._writer.transport.abort()
        await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["stream_lost"]


PASSWORD = {"ASTERISK_USER": "pbx", "ASTERISK_PASSWORD": "a password"}


async def test_credentials_decide_where_they_are_set(tmp_path):
    async with edge(tmp_path, environ=PASSWORD) as server:
        for secret in ("", "pbx:another", "somebody:a password"):
            async with calling(server.url, "asterisk", secret) as line:
                await server.until(line.over.is_set)
                assert (line.ended_by, line.stream.hung_up) == ("bot", True)
        assert server.log.calls == []
        async with calling(server.url, "asterisk", "pbx:a password") as line:
            await heard(line, GREETING)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
async def test_this_machine_alone_may_call_and_none_of_its_web_pages(server, http, headers):
    url = server.url.replace("http", "ws") + "/asterisk/media"
    start = "MEDIA_START connection_id:a format:ulaw optimal_frame_size:160"
    async with http.ws_connect(url, headers=headers) as socket:
        await socket.send_str(start)
        assert (await socket.receive(timeout=30)).data == "HANGUP"
        await socket.receive(timeout=30)
        assert socket.close_code == 1008
    assert server.log.calls == []


async def test_only_peers_of_the_list(tmp_path, http):
    async with edge(tmp_path, environ={"ASTERISK_PEERS": "192.0.2.0/24"}) as server:
        async with calling(server.url, "asterisk") as line:
            await server.until(line.over.is_set)
        assert server.log.calls == []
        async with http.post(f"{server.url}/asterisk/voice", data={"id": "1.1"}) as response:
            assert response.status == 403


async def test_a_token_that_the_dialplan_fetched(server, http):
    form = {"id": "1761245640.7", "from": "+441632960961", "to": "200", "agent": "echo"}
    async with http.post(f"{server.url}/asterisk/voice", data=form) as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        token = await response.text()
    url = server.url.replace("http", "ws") + f"/asterisk/media?token={token}&id=1761245640.7"
    for opens in (True, False):  # once
        async with http.ws_connect(url, protocols=("media",)) as socket:
            assert socket.protocol == "media"
            await socket.send_str("MEDIA_START connection_id:a format:ulaw optimal_frame_size:160")
            first = await socket.receive(timeout=30)
            assert (first.type, first.data) == (
                aiohttp.WSMsgType.TEXT,
                "ANSWER" if opens else "HANGUP",
            )
    [call] = server.log.calls
    assert (call.agent, call.offer.phone_to) == ("echo", "200")


@pytest.mark.parametrize(
    "form", [{}, {"id": "/./"}, {"id": "a b"}, {"id": "1.1", "to": "1" * 300}], ids=str
)
async def test_a_form_that_names_no_call(server, http, form):
    async with http.post(f"{server.url}/asterisk/voice", data=form) as response:
        assert response.status == 400


async def test_a_refused_call_is_the_dialplans(tmp_path, http):
    async with edge(tmp_path, max_calls=0) as server:
        async with http.post(f"{server.url}/asterisk/voice", data={"id": "1.1"}) as response:
            assert (response.status, await response.text()) == (503, "")
        assert server.log.reasons() == ["capacity"]
        async with calling(server.url, "asterisk") as line:
            await server.until(line.over.is_set)


async def test_a_status_ends_a_call_whose_stream_never_came(server, http):
    await http.post(f"{server.url}/asterisk/voice", data={"id": "1.1"})
    form = {"id": "1.1", "status": "BUSY"}
    async with http.post(f"{server.url}/asterisk/status", data=form) as response:
        assert response.status == 200
    assert server.log.reasons() == ["carrier_ended"]


async def test_what_became_of_a_call_of_ours(server, http):
    offer = CallOffer("asterisk", "", "+441632960000", "+441632960007", direction="outbound")
    placed, _ = server.admission.place(offer, 60)
    url = f"{server.url}/asterisk/status?call={placed.id}"
    async with http.post(url, data={"status": "BUSY"}) as response:
        assert response.status == 200
    assert server.log.reasons() == ["busy"]


# --- the manager interface ----------------------------------------------------------------------

CHANNEL = "1761245640.7"


def call(to: str = "100") -> Call:
    offer = CallOffer("asterisk", CHANNEL, "+441632960000", to)
    return Call("id1", offer, "echo", None)


@pytest.fixture
async def carrier(tmp_path, peer):
    async with edge(tmp_path, environ=settings(peer)) as server:
        yield server.carriers.get("asterisk")


async def test_what_it_can_do_depends_on_the_manager_interface(server, carrier):
    alone = server.carriers.get("asterisk")
    for ability in (HangsUp, Transfers, Dials, SendsDigits):
        assert isinstance(carrier, ability)
        assert not isinstance(alone, ability)


async def test_the_bots_hang_up_ends_the_callers_channel_too(tmp_path, peer):
    async with edge(tmp_path, environ=settings(peer)) as server:
        async with calling(server.url, "asterisk") as line:
            await heard(line, GREETING)
            await line.press("#")
            await server.until(lambda: peer.actions)
        [(action, fields)] = peer.actions
        [(ended, _)] = server.log.endings
        assert (action, fields["Channel"]) == ("Hangup", ended.offer.carrier_call_id)


async def test_a_hang_up(carrier, peer):
    await carrier.hang_up(call())
    peer.channels = {"another"}
    await carrier.hang_up(call())  # gone already
    assert peer.actions == [("Hangup", {"Channel": CHANNEL})] * 2


async def test_a_transfer(carrier, peer):
    await carrier.transfer(call(), "+441632960003")
    [(action, fields)] = peer.actions
    assert (action, fields["Context"], fields["Exten"]) == (
        "Redirect",
        "telebot-transfer",
        "+441632960003",
    )
    for to in ("100,200", "1\r\nAction: Originate", "${SHELL(id)}", ""):
        with pytest.raises(CarrierError):
            await carrier.transfer(call(), to)
    peer.channels = {"another"}
    with pytest.raises(CarrierError, match="No such channel"):
        await carrier.transfer(call(), "100")


async def test_a_call_of_ours(carrier, peer):
    status = "https://bot.example/asterisk/status?call=id1"
    way = Way("", "", status, "wss://bot.example/asterisk/media", "a.b.c", 45.0)
    channel = await carrier.dial(call("+441632960007"), way)
    [(action, fields)] = peer.actions
    assert action == "Originate"
    assert fields["Channel"] == "Local/+441632960007@telebot-dial"
    assert (fields["ChannelId"], fields["Context"]) == (channel, "telebot-answered")
    assert (fields["CallerID"], fields["Timeout"]) == ("+441632960000", "45000")
    assert peer.variables == [
        "TELEBOT_TOKEN=a.b.c",
        "TELEBOT_STATUS=https://bot.example/asterisk/status?call=id1",
        "TELEBOT_FROM=+441632960000",
    ]


async def test_keys(carrier, peer):
    await carrier.send_digits(call(), "1w#")
    assert [fields["Digit"] for _, fields in peer.actions] == ["1", "#"]


@pytest.mark.parametrize(
    ("answers", "actions"),
    [(["drop"], 1), ([200, "drop"], 0), (["drop"] * 3, 0), ([500], 0), ([200, 403], 0)],
    ids=str,
)
async def test_a_manager_interface_in_trouble(carrier, peer, answers, actions):
    peer.answers = answers
    if actions:
        await carrier.hang_up(call())
    else:
        with pytest.raises(CarrierError):
            await carrier.hang_up(call())
    assert len(peer.actions) == actions


async def test_a_wrong_secret(tmp_path, peer):
    environ = settings(peer) | {"ASTERISK_AMI_SECRET": "guess"}
    async with edge(tmp_path, environ=environ) as server:
        with pytest.raises(CarrierError, match="login refused"):
            await server.carriers.get("asterisk").hang_up(call())
    assert peer.actions == []
