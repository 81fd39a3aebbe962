"""Keys: what they open, that only hashes are kept, and how the first one comes to be."""

from __future__ import annotations

import errno
import io
import os
from datetime import timedelta

import pytest

from telebot.call.errors import ConfigError
from telebot.records.keys import (
    FRESH_S,
    ExpiredKey,
    Keys,
    NoKey,
    NotChanged,
    Scope,
    Tier,
    WrongScope,
)
from telebot.records.vault import Vault

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


async def test_a_keys_terms_are_kept_and_changed(made, time):
    keys = made()
    until = time.now() + timedelta(days=1)
    key, secret = await keys.create(
        "one", Scope.VIEWER, models=["deepgram/*"], tier=Tier.HIGH, expires_at=until
    )
    found = await keys.check(secret, Scope.VIEWER)
    assert found == key
    assert (found.models, found.tier, found.expires_at) == (("deepgram/*",), Tier.HIGH, until)
    terms = {"models": (), "tier": None, "monthly_budget": 5.0, "name": "two"}
    changed = await keys.change(key.id, terms)
    assert (changed.name, changed.models, changed.tier) == ("two", (), Tier.NORMAL)
    assert (await keys.check(secret, Scope.VIEWER)).monthly_budget == 5.0
    assert await keys.change("nobody", terms) is None


async def test_a_key_whose_time_is_over_opens_nothing(made, time):
    keys = made()
    until = time.now() + timedelta(hours=1)
    key, secret = await keys.create("one", Scope.VIEWER, expires_at=until)
    assert await keys.by_id(key.id)
    time.pass_(3600)
    with pytest.raises(ExpiredKey):
        await keys.check(secret, Scope.VIEWER)
    assert await keys.by_id(key.id) is None


async def test_the_old_secret_opens_through_its_grace_and_no_longer(made, time):
    keys = made()
    key, first = await keys.create("one", Scope.VIEWER)
    second = await keys.rotate(key.id, grace=timedelta(hours=1))
    for secret in (first, second):
        assert (await keys.check(secret, Scope.VIEWER)).id == key.id
    third = await keys.rotate(key.id, grace=timedelta(hours=1))
    with pytest.raises(NoKey):  # only the last one before has a grace
        await keys.check(first, Scope.VIEWER)
    time.pass_(3600)
    with pytest.raises(NoKey):
        await keys.check(second, Scope.VIEWER)
    assert await keys.check(third, Scope.VIEWER)
    fourth = await keys.rotate(key.id, grace=timedelta(hours=1))
    await keys.revoke(key.id)
    for secret in (third, fourth):
        with pytest.raises(NoKey):
            await keys.check(secret, Scope.VIEWER)


async def test_a_renewed_first_key_is_in_its_file_and_the_old_one_stays_dead(made, scene):
    keys = made()
    await keys.open()
    path = scene.data / "admin-key"
    old = path.read_text().strip()
    (first,) = await keys.list()
    secret = await keys.rotate(first.id)
    assert path.read_text().strip() == secret
    assert path.stat().st_mode & 0o777 == 0o600
    again = made()
    await again.open()
    assert len(await again.list()) == 1
    with pytest.raises(NoKey):
        await again.check(old, Scope.VIEWER)


async def test_the_operators_own_key_is_changed_where_it_stands(made):
    keys = made(admin_key="the-first-admin-key")
    await keys.open()
    (key,) = await keys.list()
    with pytest.raises(NotChanged, match="TELEBOT_ADMIN_KEY"):
        await keys.rotate(key.id)


async def test_every_change_is_written_down_without_its_secret(made, scene):
    keys = made()
    key, secret = await keys.create("one", Scope.ADMIN, monthly_budget=3, by="me")
    await keys.change(key.id, {"tier": Tier.LOW}, by="me")
    renewed = await keys.rotate(key.id, by="me")
    with pytest.raises(NotChanged, match="last key of scope admin"):
        await keys.revoke(key.id, by="me", keep_an_admin=True)
    await keys.revoke(key.id, by="")
    rows = await Vault(scene.store, [b"k" * 32], scene.time.now).audited(10)
    told = {row["action"]: row for row in rows}
    assert set(told) == {"key_created", "key_changed", "key_rotated", "key_revoked"}
    assert told["key_created"]["fields"] == {
        "id": key.id, "name": "one", "scope": "admin", "monthly_budget": 3, "tier": "normal"
    }  # fmt: skip
    assert (told["key_changed"]["key_id"], told["key_revoked"]["key_id"]) == ("me", "")
    assert not any(each in str(rows) for each in (secret, renewed))
