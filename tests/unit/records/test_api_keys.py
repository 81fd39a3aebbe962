"""Keys: what they open, that only hashes are kept, and how the first one comes to be."""

from __future__ import annotations

import errno
import io
import os

import pytest

from telebot.call.errors import ConfigError
from telebot.records.keys import FRESH_S, Keys, NoKey, Scope, WrongScope

pytestmark = pytest.mark.unit


@pytest.fixture
def made(scene):
    def make(**parts) -> Keys:
        return Keys(scene.store, scene.data, scene.time.now, scene.time.clock, **parts)

    return make


async def test_a_key_opens_what_its_scope_says(made):
    keys = made()
    for scope in Scope:
        _, secret = await keys.create(f"the {scope}", scope)
        assert secret.startswith("tb_")
        for wanted in Scope:
            if list(Scope).index(wanted) <= list(Scope).index(scope):
                assert (await keys.check(secret, wanted)).name == f"the {scope}"
            else:
                with pytest.raises(WrongScope):
                    await keys.check(secret, wanted)


@pytest.mark.parametrize("secret", [None, "", "tb_wrong", "x" * 600, "tb_\ud800", "\0"])
async def test_anything_else_opens_nothing(made, secret):
    keys = made()
    await keys.create("one", Scope.ADMIN)
    with pytest.raises(NoKey):
        await keys.check(secret, Scope.VIEWER)


async def test_no_secret_is_kept(made, scene):
    _, secret = await made().create("one", Scope.VIEWER)
    for path in scene.data.rglob("*"):
        assert secret.encode() not in path.read_bytes()


async def test_a_revoked_key_is_dead_at_once_here_and_within_seconds_elsewhere(made, time):
    here, elsewhere = made(), made()
    key, secret = await here.create("one", Scope.VIEWER)
    assert await elsewhere.check(secret, Scope.VIEWER)
    assert await here.revoke(key.id)
    assert not await here.revoke(key.id)
    with pytest.raises(NoKey):
        await here.check(secret, Scope.VIEWER)
    time.pass_(FRESH_S)
    with pytest.raises(NoKey):
        await elsewhere.check(secret, Scope.VIEWER)
    assert (await here.list())[0].revoked_at is not None
    assert await here.by_id(key.id) is None


async def test_the_first_start_writes_an_admin_key_and_later_ones_keep_it(made, scene):
    await made().open()
    path = scene.data / "admin-key"
    secret = path.read_text().strip()
    assert path.stat().st_mode & 0o777 == 0o600
    keys = made()
    await keys.open()
    assert path.read_text().strip() == secret
    assert (await keys.check(secret, Scope.ADMIN)).source == "generated"
    assert len(await keys.list()) == 1


async def test_a_first_start_on_a_full_disk_is_made_up_for_by_the_next(made, scene, monkeypatch):
    class Full(io.TextIOWrapper):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fdopen", lambda descriptor, *_, **__: Full(io.FileIO(descriptor, "w")))
        with pytest.raises(OSError, match="No space left"):
            await made().open()
    keys = made()
    await keys.open()
    secret = (scene.data / "admin-key").read_text().strip()
    assert await keys.check(secret, Scope.ADMIN)
    assert len(await keys.list()) == 1


async def test_a_new_database_takes_the_key_of_the_data_folder(made, scene):
    (scene.data / "admin-key").write_text("tb_from-an-earlier-database\n")
    keys = made()
    await keys.open()
    assert await keys.check("tb_from-an-earlier-database", Scope.ADMIN)


async def test_a_revoked_first_key_stays_revoked(made, scene, time):
    keys = made()
    await keys.open()
    await keys.create("another", Scope.ADMIN)
    (first,) = [key for key in await keys.list() if key.source == "generated"]
    await keys.revoke(first.id)
    again = made()
    await again.open()
    with pytest.raises(NoKey):
        await again.check((scene.data / "admin-key").read_text().strip(), Scope.VIEWER)


async def test_the_operators_own_key_replaces_its_predecessor(made, scene):
    await made(admin_key="the-first-admin-key").open()
    keys = made(admin_key="the-second-admin-key")
    await keys.open()
    assert await keys.check("the-second-admin-key", Scope.ADMIN)
    with pytest.raises(NoKey):
        await keys.check("the-first-admin-key", Scope.VIEWER)
    assert not (scene.data / "admin-key").exists()


@pytest.mark.parametrize("secret", ["has a space in it", "x" * 513, "line\nbreak"])
async def test_an_admin_key_no_header_could_carry_is_refused(made, secret):
    with pytest.raises(ConfigError, match="TELEBOT_ADMIN_KEY"):
        await made(admin_key=secret).open()


async def test_its_use_is_noted_once_a_minute(made, scene, time):
    keys = made(used=scene.log.key_used)
    key, secret = await keys.create("one", Scope.VIEWER)
    for _ in range(5):
        await keys.check(secret, Scope.VIEWER)
    assert scene.log.waiting_rows == 1
    await scene.log.flush()
    assert (await keys.list())[0].last_used_at == time.now()
    time.pass_(61)
    await keys.check(secret, Scope.VIEWER)
    assert scene.log.waiting_rows == 1
    assert key.last_used_at is None
