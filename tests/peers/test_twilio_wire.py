"""Twilio's media streams on real sockets: a call whole, and everything that goes wrong in one."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from edge_server import AUTH_TOKEN, GREETING, edge
from twilio_peer import FRAME, Stream, Twilio, call_sid, start_message

from telebot.web import farewell, media_socket, media_stream

pytestmark = pytest.mark.peers

WIRE = Path(__file__).parent.parent / "wire" / "twilio"


async def _good_call(server, twilio):
    """The next caller is served."""
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        assert stream.played == [GREETING]
        before = len(server.log.endings)
        await stream.stop()
        assert await stream.closed() == 1000
    await server.until(lambda: len(server.log.endings) > before)
    assert server.log.reasons()[-1] == "caller_hangup"
    assert server.admission.live == {}
    assert "1011" not in server.close_codes()


async def test_a_call_from_the_webhook_to_the_record(server, twilio, rest_peer):
    sid, reply = await twilio.call()
    assert reply.status == 200
    assert reply.verbs == ["Connect", "Redirect"]
    assert reply.stream_url == server.url.replace("http", "ws") + "/twilio/media"
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        assert stream.played == [GREETING]
        mark = await stream.next()
        await stream.speak(3)
        await stream.event("mark", mark["mark"])
        await stream.event("dtmf", {"track": "inbound_track", "digit": "5"})
        await stream.event("dtmf", {"track": "inbound_track", "digit": "*"})
        assert (await stream.next())["event"] == "clear"
        [heard] = server.listeners.all
        assert heard.frames == [(FRAME, 20), (FRAME, 40), (FRAME, 60)]
        assert (heard.digits, heard.marks) == (["5", "*"], ["greeting"])
        await stream.stop()
        assert await stream.closed() == 1000
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["caller_hangup"]
    assert heard.over == "caller_hangup"
    assert rest_peer.asked == []  # the caller's own doing
    await _good_call(server, twilio)


async def test_the_token_is_good_once(server, twilio):
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as first:
        await first.next()
        async with twilio.socket(reply.stream_url) as second:
            await second.start(sid, reply.token)
            assert await second.closed() == 1008
        await first.speak()
        await server.until(server.heard)
    assert len(server.listeners.all) == 1


async def test_a_token_of_another_call_lets_nobody_in(server, twilio):
    sid, reply = await twilio.call()
    other, _ = await twilio.call()
    async with twilio.socket(reply.stream_url) as stream:
        await stream.start(other, reply.token)
        await stream.speak()
        assert await stream.closed() == 1008
    async with twilio.stream(sid, reply) as stream:  # and it is not spent
        await stream.next()


@pytest.mark.parametrize("path", sorted((WIRE / "no-token").iterdir()), ids=lambda path: path.stem)
async def test_no_audio_is_handled_without_a_token(server, twilio, path):
    async with twilio.socket(server.url + "/twilio/media") as stream:
        await stream.send(path.read_text())
        await stream.speak()
        assert await stream.closed() == 1008
    assert server.listeners.all == []
    await _good_call(server, twilio)


@pytest.mark.parametrize(
    "path", sorted((WIRE / "closes").glob("*/*.json")), ids=lambda path: path.stem
)
async def test_a_start_that_cannot_be_served_closes_the_socket(server, twilio, path):
    async with twilio.socket(server.url + "/twilio/media") as stream:
        await stream.send(path.read_text())
        assert await stream.closed() == int(path.parent.name)
    await _good_call(server, twilio)


async def test_all_junk_of_the_fixtures_in_one_call(server, twilio):
    """Counted by kind and dropped; the call goes on to its end."""
    sid, reply = await twilio.call()
    paths = sorted((WIRE / "ignored").glob("*/*.json"))
    async with twilio.stream(sid, reply) as stream:
        for path in paths:
            message = path.read_bytes().replace(b"MZ00000000000000000000000000000001", b"%s")
            await stream.socket.send_frame(message.replace(b"%s", stream.sid.encode()), 1)
        await stream.speak(2)
        await server.until(server.heard)
        await stream.stop()
        assert await stream.closed() == 1000
    junk = server.junk()
    for kind in {path.parent.name for path in paths}:
        assert junk[kind] >= len(list((WIRE / "ignored" / kind).iterdir()))
    assert [at_ms for _, at_ms in server.listeners.all[0].frames] == [20, 40]
    await _good_call(server, twilio)


async def test_binary_frames_are_junk(server, twilio):
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.send(b"\x00" * 1000)
        await stream.speak()
        await server.until(server.heard)
    assert server.junk() == {"binary": 1}
    await server.until(lambda: server.log.endings)
    assert [dict(event.fields) for event in server.log.events] == [
        {"frames": 1, "junk": {"binary": 1}}
    ]


async def test_a_plain_request_is_not_a_socket(server, twilio):
    async with twilio.http.get(server.url + "/twilio/media") as response:
        assert response.status == 400
        assert set(await response.json()) == {"error"}


async def test_too_much_junk_ends_the_call(tmp_path, http, rest_peer):
    environ = {"TWILIO_BASE_URL": rest_peer.url}
    async with edge(tmp_path, environ=environ, media__max_junk=5) as server:
        twilio = Twilio(http, server.url, AUTH_TOKEN)
        sid, reply = await twilio.call()
        async with twilio.stream(sid, reply) as stream:
            for _ in range(6):
                await stream.send("{")
            assert await stream.closed() == 1008
        await server.until(lambda: server.log.endings)
        assert server.log.reasons() == ["bad_wire"]
        assert server.listeners.all[0].over == "bad_wire"
        await _good_call(server, twilio)


@pytest.mark.parametrize("message", ["x" * 70_000, b"x" * 70_000, "x" * 2_000_000])
async def test_a_huge_message_is_1009(server, twilio, message):
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        await stream.send(message)
        assert await stream.closed() == 1009
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["bad_wire"]
    await _good_call(server, twilio)


@pytest.mark.parametrize(
    ("frame", "codes"),
    [
        (b"\x83\x80\x00\x00\x00\x00", {1002}),  # an opcode that is none
        (b"\xf1\x80\x00\x00\x00\x00", {1002}),  # reserved bits
        (b"\x88\x81\x00\x00\x00\x00a", {1002}),  # a close of one byte
        (b"\x89\xfe\x00\xff\x00\x00\x00\x00" + b"a" * 255, {1002}),  # a long ping
        (b"\x80\x80\x00\x00\x00\x00", {1002}),  # the rest of nothing
        (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", {1002, 1009}),
    ],
)
async def test_broken_frames_close_with_a_protocol_error(server, twilio, frame, codes):
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        stream.socket.get_extra_info("socket")
        stream.socket._writer.transport.write(frame)  # aiohttp would not send such a thing
        assert await stream.closed() in codes
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["bad_wire"]
    await _good_call(server, twilio)


async def test_a_socket_without_a_start_is_closed_in_time(tmp_path, http):
    async with edge(tmp_path, media__start_timeout_s=0.05) as server:
        twilio = Twilio(http, server.url, AUTH_TOKEN)
        for say in (None, '{"event":"connected"}'):
            async with twilio.socket(server.url + "/twilio/media") as stream:
                if say:
                    await stream.send(say)
                assert await stream.closed() == 1008
        await _good_call(server, twilio)


async def test_a_flood_of_silent_sockets_costs_the_oldest(server, twilio, monkeypatch):
    monkeypatch.setattr(media_socket, "MAX_WAITING", 3)
    url = server.url + "/twilio/media"
    sockets = [await twilio.http.ws_connect(url) for _ in range(4)]
    async with asyncio.timeout(8):  # before the ten seconds that each of them has
        await sockets[0].receive()
    assert sockets[0].close_code == 1008
    await _good_call(server, twilio)
    for waiting in sockets:
        await waiting.close()


async def test_a_peer_that_pings_and_does_not_read_is_cut_off(server, twilio, monkeypatch):
    """Our answers to it fill every buffer, so that not even a close frame finds room."""
    monkeypatch.setattr(farewell, "CUT_AFTER_S", 0.05)
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        transport = stream.socket._writer.transport
        transport.pause_reading()
        transport.write((b"\x89\xfd" + bytes(4) + b"a" * 125) * 200_000)  # 26 MB
        unread = 0
        # the server reads on as long as it can answer
        while unread != (unread := transport.get_write_buffer_size()):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        assert unread
        await twilio.webhook("/twilio/status", {"CallSid": sid, "CallStatus": "completed"})
        await server.until(transport.is_closing)
    assert server.log.reasons() == ["caller_hangup"]
    await _good_call(server, twilio)


async def test_a_ping_that_cannot_be_answered_is_a_lost_stream(server, twilio):
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        transport = stream.socket._writer.transport
        transport.write((b"\x89\x80" + bytes(4)) * 1000)
        transport.abort()
        await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["stream_lost"]
    await _good_call(server, twilio)


async def test_an_idle_stream_is_lost(tmp_path, http, rest_peer):
    environ = {"TWILIO_BASE_URL": rest_peer.url}
    async with edge(tmp_path, environ=environ, media__idle_timeout_s=0.05) as server:
        twilio = Twilio(http, server.url, AUTH_TOKEN)
        sid, reply = await twilio.call()
        async with twilio.stream(sid, reply) as stream:
            assert await stream.closed() == 1001
        await server.until(lambda: server.log.endings)
        assert server.log.reasons() == ["stream_lost"]


@pytest.mark.parametrize("how", ["close", "abort", "half"])
async def test_a_socket_that_goes_without_stop(server, twilio, how):
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        transport = stream.socket._writer.transport
        if how == "close":
            await stream.socket.close()
        elif how == "abort":
            transport.abort()
        else:
            transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
        await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["stream_lost"]
    assert server.listeners.all[0].over == "stream_lost"
    await _good_call(server, twilio)


async def test_a_status_ends_a_call_whose_stop_never_comes(server, twilio, rest_peer):
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        over = {"CallSid": sid, "CallStatus": "completed"}
        assert (await twilio.webhook("/twilio/status", over)).status == 200
        assert await stream.closed() == 1000
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["caller_hangup"]
    assert rest_peer.asked == []


async def test_a_call_whose_stream_never_comes_expires(tmp_path, http):
    async with edge(tmp_path, security__token_life_s=0.01) as server:
        sid, reply = await Twilio(http, server.url, AUTH_TOKEN).call()
        await server.until(lambda: server.log.endings)
        assert server.log.reasons() == ["no_media"]
        async with http.ws_connect(reply.stream_url) as ws:
            await ws.send_str(json.dumps(start_message("MZ1", sid, reply.token)))
            async with asyncio.timeout(30):
                await ws.receive()
            assert ws.close_code == 1008


@pytest.mark.parametrize("where", ["start", "audio", "ended"])
async def test_a_fault_of_ours_ends_that_call_only(server, twilio, where):
    server.listeners.fails = where
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.speak(3)
        if where == "ended":
            await stream.stop()
        assert await stream.closed() == (1000 if where == "ended" else 1001)
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["caller_hangup" if where == "ended" else "server_error"]
    fallback = await twilio.webhook(reply.redirect, {"CallSid": sid})
    assert fallback.verbs == (["Hangup"] if where == "ended" else ["Say", "Hangup"])
    server.listeners.fails = ""
    await _good_call(server, twilio)


async def test_a_peer_that_does_not_read_is_cut_off(server, twilio):
    """And nothing ever waits for it: the sends are plain calls."""
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        stream.socket._writer.transport.pause_reading()
        [heard] = server.listeners.all
        for _ in range(4000):  # 43 MB, more than any kernel buffers
            heard.wire.send_audio(FRAME * 50)
            if not heard.wire.open:
                break
            await asyncio.sleep(0)
        assert not heard.wire.open
        heard.wire.send_audio(FRAME)
        heard.wire.send_mark("late")
        heard.wire.send_clear()
        await heard.wire.close()
        await server.until(lambda: server.log.endings)
        assert server.log.reasons() == ["stalled_peer"]
        stream.socket._writer.transport.abort()
        await _good_call(server, twilio)


async def test_a_burst_in_one_turn_of_the_loop_is_cut_off_too(server, twilio):
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        stream.socket._writer.transport.pause_reading()
        [heard] = server.listeners.all
        for _ in range(4000):
            heard.wire.send_audio(FRAME * 50)
        assert not heard.wire.open
        await server.until(lambda: server.log.endings)
        stream.socket._writer.transport.abort()
    assert server.log.reasons() == ["stalled_peer"]


async def test_sockets_send_without_delay_and_without_compression(server, twilio):
    sid, reply = await twilio.call()
    async with twilio.http.ws_connect(reply.stream_url, compress=15) as ws:
        assert ws.compress == 0
        await ws.send_str(json.dumps(start_message("MZ1", sid, reply.token)))
        await ws.receive()
        [heard] = server.listeners.all
        peer = heard.wire._transport.get_extra_info("socket")
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_going_down_ends_what_is_up(tmp_path, http, rest_peer):
    async with edge(tmp_path, environ={"TWILIO_BASE_URL": rest_peer.url}) as server:
        twilio = Twilio(http, server.url, AUTH_TOKEN)
        sid, reply = await twilio.call()
        idle = await http.ws_connect(reply.stream_url)
        live = await http.ws_connect(reply.stream_url)
        await live.send_str(json.dumps(start_message("MZ1", sid, reply.token)))
        await live.receive()
        closing = asyncio.gather(_read(idle), _read(live))
    assert await closing == [1001, 1001]
    assert server.log.reasons() == ["drained"]
    assert [call for call, _ in rest_peer.asked] == [sid]


async def test_going_down_does_not_wait_for_what_hangs(tmp_path, http, rest_peer, monkeypatch):
    monkeypatch.setattr(media_socket, "PATIENCE_S", 0.05)
    environ = {"TWILIO_BASE_URL": rest_peer.url}
    async with edge(tmp_path, environ=environ, shutdown_s=0.1) as server:
        server.listeners.fails = "hang"
        sid, reply = await Twilio(http, server.url, AUTH_TOKEN).call()
        ws = await http.ws_connect(reply.stream_url)
        stream = Stream(ws)
        await stream.start(sid, reply.token)
        await stream.speak()
        await server.until(server.heard)
        closing = asyncio.create_task(stream.closed())
    assert await closing == 1001
    assert server.log.reasons() == ["drained"]
    assert server.listeners.all[0].over == "drained"


async def test_a_conversation_that_hangs_is_freed(tmp_path, http, rest_peer, monkeypatch):
    monkeypatch.setattr(media_stream, "END_WITHIN_S", 0.05)
    environ = {"TWILIO_BASE_URL": rest_peer.url}
    async with edge(tmp_path, environ=environ, media__idle_timeout_s=0.05) as server:
        server.listeners.fails = "hang"
        twilio = Twilio(http, server.url, AUTH_TOKEN)
        sid, reply = await twilio.call()
        async with twilio.stream(sid, reply) as stream:
            await stream.speak()
            assert await stream.closed() == 1001
        await server.until(lambda: server.log.endings)
        assert server.log.reasons() == ["stream_lost"]
        server.listeners.fails = ""
        await _good_call(server, twilio)


async def test_a_fallback_ends_a_stream_that_only_we_believe_in(server, twilio):
    sid, reply = await twilio.call()
    async with twilio.stream(sid, reply) as stream:
        await stream.next()
        answer = await twilio.webhook(reply.redirect, {"CallSid": sid})
        assert answer.verbs == ["Say", "Hangup"]
        assert await stream.closed() == 1000
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["stream_lost"]


async def _read(ws):
    while not ws.closed:
        await ws.receive()
    return ws.close_code


async def test_nothing_stays_behind(server, twilio):
    await _good_call(server, twilio)
    tasks = len(asyncio.all_tasks())
    for _ in range(20):
        await _good_call(server, twilio)
    assert len(asyncio.all_tasks()) <= tasks
    assert call_sid().startswith("CA")
