"""The carrier of this machine: for this user on loopback, and for nobody else."""

from __future__ import annotations

import os
import stat
from contextlib import AsyncExitStack

import pytest
from edge_server import AUTH_TOKEN, edge
from structlog.testing import capture_logs
from twilio_peer import Twilio, offer

from telebot import app
from telebot.call import local_access
from telebot.call.errors import ConfigError
from telebot.settings import load

pytestmark = pytest.mark.peers


@pytest.fixture
def local(server, http, tmp_path):
    return Twilio(http, server.url, local_access.load_secret(tmp_path))


async def test_a_call_from_this_machine(server, local, rest_peer):
    sid, reply = await local.call("/local/voice?agent=echo")
    assert reply.stream_url == server.url.replace("http", "ws") + "/local/media"
    async with local.stream(sid, reply) as stream:
        await stream.next()
        await stream.event("dtmf", {"track": "inbound_track", "digit": "#"})
        assert await stream.closed() == 1000
    await server.until(lambda: server.log.endings)
    [(call, ending)] = server.log.endings
    assert (call.offer.carrier, call.agent, ending.reason) == ("local", "echo", "bot_hangup")
    assert (await local.webhook(reply.redirect, {"CallSid": sid})).verbs == ["Hangup"]
    assert rest_peer.asked == []


async def test_its_url_is_its_own_whatever_the_public_url_is(tmp_path, http):
    async with edge(tmp_path, server__public_url="https://voice.example/base") as server:
        local = Twilio(http, server.url, local_access.load_secret(tmp_path))
        _, reply = await local.call("/local/voice")
        assert reply.stream_url == server.url.replace("http", "ws") + "/local/media"


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.9", "[::1]:8080"])
async def test_by_any_name_of_this_machine(local, host):
    headers = {"Host": host}
    reply = await local.webhook(
        "/local/voice", offer("CA1"), headers=headers, signed_as=f"http://{host}/local/voice"
    )
    assert reply.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Proto": "http"},
        {"X-Forwarded-Anything": ""},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "127.0.0.1"},
        {"CF-Connecting-IP": "127.0.0.1"},
        {"Host": "voice.example"},
        {"Host": "192.168.1.2:8080"},
        {"Host": "0.0.0.0:8080"},
        {"Host": "localhost.example"},
        {"Host": "127.0.0.1.example"},
    ],
)
async def test_refused_from_elsewhere_even_with_the_secret(server, local, headers):
    host = headers.get("Host", server.url.removeprefix("http://"))
    reply = await local.webhook(
        "/local/voice", offer("CA1"), headers=headers, signed_as=f"http://{host}/local/voice"
    )
    assert reply.status == 403
    assert server.log.calls == []


async def test_a_trusted_proxy_does_not_open_it(tmp_path, http):
    async with edge(tmp_path, server__trusted_proxies="127.0.0.1") as server:
        local = Twilio(http, server.url, local_access.load_secret(tmp_path))
        reply = await local.webhook(
            "/local/voice", offer("CA1"), headers={"X-Forwarded-For": "127.0.0.1"}
        )
        assert reply.status == 403


async def test_refused_without_the_secret(server, http):
    for secret in (AUTH_TOKEN, "", "guess"):
        assert (await Twilio(http, server.url, secret).call("/local/voice"))[1].status == 403


async def test_a_token_of_one_carrier_does_not_open_another(server, local, twilio):
    sid, reply = await local.call("/local/voice")
    async with twilio.socket(server.url + "/twilio/media") as stream:
        await stream.start(sid, reply.token)
        assert await stream.closed() == 1008


@pytest.fixture
def runtime(tmp_path):
    """An environment that names a session's runtime folder."""
    (tmp_path / "run").mkdir(mode=0o700)
    return {"XDG_RUNTIME_DIR": str(tmp_path / "run")}


@pytest.fixture
def ours(tmp_path):
    return tmp_path / "run" / f"telebot-{os.getuid()}"


def test_a_running_server_is_found_by_its_port(runtime, ours, tmp_path):
    assert local_access.discover(4711, runtime) is None
    path = local_access.publish(4711, "the secret", runtime, tmp_path)
    assert (stat.S_IMODE(path.stat().st_mode), path.parent) == (0o600, ours)
    assert stat.S_IMODE(ours.stat().st_mode) == 0o700
    assert local_access.discover(4711, runtime) == "the secret"
    assert local_access.discover(4712, runtime) is None
    local_access.publish(4711, "a newer one", runtime)
    assert local_access.discover(4711, runtime) == "a newer one"
    local_access.withdraw(path)
    local_access.withdraw(path)
    assert local_access.discover(4711, runtime) is None
    assert list(ours.iterdir()) == []


@pytest.mark.parametrize("what", ["file open", "folder open", "link", "junk", "list", "huge"])
def test_what_others_could_have_written_is_not_believed(runtime, ours, what):
    path = local_access.publish(4711, "the secret", runtime)
    if what == "file open":
        path.chmod(0o644)
    elif what == "folder open":
        ours.chmod(0o755)
    elif what == "link":
        path.rename(path.with_suffix(".real"))
        path.symlink_to(path.with_suffix(".real"))
    else:
        path.write_text({"junk": "{", "list": "[]", "huge": '{"secret": "' + "a" * 9999}[what])
    assert local_access.discover(4711, runtime) is None


async def test_a_server_that_cannot_be_announced_serves_all_the_same(
    runtime, ours, tmp_path, monkeypatch
):
    settings = load(environ=runtime, overrides={"server.data": str(tmp_path / "data")})
    ours.mkdir()
    ours.chmod(0o777)
    async with AsyncExitStack() as stack:
        with capture_logs() as lines:
            app._publish(stack, settings, "127.0.0.1:4711")
        assert "open to others" in lines[0]["why"]
    ours.chmod(0o700)
    async with AsyncExitStack() as stack:
        app._publish(stack, settings, "127.0.0.1:4711")
        assert local_access.discover(4711, runtime)
    assert local_access.discover(4711, runtime) is None
    monkeypatch.setattr(local_access, "TEMPORARY", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is a folder"):
        local_access.publish(4711, "the secret", {})
    assert local_access.discover(4711, {}) is None


def test_a_folder_that_is_open_to_others_is_not_written_to(runtime, ours):
    ours.mkdir(mode=0o700)
    ours.chmod(0o777)
    with pytest.raises(ConfigError, match="open to others"):
        local_access.publish(4711, "the secret", runtime)


def test_the_secret_is_made_once_and_only_ours_to_read(tmp_path):
    data = tmp_path / "data"
    secret = local_access.load_secret(data)
    assert local_access.load_secret(data) == secret
    assert len(secret) >= 32
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "local.key").stat().st_mode) == 0o600
    (data / "local.key").chmod(0o644)
    local_access.load_secret(data)
    assert stat.S_IMODE((data / "local.key").stat().st_mode) == 0o600
    (data / "local.key").write_text(" \n")
    with pytest.raises(ConfigError, match="is empty"):
        local_access.load_secret(data)
    with pytest.raises(ConfigError, match="cannot be used"):
        local_access.load_secret(data / "local.key")
