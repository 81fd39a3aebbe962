"""The composition root: a whole server from its first part to its last, and back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from telebot import app
from telebot.call import local_access
from telebot.call.errors import ConfigError
from telebot.call.model import CallOffer
from telebot.config_file import SettingsError
from telebot.records.reading import CallFilter
from telebot.settings import Settings, load

pytestmark = pytest.mark.peers

SCRIPTED = {"stt": "scripted", "llm": "scripted", "tts": "scripted", "endpointing": "vad"}
STOP_S = 60.0  # this machine may be busy; nobody waits for it here
SOON_S = 20.0


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The collector's thresholds, which a server sets for its process."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def settings_of(
    folder: Path, http: str = "127.0.0.1:0", data: str = "data", **agent: Any
) -> Settings:
    """A server with one agent of no cost."""
    (folder / "agents").mkdir(exist_ok=True)
    tree = {"speech": SCRIPTED, "phrases": {"greeting": "Hello there."}, **agent}
    (folder / "agents" / "test.yaml").write_text(yaml.safe_dump(tree))
    (folder / "numbers.yaml").write_text('numbers:\n  "*": test\n')
    config = folder / "telebot.yaml"
    config.write_text("server:\n  drain_s: 0.2\n")
    run_files = folder / "run"
    run_files.mkdir(mode=0o700, exist_ok=True)
    overrides = {
        "server.http": http,
        "server.sip": "127.0.0.1:0",
        "server.data": str(folder / data),
    }
    return load(config, {"XDG_RUNTIME_DIR": str(run_files)}, overrides)


def threads() -> set[str]:
    """Those that a server may have started: asyncio's own pool stays for the next."""
    return {one.name for one in threading.enumerate() if not one.name.startswith("asyncio_")}


def sockets() -> int:
    found = 0
    for file in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(file).startswith("socket:")
        except FileNotFoundError:  # the folder's own
            continue
    return found


@asynccontextmanager
async def leaving_nothing() -> AsyncIterator[None]:
    """What runs inside has no task, thread or socket left at its end, or soon after it: a thread
    that was told to end is not always joined. Counted, because a server that goes on outside has
    short tasks that come and go."""

    def left() -> tuple[int, int, int]:
        return len(asyncio.all_tasks()), len(threads()), sockets()

    before = left()
    yield
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SOON_S):
            while any(  # noqa: ASYNC110  (threads tell nobody)
                now > then for now, then in zip(left(), before, strict=True)
            ):
                await asyncio.sleep(0.02)
    now = left()
    assert all(n <= then for n, then in zip(now, before, strict=True)), (before, now, threads())


async def status(url: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status


async def test_a_server_opens_everything_and_closes_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with leaving_nothing():
        # an earlier test's gRPC may still be letting its poller go
        before = {name for name in threads() if "_poll_wrapper" not in name}
        async with app.running(settings) as server:
            url, port = f"http://{server.http}", int(server.http.rpartition(":")[2])
            for path in ("/health/live", "/health/ready", "/metrics", "/openapi.json"):
                assert await status(url + path) == 200, path
            assert await status(url + "/v1/calls") == 401
            key = (settings.server.data / "admin-key").read_text().strip()
            assert await status(url + "/v1/calls", Authorization=f"Bearer {key}") == 200
            assert local_access.discover(port, settings.environ), "telebot call finds it"
            assert threads() > before, "what leaves nothing has had something"
    assert local_access.discover(port, settings.environ) is None
    with pytest.raises(aiohttp.ClientConnectionError):
        await status(f"{url}/health/live")


async def test_what_is_kept_is_there_for_the_next_server(tmp_path: Path) -> None:
    """Keys and phrases; calls that never had a stream have ended with the server."""
    keys = []
    for number in range(2):
        async with app.running(settings_of(tmp_path)) as server:
            names = ("admin-key", "secret.key", "local.key")
            keys.append([(tmp_path / "data" / name).read_text() for name in names])
            if number == 0:
                server.admission.admit(CallOffer("local", "CA1", "+15550001", "+15550002"))
                assert len(server.admission.live) == 1
                continue
            [call] = (await server.archive.reader.page(CallFilter(), 10)).data
            assert call.termination is not None
            assert call.termination.reason == "no_media"
    assert keys[0] == keys[1]
    assert list((tmp_path / "data" / "phrases").iterdir())


async def test_a_start_that_failed_leaves_nothing(tmp_path: Path) -> None:
    """Neither where the port is taken nor where the database cannot be used."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = settings_of(tmp_path, f"127.0.0.1:{taken.getsockname()[1]}")
        async with leaving_nothing():
            with pytest.raises(ConfigError, match="address already in use; name another by --http"):
                async with app.running(settings):
                    pass
    database, aside = settings.server.data / "telebot.db", tmp_path / "telebot.db"
    for file in settings.server.data.glob("telebot.db*"):
        file.unlink()
    database.write_bytes(b"this is no database" * 400)
    async with leaving_nothing():
        with pytest.raises(ConfigError, match="the database cannot be used"):
            async with app.running(settings):
                pass
    database.rename(aside)
    async with app.running(settings) as server:  # the port and the data folder are free again
        assert await status(f"http://{server.http}/health/ready") == 200


@pytest.mark.parametrize(
    ("agent", "says"),
    [
        ({"speech": {"tts": "hal"}}, "no provider 'hal'"),
        ({"agent": {"name": "test", "timezone": "Mars/Olympus"}}, "no zone 'Mars/Olympus'"),
        ({"speech": {"stt": "local", "voice": "x"}}, "speech.voice"),
    ],
)
async def test_an_agent_that_cannot_be_used_stops_the_start(
    tmp_path: Path, agent: dict[str, Any], says: str
) -> None:
    async with leaving_nothing():
        with pytest.raises((ConfigError, SettingsError), match=says):
            async with app.running(settings_of(tmp_path, **agent)):
                pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server(tmp_path: Path, number: signal.Signals) -> None:
    ready = asyncio.Event()
    async with leaving_nothing():
        serving = asyncio.create_task(app.serve(settings_of(tmp_path), lambda _: ready.set()))
        try:
            await asyncio.wait_for(ready.wait(), STOP_S)
            os.kill(os.getpid(), number)
            await asyncio.wait_for(serving, STOP_S)
        finally:
            asyncio.get_running_loop().remove_signal_handler(number)


# --- tests of one server, the last of which drains it ------------------------------------------

together = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[app.Server]:
    thresholds = gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "SILENT_S", 1.0)  # enough for who asks for something
        async with app.running(settings_of(tmp_path_factory.mktemp("together"))) as one:
            yield one
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@together
@pytest.mark.parametrize("said", [b"", b"GET /health/live HTTP/1.1\r\n"], ids=["no", "half a"])
async def test_a_connection_that_makes_no_request_is_closed(
    server: app.Server, said: bytes
) -> None:
    host, _, port = server.http.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(said)
    assert await asyncio.wait_for(reader.read(), SOON_S) == b""
    writer.close()
    await writer.wait_closed()


@together
async def test_a_second_server_on_one_data_folder_is_refused(server: app.Server) -> None:
    async with leaving_nothing():
        with pytest.raises(ConfigError, match="another telebot uses this data folder"):
            async with app.running(server.settings):
                pass
    assert await status(f"http://{server.http}/health/ready") == 200, "the first goes on"


@together
async def test_draining_waits_no_longer_than_it_may(server: app.Server) -> None:
    await asyncio.wait_for(server.drain(), STOP_S)
    assert await status(f"http://{server.http}/health/ready") == 503
    assert await status(f"http://{server.http}/health/live") == 200
