"""AudioSocket on real sockets: calls whole, identities, who may call, and a port that is taken."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from edge_server import GREETING, edge
from pbx_call import calling, heard

from telebot.call.errors import ConfigError
from telebot.call.ports import HangsUp, Transfers
from telebot.phone.audiosocket_exchange import AudioSocketExchange
from telebot.phone.audiosocket_stream import AUDIO, END, IDENTITY, packet
from telebot.phone.destination import CallRefused, CannotCall
from telebot.web.audiosocket import AudioSocketServer
from telebot.web.media_socket import SOCKETS

pytestmark = pytest.mark.peers


@asynccontextmanager
async def connected(server):
    host, _, port = server.audiosocket.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


def call(server, **fields):
    secret = fields.pop("secret", "")
    return calling(server.url, "audiosocket", secret, media=server.audiosocket, **fields)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_call_from_the_dialplan_to_the_record(server, monkeypatch, announced):
    monkeypatch.setattr(AudioSocketExchange, "announces", announced)
    async with call(server, agent="echo", phone_to="100") as line:
        await heard(line, GREETING)
        await server.until(server.heard)
        [listener] = server.listeners.all
        await line.press("5")
        await server.until(lambda: listener.digits)
        await server.until(lambda: len(listener.frames) > 5)
        stamps = [at_ms for _, at_ms in listener.frames]
        assert stamps == sorted(stamps)
        assert {len(ulaw) for ulaw, _ in listener.frames} == {160}
    await server.until(lambda: server.log.endings)
    [(record, ending)] = server.log.endings
    assert ending.reason == "caller_hangup"
    assert record.agent == ("echo" if announced else "front-desk")
    assert record.offer.phone_to == ("100" if announced else "")
    assert (line.stream.faults, server.junk()) == ([], {})


async def test_the_bot_hangs_up(server):
    async with call(server) as line:
        await heard(line, GREETING)
        await line.press("#")
        await server.until(line.over.is_set)
        assert (line.ended_by, line.stream.hung_up) == ("bot", True)
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["bot_hangup"]


async def test_an_identity_is_good_once(server, http):
    async with http.post(f"{server.url}/audiosocket/voice", data={"id": "7.7"}) as answer:
        identity = UUID(await answer.text())
    for _ in range(2):  # used again it is a stranger's: of this machine, so it is another call
        async with connected(server) as (reader, writer):
            writer.write(packet(IDENTITY, identity.bytes))
            assert await reader.readexactly(3) == packet(AUDIO, b"\0" * 1600)[:3]
    assert [one.offer.carrier_call_id for one in server.log.calls] == ["7.7", str(identity)]


async def test_closing_is_an_end_and_a_packet_cut_in_two_is_a_lost_stream(server):
    for tail, reason in ((b"", "caller_hangup"), (b"\x10\x01", "stream_lost")):
        async with connected(server) as (reader, writer):
            writer.write(packet(IDENTITY, uuid4().bytes))
            await reader.readexactly(3)
            writer.write(packet(AUDIO, b"\0" * 320) + tail)
        await server.until(lambda reason=reason: reason in server.log.reasons())
    assert server.admission.live == {}


async def test_packets_in_pieces_are_packets(server):
    async with connected(server) as (reader, writer):
        for byte in packet(IDENTITY, uuid4().bytes) + packet(AUDIO, b"\0" * 320):
            writer.write(bytes((byte,)))
            await writer.drain()
        await reader.readexactly(3)
        await server.until(server.heard)


async def test_peers_that_are_not_listed_get_nothing(tmp_path):
    environ = {"AUDIOSOCKET_PEERS": "192.0.2.0/24"}
    async with edge(tmp_path, environ=environ) as server:
        async with connected(server) as (reader, writer):
            writer.write(packet(IDENTITY, uuid4().bytes))
            assert await reader.read() == packet(END)
        with pytest.raises(CannotCall, match="403"):
            async with call(server):
                pass
        assert server.log.calls == []


async def test_credentials_of_the_webhook(tmp_path):
    environ = {"AUDIOSOCKET_USER": "pbx", "AUDIOSOCKET_PASSWORD": "a password"}
    async with edge(tmp_path, environ=environ) as server:
        with pytest.raises(CannotCall, match="403"):
            async with call(server, secret="pbx:guess"):
                pass
        async with call(server, secret="pbx:a password") as line:
            await heard(line, GREETING)


async def test_a_refused_call(tmp_path):
    async with edge(tmp_path, max_calls=0) as server:
        with pytest.raises(CallRefused):
            async with call(server):
                pass
        assert server.log.reasons() == ["capacity"]


async def test_a_connection_that_says_nothing_is_closed(tmp_path):
    async with (
        edge(tmp_path, media__start_timeout_s=0.05) as server,
        connected(server) as (reader, _),
    ):
        assert await reader.read() == packet(END)


async def test_a_peer_that_does_not_read_is_cut_off(server):
    async with connected(server) as (reader, writer):
        writer.write(packet(IDENTITY, uuid4().bytes))
        await reader.readexactly(3)
        reader._transport.pause_reading()
        [listener] = server.listeners.all
        for _ in range(4000):
            listener.wire.send_audio(b"\x11" * 8000)
            if not listener.wire.open:
                break
            await asyncio.sleep(0)
        await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["stalled_peer"]


async def test_going_down_ends_what_is_up(tmp_path):
    async with edge(tmp_path) as server:
        host, _, port = server.audiosocket.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(packet(IDENTITY, uuid4().bytes))
        await reader.readexactly(3)
    rest = await reader.read()
    assert rest.endswith(packet(END))
    assert server.log.reasons() == ["drained"]
    writer.close()


async def test_a_port_that_is_taken(server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        carrier = server.carriers.get("audiosocket")
        asked = AudioSocketServer(address, carrier, server.app[SOCKETS], asked=True)
        with pytest.raises(ConfigError, match=r"address already in use; name another by --audio"):
            await asked.open()
        default = AudioSocketServer(address, carrier, server.app[SOCKETS], asked=False)
        await default.open()
        assert default.address == ""
        await default.close()


async def test_what_it_can_do_depends_on_the_manager_interface(server, tmp_path):
    environ = {"ASTERISK_BASE_URL": "http://127.0.0.1:1", "ASTERISK_AMI_USER": "telebot"}
    async with edge(tmp_path / "other", environ=environ) as managed:
        for ability in (HangsUp, Transfers):
            assert not isinstance(server.carriers.get("audiosocket"), ability)
            assert isinstance(managed.carriers.get("audiosocket"), ability)


@pytest.mark.parametrize("seed", range(8))
async def test_any_bytes_end_that_connection_at_most(server, seed):
    line = random.Random(seed)
    async with connected(server) as (reader, writer):
        writer.write(packet(IDENTITY, uuid4().bytes) if seed % 2 else b"")
        for _ in range(300):
            size = line.choice((0, 1, 3, 320, 2000))
            kind = line.choice((0x02, 0x03, 0x10, 0x11, 0x16, 0x20, 0x80))
            writer.write(packet(kind, line.randbytes(size)))
        writer.write(line.randbytes(50))
        writer.write_eof()
        while await reader.read(65_536):
            pass
    await server.until(lambda: not server.admission.live)
    assert "server_error" not in server.log.reasons()
    async with call(server) as good:
        await heard(good, GREETING)
