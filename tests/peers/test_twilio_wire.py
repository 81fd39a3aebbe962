"""Twilio as a peer on real sockets: webhooks, streams, hang-ups, and everything that goes wrong."""

from __future__ import annotations

import pytest
from edge_server import GREETING

pytestmark = pytest.mark.peers


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
        assert [at_ms for _, at_ms in heard.frames] == [20, 40, 60]
        assert (heard.digits, heard.marks) == (["5", "*"], ["greeting"])
        await stream.stop()
        assert await stream.closed() == 1000
    await server.until(lambda: server.log.endings)
    assert server.log.reasons() == ["caller_hangup"]
    assert rest_peer.asked == []  # the caller's own doing
