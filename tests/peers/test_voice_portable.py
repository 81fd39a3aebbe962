"""The configuration out of one server and into another, over real HTTP: whole or not at all."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from datetime import UTC, datetime

import pytest
from aiohttp import ClientSession, web
from sqlalchemy import select

from telebot.api import calls
from telebot.api.voice import portable
from telebot.api.voice.portable import PASSPHRASE, PortableApi
from telebot.providers.breaker import Breakers
from telebot.providers.pacing import Pacing
from telebot.providers.resources import Resources
from telebot.records.archive import Archive
from telebot.records.keys import Scope
from telebot.records.tables import preferences, provider_keys
from telebot.settings import RecordsSettings, VoiceSettings
from telebot.voice.books import Books
from telebot.voice.service import Voice
from telebot.web.auth import Gate
from telebot.web.errors import errors

pytestmark = pytest.mark.peers

ADMIN, PHRASE = "tb_admin-key-of-the-tests", "correct horse battery"
EXPORT, IMPORT = "/v1/voice/config/export", "/v1/voice/config/import"
SECRET = "sk-canary-of-openai-0001"


class Place:
    """A server with nothing but its records and the two endpoints."""

    def __init__(self, archive: Archive, url: str, http: ClientSession) -> None:
        self.archive = archive
        self.url = url
        self.http = http

    async def ask(self, method: str, path: str, key: str = ADMIN, **request):
        headers = {"Authorization": f"Bearer {key}"} | request.pop("headers", {})
        async with self.http.request(method, self.url + path, headers=headers, **request) as told:
            return told.status, await told.json()

    async def export(self, passphrase: str | None = None) -> dict:
        headers = {PASSPHRASE: passphrase} if passphrase else {}
        status, document = await self.ask("GET", EXPORT, headers=headers)
        assert status == 200, document
        return document

    async def put(self, document: dict, **asked):
        data = io.BytesIO(json.dumps({"document": document, **asked}).encode())
        headers = {"Content-Type": "application/json"}
        return await self.ask("POST", IMPORT, data=data, headers=headers)

    async def state(self) -> list:
        async with self.archive.store.reading() as connection:
            rows = [
                *(await connection.execute(select(preferences))),
                *(await connection.execute(select(provider_keys))),
            ]
        keys = [(key.id, key.requests_per_minute) for key in await self.archive.keys.list()]
        return [*rows, *(await self.archive.choices.flags()).items(), *keys]


@pytest.fixture
async def place(http, tmp_path):
    opened = []

    async def made(name: str, url: str = "", secrets: str = "all") -> Place:
        def now() -> datetime:
            return datetime.now(UTC)

        archive = Archive(
            RecordsSettings(database_url=url), tmp_path / name, clock=time.monotonic, now=now,
            admin_key=ADMIN, vault_key=os.urandom(32).hex(),
        )  # fmt: skip
        await archive.open()
        resources = Resources(None, {})
        voice = Voice(
            resources, Breakers(time.monotonic), Pacing({}, time.monotonic),
            VoiceSettings(export_secrets=secrets), Books(resources, "USD", time.monotonic, now),
        )  # fmt: skip
        gate = Gate(archive.keys)
        app = web.Application(middlewares=[errors, gate.middleware])
        calls.setup(app, gate.authorize, PortableApi(archive.portable, voice, gate.who, now))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        opened.append((runner, archive, voice))
        return Place(archive, f"http://127.0.0.1:{runner.addresses[0][1]}", http)

    yield made
    for runner, archive, voice in opened:
        await runner.cleanup()
        await voice.close()
        await archive.close()


async def filled(place: Place) -> str:
    """A key with users, a flag and a provider's key; returns its id."""
    archive = place.archive
    key, _ = await archive.keys.create("shop", Scope.OPERATOR, requests_per_minute=60)
    for user in ("", "anna"):
        await archive.choices.change(key.id, user, lambda _: {"speed": 1.25}, "preferences_stored")
    trial = {"percent": 10.0, "variants": [{"name": "on", "settings": {"speed": 1.5}}]}
    await archive.choices.put_flag("trial", trial, key.id)
    await archive.vault.put(key.id, "openai", SECRET, label="shop", allowed_models=["whisper-1"])
    return key.id


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_from_one_server_to_another(place, kind, database):
    one = await place("one")
    shop = await filled(one)
    document = await one.export(PHRASE)
    assert SECRET not in json.dumps(document)
    assert [(each["masked"], bool(each["secret"])) for each in document["provider_keys"]] == [
        ("…0001", True)
    ]
    other = await place("other", await database() if kind == "postgresql" else "")
    here, _ = await other.archive.keys.create("shop", Scope.OPERATOR)
    document["keys"] = [each for each in document["keys"] if each["id"] == shop]
    asked = {"passphrase": PHRASE, "owners": {shop: here.id}}
    before = await other.state()
    status, told = await other.put(document, dry_run=True, **asked)
    assert (status, told["applied"]) == (200, False)
    assert await other.state() == before
    status, done = await other.put(document, **asked)
    assert (status, done["applied"], done["changes"]) == (200, True, told["changes"])
    assert {(each["section"], each["action"]) for each in done["changes"]} == {
        ("preferences", "add"), ("flags", "add"), ("keys", "change"), ("provider_keys", "add"),
    }  # fmt: skip
    (opened,) = await other.archive.vault.open(here.id)
    assert (opened.secret, opened.key.allowed_models) == (SECRET, ("whisper-1",))
    assert await other.archive.choices.preferences(here.id, "anna") == {"speed": 1.25}
    assert (await other.archive.keys.by_id(here.id)).requests_per_minute == 60
    _, again = await other.put(document, **asked)
    assert again["changes"] == []
    audited = await other.archive.vault.audited(20)
    assert {row["action"] for row in audited} >= {"config_imported", "config_import_changed"}
    assert "anna" not in str(audited)
    assert SECRET not in str(audited)


