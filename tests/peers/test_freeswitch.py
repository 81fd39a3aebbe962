"""FreeSWITCH's two modules on real sockets: calls whole, who may call, and its own commands."""

from __future__ import annotations

import pytest
from aiohttp import WSMsgType
from edge_server import GREETING, edge
from freeswitch_peer import commands, settings
from pbx_call import calling, heard

from telebot.audio import g711
from telebot.call.errors import CarrierError
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Way
from telebot.carriers import fs_api
from telebot.carriers.l16 import ForkCodec
from telebot.phone.destination import CannotCall
from telebot.phone.freeswitch_exchange import FreeswitchExchange
from telebot.phone.freeswitch_stream import ForkStream
from telebot.phone.microphone import Microphone

pytestmark = pytest.mark.peers

MODULES = ["freeswitch", "audiofork"]
CHANNEL = "1c9de6b0-4c6f-11ef-9a6b-0242ac120002"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(fs_api, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
async def peer():
    async with commands() as running:
        yield running


@pytest.fixture
async def switch(tmp_path, peer):
    """The edge, for a FreeSWITCH whose commands it may give."""
    async with edge(tmp_path, environ=settings(peer)) as running:
        yield running


@pytest.mark.parametrize("rate_hz", [8000, 16_000])
@pytest.mark.parametrize("module", MODULES)
async def test_a_call_from_the_dialplan_to_the_record(switch, peer, monkeypatch, module, rate_hz):
    monkeypatch.setattr(FreeswitchExchange, "rate_hz", rate_hz)
    async with calling(switch.url, module, agent="echo", phone_to="100") as line:
        await heard(line, GREETING)
        await switch.until(switch.heard)
        [listener] = switch.listeners.all
        if module == "audiofork":
            await switch.until(lambda: listener.marks)
        await line.press("5")
        await line.press("*")
        await switch.until(lambda: len(listener.digits) == 2)
        if module == "audiofork":  # the other has nothing to take back
            await switch.until(lambda: "clear" in [h.name for h in line.stream.happenings])
        assert {len(ulaw) for ulaw, _ in listener.frames} == {160}
    await switch.until(lambda: switch.log.endings)
    [(call, ending)] = switch.log.endings
    assert (call.agent, call.offer.phone_to, ending.reason) == ("echo", "100", "caller_hangup")
    assert (line.stream.faults, switch.junk(), peer.asked) == ([], {}, [])


@pytest.mark.parametrize("module", MODULES)
async def test_the_bots_hang_up_ends_the_channel(switch, peer, module):
    async with calling(switch.url, module) as line:
        await heard(line, GREETING)
        await line.press("#")
        await switch.until(line.over.is_set)
        await switch.until(lambda: peer.asked)
    [(call, ending)] = switch.log.endings
    assert ending.reason == "bot_hangup"
    assert peer.asked == [["uuid_kill", call.offer.carrier_call_id]]


@pytest.mark.parametrize("module", MODULES)
async def test_without_its_commands_it_is_off(server, module):
    assert server.carriers.get(module).off() == "FREESWITCH_BASE_URL is not set"
    with pytest.raises(CannotCall, match="404"):
        async with calling(server.url, module):
            pass


@pytest.mark.parametrize("module", MODULES)
async def test_credentials_decide_where_they_are_set(tmp_path, peer, module):
    name = module.upper()
    environ = settings(peer) | {f"{name}_USER": "pbx", f"{name}_PASSWORD": "a password"}
    async with edge(tmp_path, environ=environ) as server:
        for secret in ("", "pbx:another"):
            async with calling(server.url, module, secret) as line:
                await server.until(line.over.is_set)
                assert line.ended_by == "bot"
        assert server.log.calls == []
        async with calling(server.url, module, "pbx:a password") as line:
            await heard(line, GREETING)


async def test_its_client_names_our_own_host_as_origin_and_is_let_in(switch, http):
    url = switch.url.replace("http", "ws") + "/audiofork/media"
    for origin, opens in ((switch.url, True), ("127.0.0.1", True), ("http://evil.example", False)):
        headers = {"Origin": origin}
        async with http.ws_connect(
            url, headers=headers, protocols=("audio.drachtio.org",)
        ) as socket:
            assert socket.protocol == "audio.drachtio.org"
            await socket.send_str('{"id":"' + f"1c9d{len(switch.log.calls)}" + '"}')
            first = await socket.receive(timeout=30)
            assert (first.type is WSMsgType.BINARY) is opens  # else it is told to disconnect


async def test_a_token_that_the_dialplan_fetched(switch, http):
    form = {"id": CHANNEL, "from": "+441632960961", "to": "200", "agent": "echo"}
    async with http.post(f"{switch.url}/freeswitch/voice", data=form) as response:
        token = await response.text()
    url = switch.url.replace("http", "ws") + "/freeswitch/media"
    for opens in (True, False):  # once
        async with http.ws_connect(url) as socket:
            await socket.send_json({"id": CHANNEL, "token": token})
            await socket.receive(timeout=30)
            assert (socket.close_code is None) is opens
    [call] = switch.log.calls
    assert (call.agent, call.offer.phone_to) == ("echo", "200")


# --- commands ------------------------------------------------------------------------------------


def call(to: str = "100") -> Call:
    offer = CallOffer("freeswitch", CHANNEL, "+441632960000", to)
    return Call("id1", offer, "echo", None)


@pytest.fixture
def carrier(switch):
    return switch.carriers.get("freeswitch")


async def test_a_hang_up(carrier, peer):
    await carrier.hang_up(call())
    peer.channels = {"another"}
    await carrier.hang_up(call())  # gone already
    assert peer.asked == [["uuid_kill", CHANNEL]] * 2


async def test_a_transfer(carrier, peer):
    await carrier.transfer(call(), "+441632960003")
    assert peer.asked == [["uuid_transfer", CHANNEL, "+441632960003", "XML", "default"]]
    for to in ("100 inline", "${system(id)}", "1\n2", ""):
        with pytest.raises(CarrierError):
            await carrier.transfer(call(), to)
    peer.channels = {"another"}
    with pytest.raises(CarrierError, match="No such channel"):
        await carrier.transfer(call(), "100")


async def test_a_call_of_ours(carrier, peer):
    channel = await carrier.dial(call("+441632960007"), Way("", "", "", "", "a.b.c", 45.0))
    [[command, originate, where, *reached]] = peer.asked
    assert [command, originate] == ["bgapi", "originate"]
    assert where == (
        f"{{origination_uuid={channel},origination_caller_id_number=+441632960000,"
        "originate_timeout=45,telebot_token=a.b.c}sofia/gateway/trunk/+441632960007"
    )
    assert reached == ["telebot", "XML", "default"]


async def test_keys(carrier, peer):
    await carrier.send_digits(call(), "1w#")
    assert peer.asked == [["uuid_send_dtmf", CHANNEL, "1w#"]]


@pytest.mark.parametrize(
    ("answers", "works"), [(["drop"], True), (["drop"] * 6, False), ([500], False)], ids=str
)
async def test_commands_in_trouble(carrier, peer, answers, works):
    peer.answers = answers
    if works:
        await carrier.hang_up(call())
    else:
        with pytest.raises(CarrierError):
            await carrier.hang_up(call())


async def test_a_wrong_password(tmp_path, peer):
    environ = settings(peer) | {"FREESWITCH_API_PASSWORD": "guess"}
    async with edge(tmp_path, environ=environ) as server:
        with pytest.raises(CarrierError, match="HTTP 401"):
            await server.carriers.get("freeswitch").hang_up(call())
    assert peer.unauthorized == 1


# --- the fork's own buffer -----------------------------------------------------------------------


def test_nothing_of_an_utterance_stays_in_what_the_module_gathers():
    """80 ms it keeps for the next audio, whatever was taken back meanwhile."""
    codec, stream = ForkCodec({"id": CHANNEL}), ForkStream({"id": CHANNEL}, Microphone(None))
    stream.open(0.0)
    said = bytes(range(1, 101)) * 20
    for at in range(0, len(said), 640):
        stream.obey(codec.audio(said[at : at + 640]))
    stream.advance(1.0)
    assert said in stream.playout.heard()
    assert stream._gathered == b""
    stream.obey(codec.audio(b"\x11" * 640))
    stream.obey(codec.clear().decode())
    stream.obey(codec.audio(b"\x22" * 640))
    stream.advance(2.0)
    assert b"\x11" * 100 not in stream.playout.heard()[8000:]
    assert g711.SILENCE * 100 in stream.playout.heard()
