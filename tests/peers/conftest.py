"""Peers that several modules share."""

from __future__ import annotations

import aiohttp
import pytest
from edge_server import AUTH_TOKEN, edge
from twilio_peer import Twilio, rest


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def rest_peer():
    async with rest() as peer:
        yield peer


@pytest.fixture
async def server(tmp_path, rest_peer):
    async with edge(tmp_path, environ={"TWILIO_BASE_URL": rest_peer.url}) as running:
        yield running


@pytest.fixture
def twilio(http, server):
    return Twilio(http, server.url, AUTH_TOKEN)
