"""The API of calls over real HTTP, on a SQLite file and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import wave
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from records_server import ADMIN, RecordsServer, records_server

from telebot.api.answers import ErrorAnswer
from telebot.call.errors import ConfigError
from telebot.records.keys import Scope
from telebot.records.store import Store
from telebot.records.tables import metadata

pytestmark = pytest.mark.peers
START = datetime(2026, 11, 20, 19, 0, tzinfo=UTC)
CALL = "/v1/calls/call-1"
KEY = {"Authorization": f"Bearer {ADMIN}"}


@pytest.fixture(params=["sqlite", "postgresql"])
async def records(request, tmp_path, database):
    url = await database() if request.param == "postgresql" else ""
    async with records_server(tmp_path, url) as server:
        yield server


async def get(http, server: RecordsServer, path: str, headers=KEY) -> tuple[int, dict]:
    async with http.get(server.url + path, headers=headers) as response:
        return response.status, await response.json()


async def until_listed(http, server, path: str, wanted) -> dict:
    """The answer as soon as `wanted` of it is true: the writer is a fraction of a second behind."""
    async with asyncio.timeout(30):
        while True:
            status, body = await get(http, server, path)
            if status == 200 and wanted(body):
                return body
            await asyncio.sleep(0.05)


async def test_calls_newest_first_by_pages_and_filters(http, records):
    for n in range(7):
        call = records.open_call(f"call-{n}", START + timedelta(minutes=n), carrier="twilio")
        records.talk(call, [(None, "Good evening.", "Good evening."), ("Hello", "Yes?", "Yes?")])
        records.end_call(call, "silence" if n == 3 else "caller_hangup")
    other = records.open_call("other", START - timedelta(days=1), carrier="telnyx")
    records.end_call(other, "stream_lost")
    await until_listed(http, records, "/v1/calls/other", lambda call: call["state"] == "ended")

    found, cursor = [], ""
    while cursor is not None:
        status, page = await get(http, records, f"/v1/calls?limit=3{cursor and '&cursor='}{cursor}")
        assert status == 200
        found += [call["id"] for call in page["data"]]
        cursor = page["next_cursor"]
    assert found == [f"call-{n}" for n in reversed(range(7))] + ["other"]

    first = (await get(http, records, "/v1/calls?limit=1"))[1]["data"][0]
    assert first["from"] == "+441632960001"
    assert first["started_at"] == "2026-11-20T19:06:00.000Z"
    assert first["termination"] == {"result": "completed", "reason": "caller_hangup"}
    assert (first["duration_s"], first["turn_count"], first["slowest_ms"]) == (59, 2, 640)
    for query, expected in [
        ("carrier=telnyx", ["other"]),
        ("reason=silence", ["call-3"]),
        ("result=failed", ["other"]),
        ("since=2026-11-20T19:05:00Z", ["call-6", "call-5"]),
        ("until=2026-11-20", ["other"]),
        ("since=2026-11-20T20:05:00+01:00&carrier=twilio", ["call-6", "call-5"]),
        ("since=0001-01-01&until=9999-12-31T23:59:59Z&carrier=telnyx", ["other"]),
        ("from=%2B441632960001&carrier=telnyx", ["other"]),
        ("from=+441632960001&carrier=telnyx", ["other"]),
        ("q=HELLO&limit=2", ["call-6", "call-5"]),
        ("state=listening", []),
    ]:
        status, page = await get(http, records, f"/v1/calls?{query}")
        assert (status, [call["id"] for call in page["data"]]) == (200, expected), query


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("cursor=junk", "cursor"),
        ("since=yesterday", "since"),
        ("until=0001-01-01T00:00:00%2B14:00", "until"),
        ("state=bored", "state"),
        ("carrier=", "carrier"),
        ("carrier=%00", "carrier"),
        ("colour=red", "colour"),
        ("limit=1&limit=2", "limit"),
        (f"q={'x' * 129}", "q"),
    ],
)
async def test_a_bad_parameter_is_named_with_the_reason(http, sqlite, query, param):
    status, body = await get(http, sqlite, f"/v1/calls?{query}")
    assert status == 400
    assert body["error"]["type"] == "invalid_request"
    assert body["error"]["param"] == param
    assert body["error"]["message"].startswith(f"{param}: ")


@pytest.fixture
async def sqlite(tmp_path):
    async with records_server(tmp_path) as server:
        yield server


async def test_keys_decide_who_may_do_what(http, sqlite):
    call = sqlite.open_call("call-1", START)
    sqlite.end_call(call)
    await until_listed(http, sqlite, "/v1/calls", lambda page: page["data"])
    _, viewer = await sqlite.archive.keys.create("viewer", Scope.VIEWER)
    for wrong in ({}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer tb_wrong"}):
        for path in ("/v1/calls", "/v1/calls/call-1/recording", "/v1/nothing", "/v1"):
            async with http.get(sqlite.url + path, headers=wrong) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
                told = ErrorAnswer.model_validate(await response.json(), extra="forbid").error
                assert (told.type, told.code, told.param) == ("authentication", "no_key", None)
    reading = {"Authorization": f"bearer {viewer}"}
    assert (await get(http, sqlite, "/v1/calls", reading))[0] == 200
    assert (await get(http, sqlite, "/v1/nothing", reading))[0] == 404
    async with http.delete(f"{sqlite.url}/v1/calls/call-1", headers=reading) as response:
        assert response.status == 403
        assert (await response.json())["error"]["code"] == "wrong_scope"


async def test_a_session_is_its_owners_alone(http, records):
    mine, secret = await records.archive.keys.create("mine", Scope.OPERATOR)
    _, other = await records.archive.keys.create("other", Scope.OPERATOR)
    at = datetime.now(UTC)
    session = records.open_call("session", at, carrier="realtime", key_id=mine.id)
    records.record(session)
    records.use(session, "llm", "local", 5, "tokens_in")
    records.end_call(session)
    records.end_call(records.open_call("call", at))
    await until_listed(
        http, records, "/v1/calls/session", lambda call: call["recording"]["available"]
    )
    url = records.url
    pages = ("", "/recording", "/events")
    for bearer, seen in ((ADMIN, True), (secret, True), (other, False)):
        key = {"Authorization": f"Bearer {bearer}"}
        async with http.get(f"{url}/v1/calls", headers=key) as answer:
            rows = {row["id"] for row in (await answer.json())["data"]}
            assert rows == ({"session", "call"} if seen else {"call"})
        for page in pages:
            async with http.get(f"{url}/v1/calls/session{page}", headers=key) as answer:
                assert (answer.status == 200) is seen, (page, answer.status)
        async with http.get(f"{url}/v1/voice/usage?by=key", headers=key) as answer:
            told = await answer.json()
            assert (mine.id in str(told)) is seen, told
    for bearer, status in ((secret, 200), (other, 404)):
        form = {"key": bearer}
        async with http.post(f"{url}/console/login", data=form, allow_redirects=False) as login:
            worn = {name: morsel.value for name, morsel in login.cookies.items()}
        async with http.get(f"{url}/console/calls/session", cookies=worn) as page:
            assert page.status == status


async def test_one_call_in_full_while_it_is_up_and_after(http, records):
    call = records.open_call("call-1", START)
    records.talk(
        call,
        [
            (
                None,
                "Harbour Street Kitchen, good evening.",
                "Harbour Street Kitchen, good evening.",
            ),
            ("A table for four\0 \ud800 on Friday 🍽", "At what time, please?", "At what"),
        ],
    )
    records.note(call, "booking", party=4, name="Johnson\0")
    live = await until_listed(
        http, records, "/v1/calls/call-1", lambda call: len(call["turns"]) == 2
    )
    assert (live["state"], live["ended_at"], live["termination"]) == ("ringing", None, None)
    assert live["cost"]["total"] is None
    records.end_call(call, "bot_hangup")
    ended = await until_listed(http, records, "/v1/calls/call-1", lambda call: call["ended_at"])
    assert ended["termination"] == {"result": "completed", "reason": "bot_hangup"}
    assert ended["answered_at"] == "2026-11-20T19:00:01.000Z"
    greeting, second = ended["turns"]
    assert greeting["caller_text"] is None
    assert second["caller_text"] == "A table for four ? on Friday 🍽"
    assert (second["bot_text_heard"], second["interrupted"]) == ("At what", True)
    assert second["providers"] == {"stt": "local", "llm": "dialog", "tts": "local"}
    assert second["latency_ms"] == {
        "heard": 640,
        "endpointing": 250,
        "stt": 180,
        "llm_first_token": 20,
        "tts_first_audio": 150,
        "transport": 60,
    }
    assert ended["notes"][0]["kind"] == "booking"
    assert ended["notes"][0]["fields"]["party"] == 4
    assert ended["cost"]["total"] is None  # what the carrier takes is not known
    amounts = {item["kind"]: item["amount"] for item in ended["cost"]["items"]}
    assert amounts == {"carrier": None, "stt": 0, "llm": 0, "tts": 0}
    events = (await get(http, records, "/v1/calls/call-1/events?limit=1"))[1]
    assert events["data"][0]["name"] == "state"
    rest = (await get(http, records, f"/v1/calls/call-1/events?cursor={events['next_cursor']}"))[1]
    assert (len(rest["data"]), rest["next_cursor"]) == (1, None)
    assert records.archive.log.lost_rows == 0


@pytest.mark.parametrize(
    "path", ["/v1/calls/none", "/v1/calls/none/events", "/v1/calls/none/recording", "/v1/calls/%00"]
)
async def test_what_is_not_there_is_404(http, records, path):
    status, body = await get(http, records, path)
    assert (status, body["error"]["code"]) == (404, "no_such_call")


async def test_a_recording_is_heard_whole_and_in_parts(http, sqlite):
    call = sqlite.open_call("call-1", START)
    silent = sqlite.open_call("silent", START)
    sqlite.end_call(silent)
    live = sqlite.archive.recorder.start(call)
    url = f"{sqlite.url}/v1/calls/call-1/recording"
    await until_listed(
        http, sqlite, "/v1/calls/call-1", lambda c: c["recording"]["state"] == "live"
    )
    assert (await get(http, sqlite, "/v1/calls/call-1/recording"))[1]["error"][
        "code"
    ] == "recording_live"
    live.caller(b"\x10" * 8000, 0)
    live.close()
    sqlite.end_call(call)
    await until_listed(http, sqlite, "/v1/calls/call-1", lambda c: c["recording"]["available"])
    async with http.get(url, headers=KEY) as response:
        assert response.content_type == "audio/wav"
        whole = await response.read()
    with wave.open(io.BytesIO(whole)) as file:
        assert (file.getnchannels(), file.getnframes()) == (2, 8000)
    async with http.get(url, headers=KEY | {"Range": "bytes=44-143"}) as response:
        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes 44-143/{len(whole)}"
        assert await response.read() == whole[44:144]
    async with http.get(url, headers=KEY | {"Range": "bytes=99999999-"}) as response:
        assert response.status == 416
    async with http.head(url, headers=KEY) as response:
        assert (response.status, response.content_length) == (200, len(whole))
    status, body = await get(http, sqlite, "/v1/calls/silent/recording")
    assert (status, body["error"]["code"]) == (404, "recording_off")


async def test_deleting_a_call(http, records, tmp_path):
    call = records.open_call("call-1", START)
    records.talk(call, [("Hello", "Yes?", "Yes?")])
    url = f"{records.url}/v1/calls/call-1"
    await until_listed(http, records, "/v1/calls/call-1", lambda call: call["turns"])
    async with http.delete(url, headers=KEY) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (409, "call_live")
    records.record(call)
    records.end_call(call)
    await until_listed(http, records, CALL, lambda c: c["recording"]["available"])
    await until_listed(http, records, CALL, lambda c: c["ended_at"])
    async with http.delete(url, headers=KEY) as response:
        assert response.status == 204
    assert (await get(http, records, "/v1/calls/call-1"))[0] == 404
    assert list(tmp_path.rglob("*.wav")) == []
    async with http.delete(url, headers=KEY) as response:
        assert response.status == 404


async def test_models_and_migrations_agree_on_postgresql(tmp_path, database):
    async with records_server(tmp_path, await database()) as server:

        def differences(connection):
            options = {"compare_type": True}
            return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

        async with server.archive.store.engine.connect() as connection:
            assert await connection.run_sync(differences) == []


async def test_a_database_that_comes_back_has_lost_nothing(http, tmp_path, database, postgres):
    async with records_server(tmp_path, await database()) as server:
        call = server.open_call("call-1", START)
        await until_listed(http, server, "/v1/calls", lambda page: page["data"])
        await asyncio.to_thread(postgres.stop)
        server.talk(call, [("Hello", "Yes?", "Yes?")])
        async with asyncio.timeout(30):
            while True:
                if server.archive.log.failures:
                    break
                await asyncio.sleep(0.05)
        status, body = await get(http, server, "/v1/calls")
        assert (status, body["error"]["code"]) == (503, "records_away")
        server.end_call(call)
        await asyncio.to_thread(postgres.start)
        record = await until_listed(http, server, CALL, lambda call: call["ended_at"])
        assert len(record["turns"]) == 1
        assert server.archive.log.lost_rows == 0


KILLED = """
import asyncio, sys
sys.path[:0] = {path!r}
from datetime import UTC, datetime
from pathlib import Path
from records_server import records_server

