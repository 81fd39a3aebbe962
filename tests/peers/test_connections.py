"""Whoever opens many connections and says nothing on them keeps nobody out."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp
import pytest
from edge_server import edge

pytestmark = pytest.mark.peers
HALF = b"GET /health/live HTTP/1.1\r\nX-Never: "
MOST = 20


async def test_the_oldest_on_which_nothing_is_asked_gives_way(tmp_path):
    async with edge(tmp_path, most_connections=MOST) as server:
        address = urlsplit(server.url)
        async with aiohttp.ClientSession() as http:
            # the first connection is in use, the second idle after a request
            socket = await http.ws_connect(f"{server.url}/twilio/media")
            async with http.get(f"{server.url}/health/live") as answer:
                assert answer.status == 200
            silent = []
            for _ in range(3 * MOST):
                reader, writer = await asyncio.open_connection(address.hostname, address.port)
                writer.write(HALF)
                silent.append((reader, writer))
            for reader, _ in silent[:MOST]:
                assert await asyncio.wait_for(reader.read(), 30) == b""  # closed
            async with http.get(f"{server.url}/health/live") as answer:
                assert answer.status == 200
            assert not socket.closed
            await socket.send_str("{}")
            for _, writer in silent:
                writer.close()
            await socket.close()
