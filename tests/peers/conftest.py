"""Peers that several modules share."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from edge_server import AUTH_TOKEN, edge
from service_line import caller
from twilio_peer import Twilio, rest

from telebot.providers.local_speech import LocalSpeech


@pytest.fixture(scope="session")
def speech():
    """The real models of this machine, which speak and listen for the simulated vendors."""
    loaded = LocalSpeech()
    asyncio.run(loaded.load())
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def spoken(speech):
    """A sentence as a caller says it."""
    return asyncio.run(caller(speech))


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
