"""Genesys's Audio Connector on real sockets: sessions whole, their end, and who may open one."""

from __future__ import annotations

import pytest
from edge_server import GREETING, edge
from pbx_call import calling, heard

from telebot.phone.destination import CannotCall
from telebot.web import media_stream

pytestmark = pytest.mark.peers

API_KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
SECRET = "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
ENVIRON = {"GENESYS_API_KEY": API_KEY, "GENESYS_CLIENT_SECRET": SECRET}


@pytest.fixture
async def connected(tmp_path):
    """The edge, for an integration that it knows."""
    async with edge(tmp_path, environ=ENVIRON) as running:
        yield running


def call(server, secret: str = f"{API_KEY}:{SECRET}", **fields):
    return calling(server.url, "genesys", secret, **fields)


async def test_a_session_from_the_flow_to_the_record(connected):
    async with call(connected, agent="echo", phone_to="+18005551234") as line:
        await heard(line, GREETING)
        await connected.until(connected.heard)
        [listener] = connected.listeners.all
        await line.press("5")
        await line.press("*")  # which has the bot's voice taken back
        await connected.until(lambda: len(listener.digits) == 2)
        await connected.until(lambda: "clear" in [h.name for h in line.stream.happenings])
        stamps = [at_ms for _, at_ms in listener.frames]
        assert stamps == sorted(stamps)
        assert {len(ulaw) for ulaw, _ in listener.frames} == {800}
    await connected.until(lambda: connected.log.endings)
    [(record, ending)] = connected.log.endings
    assert (record.agent, ending.reason) == ("echo", "caller_hangup")
    assert record.offer.phone_to == "+18005551234"
    assert (line.stream.faults, connected.junk()) == ([], {})


async def test_the_bot_asks_for_the_end_and_genesys_makes_it(connected):
    async with call(connected) as line:
        await heard(line, GREETING)
        await line.press("#")
        await connected.until(line.over.is_set)
        assert (line.ended_by, line.stream.hung_up) == ("bot", True)  # closed was answered
        assert (line.stream.reason, line.stream.outputs) == ("completed", {"action": "finished"})
    await connected.until(lambda: connected.log.endings)
    assert connected.log.reasons() == ["bot_hangup"]
    assert line.stream.faults == []


async def test_a_genesys_that_never_ends_it_is_not_waited_for(connected, monkeypatch):
    monkeypatch.setattr(type(connected.carriers.get("genesys").codec(None)), "farewell_s", 0.05)
    async with call(connected) as line:
        await heard(line, GREETING)
        monkeypatch.setattr(line.stream, "_do", lambda *_: [])
        await line.press("#")
        await connected.until(lambda: connected.log.endings)
        await connected.until(line.over.is_set)
        assert line.close_code == media_stream.NORMAL
    assert connected.log.reasons() == ["bot_hangup"]


async def test_a_transfer_is_the_flows(connected):
    carrier = connected.carriers.get("genesys")
    async with call(connected) as line:
        await heard(line, GREETING)
        [listener] = connected.listeners.all
        await carrier.transfer(listener.call, "+441632960003")
        await listener.wire.close()
        await connected.until(line.over.is_set)
        assert line.stream.outputs == {"action": "transfer", "transfer_to": "+441632960003"}


@pytest.mark.parametrize("secret", ["guess", f"{API_KEY}:{SECRET[:-4]}", f"other:{SECRET}"])
async def test_another_key_or_secret_is_refused(connected, secret):
    async with call(connected, secret) as line:
        await connected.until(line.over.is_set)
        assert (line.stream.reason, line.stream.playout.heard().strip(b"\xff")) == (
            "unauthorized",
            b"",
        )
    assert connected.log.calls == []


async def test_behind_a_public_url(tmp_path):
    public = "https://voice.example/base"
    async with (
        edge(tmp_path, environ=ENVIRON, server__public_url=public) as server,
        call(server, public_url=public) as line,
    ):
        await heard(line, GREETING)


async def test_without_its_keys_it_is_off(server):
    with pytest.raises(CannotCall, match="404"):
        async with call(server):
            pass


async def test_a_full_house_gives_the_caller_back(tmp_path):
    async with edge(tmp_path, environ=ENVIRON, max_calls=0) as server:
        async with call(server) as line:
            await server.until(line.over.is_set)
            assert line.stream.reason == "error"
        assert server.log.reasons() == ["capacity"]