async def main():
    async with records_server(Path({data!r}), {url!r}) as server:
        call = server.open_call("call-1", datetime.now(UTC))
        server.talk(call, [(None, "Good evening.", "Good evening.")])
        recording = server.archive.recorder.start(call)
        for n in range(500):
            recording.caller(b"\\x10" * 160, n * 160)
            await asyncio.sleep(0.02)
            if n == 100:
                print("talking", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
async def test_a_killed_server_leaves_one_ending_and_a_recording(http, tmp_path, database, backend):
    url = await database() if backend == "postgresql" else ""
    code = KILLED.format(path=sys.path, data=str(tmp_path), url=url)
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-c", code, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        while await server.stdout.readline() != b"talking\n":
            assert server.returncode is None
    server.send_signal(signal.SIGKILL)
    await server.wait()
    async with records_server(tmp_path, url) as again:
        _, record = await get(http, again, "/v1/calls/call-1")
        assert record["termination"] == {"result": "failed", "reason": "server_crashed"}
        assert len(record["turns"]) == 1
        assert record["recording"]["available"]
        async with http.get(f"{again.url}/v1/calls/call-1/recording", headers=KEY) as response:
            with wave.open(io.BytesIO(await response.read())) as file:
                assert file.getnframes() / 8000 == record["recording"]["duration_s"] > 0


async def test_the_description_names_every_route_there_is(http, sqlite):
    async with http.get(f"{sqlite.url}/openapi.json") as response:
        api = await response.json()
    assert api["openapi"].startswith("3.1")
    described = {(m.upper(), path) for path, methods in api["paths"].items() for m in methods}
    assert ("GET", "/v1/calls/{id}") in described
    async with http.get(f"{sqlite.url}/docs") as response:
        assert response.status == 200
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]


async def test_a_database_that_is_not_there_is_named_without_its_password(tmp_path):
    store = Store("postgresql+asyncpg://telebot:secret@127.0.0.1:1/calls", tmp_path)
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:1/calls: .* cannot be used") as fault:
        await store.open()
    assert "secret" not in str(fault.value)
    await store.close()
