"""Peers that several modules share."""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
from absent import absent
from edge_server import AUTH_TOKEN, edge
from postgres import Postgres, programs
from service_line import caller
from twilio_peer import Twilio, rest

from telebot.providers import registry
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


@pytest.fixture(scope="session")
def postgres():
    folder = programs()
    if folder is None:
        absent("PostgreSQL is not installed: the records are tested on SQLite alone")
    server = Postgres(folder)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def database(request):
    """A new, empty database on the run's PostgreSQL."""

    async def make() -> str:
        server = request.getfixturevalue("postgres")
        name = f"db_{uuid4().hex}"
        connection = await asyncpg.connect(server.url(driver=""))
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        return server.url(name)

    return make


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a package as it is installed: a module, and the entry points in its metadata."""

    def install(name, source, points):
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)
        monkeypatch.syspath_prepend(str(tmp_path))
        registry._added.cache_clear()
        names.append(name)

    names = []
    yield install
    registry._added.cache_clear()
    for name in names:
        sys.modules.pop(name, None)
