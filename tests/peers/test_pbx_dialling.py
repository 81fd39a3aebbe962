"""Calls that we make by way of PBXs and platforms: rung up, answered, and on our stream."""

from __future__ import annotations

import json
import time

import pytest
from asterisk_peer import ami
from asterisk_peer import settings as ami_settings
from edge_server import edge
from freeswitch_peer import commands
from freeswitch_peer import settings as api_settings
from jambonz_peer import DIALLED, SECRET, environ, rest
from vendor_rest import serving

from telebot.call.model import CallOffer
from telebot.call.ports import Way
from telebot.phone.jambonz_exchange import signed

pytestmark = pytest.mark.peers

OURS, THEIRS = "+441632960000", "+441632960007"


async def rung_up(server, carrier: str, *, told: bool = True):
    """A call of ours that is on its way: the call, its token, and the carrier's id of it."""
    offer = CallOffer(carrier, "", OURS, THEIRS, direction="outbound")
    call, token = server.admission.place(offer, 60)
    base = f"{server.url}/{carrier}"
    query = f"?call={call.id}"
    media = base.replace("http", "ws") + "/media"
    way = Way(base + "/voice" + query, "", base + "/status" + query, media, token, 45.0)
    channel = await server.carriers.get(carrier).dial(call, way)
    if told:
        server.admission.dialled(call, channel)
    return call, token, channel


@pytest.mark.parametrize("told", [True, False], ids=["", "the stream is first"])
async def test_asterisk(tmp_path, http, told):
    async with ami() as peer, edge(tmp_path, environ=ami_settings(peer)) as server:
        call, _, channel = await rung_up(server, "asterisk", told=told)
        [token] = [v.partition("=")[2] for v in peer.variables if v.startswith("TELEBOT_TOKEN=")]
        url = f"{server.url.replace('http', 'ws')}/asterisk/media?token={token}&id={channel}"
        async with http.ws_connect(url, protocols=("media",)) as socket:
            await socket.send_json(
                {
                    "event": "MEDIA_START",
                    "connection_id": "telebot",
                    "channel_id": "1.9",
                    "format": "ulaw",
                    "optimal_frame_size": 160,
                }
            )
            assert (await socket.receive(timeout=30)).data == '{"command":"ANSWER"}'
            await server.until(lambda: server.listeners.all)
        await server.until(lambda: server.log.endings)
        assert call.answered_at is not None
        assert call.offer.carrier_call_id == channel
        assert server.log.reasons() == ["caller_hangup"]


async def test_freeswitch(tmp_path, http):
    async with commands() as peer, edge(tmp_path, environ=api_settings(peer)) as server:
        call, token, channel = await rung_up(server, "freeswitch")
        assert token in peer.asked[0][2]
        async with http.ws_connect(
            server.url.replace("http", "ws") + "/freeswitch/media"
        ) as socket:
            await socket.send_json({"id": channel, "token": token})
            await socket.receive(timeout=30)
            await server.until(lambda: server.listeners.all)
        await server.until(lambda: server.log.endings)
        assert call.answered_at is not None


async def test_jambonz_asks_its_hook_once_they_answer(tmp_path, http):
    async with serving(rest()) as peer, edge(tmp_path, environ=environ(peer)) as server:
        call, _, channel = await rung_up(server, "jambonz")
        assert channel == DIALLED
        about = {"call_sid": DIALLED, "direction": "outbound", "from": OURS, "to": THEIRS}
        body = json.dumps(about | {"call_status": "in-progress"}).encode()
        headers = {"Content-Type": "application/json", **signed(SECRET, body, time.time())}
        url = peer.asked[0].body["call_hook"]["url"]
        async with http.post(url, data=body, headers=headers) as response:
            [_, listen] = await response.json()
        async with http.ws_connect(listen["url"], protocols=("audio.jambonz.org",)) as socket:
            metadata = {"callSid": DIALLED, "sampleRate": 8000, "mixType": "mono"}
            await socket.send_json(metadata | listen["metadata"])
            await socket.receive(timeout=30)
            await server.until(lambda: server.listeners.all)
        await server.until(lambda: server.log.endings)
        assert call.answered_at is not None
        assert len(server.log.calls) == 1


@pytest.mark.parametrize(
    ("status", "sip_status", "reason"),
    [("busy", 486, "busy"), ("no-answer", 480, "no_answer"), ("failed", 603, "declined")],
)
async def test_jambonz_tells_why_nobody_did(tmp_path, http, status, sip_status, reason):
    async with serving(rest()) as peer, edge(tmp_path, environ=environ(peer)) as server:
        await rung_up(server, "jambonz")
        tree = {"call_sid": DIALLED, "call_status": status, "sip_status": sip_status}
        body = json.dumps(tree).encode()
        headers = {"Content-Type": "application/json", **signed(SECRET, body, time.time())}
        url = peer.asked[0].body["call_status_hook"]["url"]
        async with http.post(url, data=body, headers=headers) as response:
            assert response.status == 200
        assert server.log.reasons() == [reason]