async def test_without_a_passphrase_secrets_stay(place):
    one = await place("one")
    await filled(one)
    document = await one.export()
    assert [each["secret"] for each in document["provider_keys"]] == [None]
    document["provider_keys"][0]["order"] = 7
    status, told = await one.put(document)
    assert (status, [each["section"] for each in told["changes"]]) == (200, ["provider_keys"])
    document["provider_keys"][0]["label"] = "another"
    status, told = await one.put(document)
    assert (status, told["error"]["code"]) == (422, "invalid_document")
    assert "needs its secret" in told["error"]["message"]


async def test_nobody_reads_anothers_keys_unless_the_operator_wants_a_whole_server_moved(place):
    one = await place("one", secrets="own")
    await filled(one)
    (admin,) = [key for key in await one.archive.keys.list() if key.scope is Scope.ADMIN]
    await one.archive.vault.put(admin.id, "openai", "sk-canary-of-the-admin")
    document = await one.export(PHRASE)
    sealed = {part["owner"] == admin.id: part["secret"] for part in document["provider_keys"]}
    assert (sealed[False], bool(sealed[True])) == (None, True)
    status, told = await one.put(document, passphrase=PHRASE)  # the others keep their own
    assert (status, told["changes"]) == (200, [])


async def test_replace_removes_what_is_not_named(place):
    one = await place("one")
    shop = await filled(one)
    document = await one.export(PHRASE)
    await one.archive.choices.put_flag("later", {"variants": [{"name": "on"}]}, shop)
    await one.archive.choices.change(shop, "ben", lambda _: {"speed": 2.0}, "preferences_stored")
    del document["keys"]
    _, told = await one.put(document, passphrase=PHRASE)
    assert told["changes"] == []
    _, told = await one.put(document, passphrase=PHRASE, mode="replace")
    removed = [(each["section"], each["action"]) for each in told["changes"]]
    assert removed == [("preferences", "remove"), ("flags", "remove")]
    assert await one.archive.choices.preferences(shop, "ben") is None
    assert set(await one.archive.choices.flags()) == {"trial"}


async def test_one_fault_and_nothing_is_written(place):
    one = await place("one")
    shop = await filled(one)
    document = await one.export(PHRASE)
    other = await place("other")
    here, _ = await other.archive.keys.create("shop", Scope.OPERATOR)
    before = await other.state()
    document["keys"] = []
    document["preferences"][0]["preferences"]["model"]["tts"] = "nobody"
    document["provider_keys"][0]["provider"] = "nobody"
    document["preferences"][1]["owner"] = "unknown"
    asked = {"passphrase": PHRASE, "owners": {shop: here.id}}
    status, told = await other.put(document, **asked)
    assert status == 422
    faults = {each["where"] for each in told["error"]["metadata"]["faults"]}
    assert faults == {
        "preferences.0.preferences.model.tts", "preferences.1.owner",
        "provider_keys.0.provider", "provider_keys.0.secret",  # sealed for another provider
    }  # fmt: skip
    assert await other.state() == before


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"version": 2}, "document.version"),
        ({"format": "else"}, "document.format"),
        ({"flags": [{"name": "a", "flag": {"variants": []}}]}, "document.flags.0.flag.variants"),
        ({"flags": [{"name": "a", "flag": {"variants": [{"name": "b"}]}}] * 2}, "flags"),
        ({"more": 1}, "document.more"),
        ({"sealing": {"n": 1 << 30, "r": 8, "p": 1, "salt": "AAAA"}}, "document.sealing"),
    ],
)
async def test_a_document_that_is_none_is_told_with_its_faults(place, change, where):
    one = await place("one")
    await filled(one)
    document = await one.export(PHRASE)
    before = await one.state()
    status, told = await one.put(document | change, passphrase=PHRASE)
    assert (status, told["error"]["code"]) == (422, "invalid_document")
    assert where in {each["where"] for each in told["error"]["metadata"]["faults"]}
    assert await one.state() == before


async def test_another_passphrase_opens_nothing(place):
    one = await place("one")
    await filled(one)
    document = await one.export(PHRASE)
    status, told = await one.put(document, passphrase="another passphrase")
    assert (status, told["error"]["code"]) == (422, "invalid_document")
    status, told = await one.put(document)
    assert (status, told["error"]["metadata"]["faults"][0]["where"]) == (
        422, "provider_keys.0.secret",
    )  # fmt: skip
    status, told = await one.ask("GET", EXPORT, headers={PASSPHRASE: "short"})
    assert status == 400


async def test_many_users_go_out_and_in_off_the_event_loop(place):
    """Calls go on meanwhile: nobody's preferences are looked at by the loop's own thread."""
    one = await place("one")
    shop = await filled(one)
    document = await one.export()
    part = document["preferences"][1]
    document["preferences"] = [{**part, "user": f"user-{at}"} for at in range(3000)]
    threads = set()
    validate, tree = portable._checked, portable.tree

    def noted(name: str) -> None:
        threads.add((name, threading.current_thread() is threading.main_thread()))

    def checked(model, *rest):
        noted(model.__name__)
        return validate(model, *rest)

    def kept(settings):
        noted(type(settings).__name__)
        return tree(settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portable, "_checked", checked)
        patch.setattr(portable, "tree", kept)
        for dry_run in (True, False):
            status, told = await one.put(document, mode="replace", dry_run=dry_run)
            assert (status, told["applied"]) == (200, not dry_run), told
            assert len(told["changes"]) == 3002  # two go
    assert ("PreferencesPart", False) in threads
    assert ("UserPreferences", False) in threads
    assert not {name for name, main in threads if main} & {"PreferencesPart", "UserPreferences"}
    found = {each["user"] for each in (await one.export())["preferences"]}
    assert found == {f"user-{at}" for at in range(3000)}
    for each in document["preferences"][::2]:
        each["preferences"] = {"speed": 1.75}
    status, told = await one.put(document)
    assert (status, {each["action"] for each in told["changes"]}) == (200, {"change"})
    assert len(told["changes"]) == 1500
    assert await one.archive.choices.preferences(shop, "user-2") == {"speed": 1.75}
    assert await one.archive.choices.preferences(shop, "user-1") == {"speed": 1.25}


async def test_an_import_is_bounded_as_all_else_is(place, monkeypatch):
    one = await place("one")
    await filled(one)
    document = await one.export()
    monkeypatch.setattr(portable, "MOST_USERS", 3)
    monkeypatch.setattr(portable, "MOST_FLAGS", 3)
    part, flag = document["preferences"][1], document["flags"][0]
    document["preferences"] = [{**part, "user": f"user-{at}"} for at in range(3)]
    document["flags"] = [{**flag, "name": f"flag-{at}"} for at in range(3)]
    before = await one.state()
    status, told = await one.put(document)  # with those that are there it is one more of each
    assert status == 422
    faults = {each["where"] for each in told["error"]["metadata"]["faults"]}
    assert faults == {"preferences", "flags"}
    assert await one.state() == before
    assert (await one.put(document, mode="replace"))[0] == 200
    broken = {**document, "preferences": [part, *([{}] * 200_000)]}
    status, told = await one.put(broken)
    assert status == 422
    assert told["error"]["metadata"]["faults"][0]["where"] == "document.preferences.1.owner"
    assert len(told["error"]["metadata"]["faults"]) == 50


async def test_admins_alone(place):
    one = await place("one")
    _, secret = await one.archive.keys.create("shop", Scope.OPERATOR)
    assert (await one.ask("GET", EXPORT, secret))[0] == 403
    assert (await one.ask("POST", IMPORT, secret, json={}))[0] == 403
