"""What was used and what it cost, over real HTTP, on a SQLite file and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from records_server import ADMIN, RecordsServer, records_server

from telebot.call.model import UnitPrice
from telebot.providers.clips import Use
from telebot.records.keys import Scope
from telebot.voice.attempts import Attempt
from telebot.voice.done import Done, new_id
from telebot.voice.pricing import Cost

pytestmark = pytest.mark.peers

NOW = datetime.now(UTC)
MONDAY = datetime(2026, 11, 16, 9, 30, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
async def records(request, tmp_path, database):
    url = await database() if request.param == "postgresql" else ""
    async with records_server(tmp_path, url, price=price) as server:
        yield server


def price(kind: str, provider: str, unit: str) -> UnitPrice | None:
    return UnitPrice(0.0001, "USD") if kind == "stt" else None


def work(server: RecordsServer, at: datetime, **changes: object) -> None:
    made = {
        "id": new_id(),
        "at": at,
        "key_id": "one",
        "work": "stt",
        "provider": "deepgram/nova-3",
        "own_key": False,
        "uses": (Use(60.0, "s"),),
        "cost": Cost(Decimal("0.0048"), "USD", True),
        "ms": 400.0,
        "first_ms": None,
        "attempts": (Attempt("deepgram/nova-3", None, "", 400.0, False),),
    }
    server.archive.log.worked(Done(**{**made, **changes}).values())


async def get(http, server: RecordsServer, path: str, key: str = ADMIN) -> dict:
    async with http.get(server.url + path, headers={"Authorization": f"Bearer {key}"}) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def until(http, server, path: str, requests: int, key: str = ADMIN) -> dict:
    """The answer once so much is written down."""
    async with asyncio.timeout(30):
        while True:
            body = await get(http, server, path, key)
            if body.get("total", body)["requests"] == requests:
                return body
            await asyncio.sleep(0.05)


WEEKS = "since=2026-11-09T00:00:00Z&until=2026-11-24T00:00:00Z"


async def test_costs_by_every_period_and_name(http, records):
    for days in (0, 0, 1, 7):
        work(records, MONDAY + timedelta(days=days))
    work(records, MONDAY, provider="deepgram/flux-general-en", cost=Cost(None, "USD", False))
    work(records, MONDAY, provider="openai/tts-1", work="tts", key_id="two",
         uses=(Use(200.0, "characters"),), cost=Cost(Decimal("0.003"), "USD", True))  # fmt: skip
    usage = await until(http, records, f"/v1/voice/usage?by=model&{WEEKS}", 6)
    assert {row["model"]: (row["cost"], row["unknown"]) for row in usage["data"]} == {
        "deepgram/nova-3": (0.0192, 0),
        "deepgram/flux-general-en": (0.0, 1),
        "openai/tts-1": (0.003, 0),
    }
    assert usage["total"]["cost"] == 0.0222
    assert usage["total"]["characters"] == 200
    by_provider = await get(http, records, f"/v1/voice/usage?{WEEKS}")
    assert [row["provider"] for row in by_provider["data"]] == ["deepgram", "openai"]
    report = f"/v1/voice/cost-report?{WEEKS}&by=provider&period="
    days = (await get(http, records, report + "day"))["data"]
    assert [bucket["start"] for bucket in days] == ["2026-11-16", "2026-11-17", "2026-11-23"]
    assert days[0]["total"]["cost"] == 0.0126
    weeks = (await get(http, records, report + "week"))["data"]
    assert [bucket["start"] for bucket in weeks] == ["2026-11-16", "2026-11-23"]
    hours = (await get(http, records, report + "hour"))["data"]
    assert hours[0]["start"] == "2026-11-16T09:00:00"
    months = (await get(http, records, report + "month"))["data"]
    assert [bucket["start"] for bucket in months] == ["2026-11-01"]
    assert months[0]["rows"][0]["cost"] == 0.0192


async def test_calls_cost_too_and_belong_to_an_agent(http, records):
    call = records.open_call("call-1", MONDAY)
    records.talk(call, [(None, "Good evening.", "Good evening.")])
    records.use(call, "stt", "deepgram/nova-3", 30.0, "s")
    records.end_call(call)
    work(records, MONDAY)
    path = f"/v1/voice/usage?by=agent,provider&{WEEKS}"
    usage = await until(http, records, path, 1)
    rows = {(row["agent"], row["provider"]): row for row in usage["data"]}
    assert rows["front-desk", "deepgram"]["cost"] == 0.003
    assert rows["", "deepgram"]["cost"] == 0.0048
    assert usage["total"]["unknown"] >= 1  # the carrier's leg has no price


async def test_own_keys_cost_the_house_nothing(http, records):
    work(records, MONDAY, own_key=True)
    usage = await until(http, records, f"/v1/voice/usage?{WEEKS}", 1)
    assert (usage["total"]["cost"], usage["total"]["unknown"]) == (0.0, 0)
    assert usage["total"]["seconds"] == 60.0


async def test_nobody_sees_the_work_of_others(http, records):
    key, secret = await records.archive.keys.create("a program", Scope.VIEWER)
    work(records, MONDAY, key_id=key.id)
    work(records, MONDAY, key_id="somebody else")
    await until(http, records, f"/v1/voice/usage?{WEEKS}", 2)
    mine = await get(http, records, f"/v1/voice/usage?by=key&{WEEKS}", secret)
    assert [row["key"] for row in mine["data"]] == [key.id]
    report = await get(http, records, f"/v1/voice/cost-report?{WEEKS}", secret)
    assert (report["total"]["requests"], report["alerts"]) == (1, [])
    assert (await get(http, records, f"/v1/voice/analytics?{WEEKS}", secret))["requests"] == 1


async def test_what_kept_sounds_have_saved(http, records):
    work(records, MONDAY)  # did not look for one
    work(records, MONDAY, work="tts", cache="miss")
    saved, free = Cost(Decimal("0.0012"), "USD", True), Cost(Decimal(0), "USD", True)
    for price in (saved, saved, Cost(None, "USD", False)):
        work(records, MONDAY, work="tts", cache="hit", uses=(), cost=free, saved=price)
    told = await until(http, records, f"/v1/voice/analytics?{WEEKS}", 5)
    assert told["cache"] == {"hits": 3, "misses": 1, "hit_rate": 0.75, "saved": 0.0024}
    mine = await get(http, records, f"/v1/voice/cost-report?{WEEKS}")
    assert mine["total"]["cost"] == 0.0096


async def test_how_well_it_went(http, records):
    for ms in range(100, 2100, 100):
        work(records, MONDAY, ms=float(ms), first_ms=ms / 2)
    failed = Attempt("deepgram/nova-3", "server", "", 10.0, False)
    work(records, MONDAY, provider="", uses=(), error="all_providers_failed", attempts=(failed,),
         cost=Cost(None, "USD", False))  # fmt: skip
    work(records, MONDAY, attempts=(failed, Attempt("local", None, "", 1.0, False)),
         provider="local", cost=Cost(Decimal(0), "USD", True))  # fmt: skip
    told = await until(http, records, f"/v1/voice/analytics?{WEEKS}", 22)
    assert (told["failed"], told["fallbacks"]) == (1, 1)
    assert told["success_rate"] == round(21 / 22, 4)
    assert told["errors"] == {"all_providers_failed": 1}
    first = told["data"][0]
    assert (first["provider"], first["done"]) == ("deepgram/nova-3", 20)
    assert (first["p50_ms"], first["p95_ms"], first["first_p50_ms"]) == (1100.0, 2000.0, 550.0)


async def test_a_month_that_will_cost_too_much_is_told(http, records):
    work(records, NOW - timedelta(seconds=5), cost=Cost(Decimal("0.9"), "USD", True))
    path = "/v1/voice/cost-report"
    report = await until(http, records, path, 1)
    assert report["projection"]["cost_so_far"] == 0.9
    now = datetime.now(UTC)
    if now.day < 25:
        assert report["alerts"][0]["level"] == "warning"
    work(records, NOW - timedelta(seconds=4), cost=Cost(Decimal("0.2"), "USD", True))
    report = await until(http, records, path, 2)
    assert [alert["level"] for alert in report["alerts"]] == ["exceeded"]


async def test_a_key_is_warned_of_its_own_budget_where_its_owner_wants_it(http, records):
    key, secret = await records.archive.keys.create("a program", Scope.VIEWER, monthly_budget=0.5)
    spent = {"key_id": key.id, "cost": Cost(Decimal("0.3"), "USD", True)}
    work(records, NOW - timedelta(seconds=5), **spent)
    path = "/v1/voice/cost-report"
    assert (await until(http, records, path, 1, secret))["alerts"] == []
    tree = {"notifications": {"budget": 0.5}}
    await records.archive.choices.change(key.id, "", lambda _: tree, "preferences_stored")
    alerts = (await get(http, records, path, secret))["alerts"]
    told = [(alert["budget"], alert["level"], alert["limit"]) for alert in alerts]
    assert told == [("key", "warning", 0.5)]
    work(records, NOW - timedelta(seconds=4), **spent)
    report = await until(http, records, path, 2, secret)
    assert [alert["level"] for alert in report["alerts"]] == ["exceeded"]


@pytest.mark.parametrize(
    "query",
    ["by=nobody", "period=year", "since=2020-01-01", "since=2026-11-02&until=2026-11-01", "x=1"],
)
async def test_what_cannot_be_asked_is_refused(http, tmp_path, query):
    async with records_server(tmp_path) as records:
        url = f"{records.url}/v1/voice/cost-report?{query}"
        async with http.get(url, headers={"Authorization": f"Bearer {ADMIN}"}) as answer:
            assert answer.status == 400


def trial(server: RecordsServer, variant: str, users: int, *, failing: int = 0, ms: float) -> None:
    """The work of so many users, five requests each, of which the first `failing` users' fail."""
    for user in range(users):
        for number in range(5):
            failed = {"error": "all_providers_failed", "provider": ""} if user < failing else {}
            took = {"ms": ms + user % 7 + number, "work": "tts"}
            at = NOW - timedelta(minutes=user % 50, seconds=number)
            work(server, at, variant=variant, user=f"{variant}{user}", **took, **failed)


async def test_variants_are_compared(http, records):
    trial(records, "new-voice:old", 40, failing=4, ms=400.0)
    trial(records, "new-voice:new,other:on", 40, failing=5, ms=250.0)
    trial(records, "new-voice:new!", 3, failing=3, ms=9000.0)  # put in by hand
    path = "/v1/voice/analytics?by=variant"
    await until(http, records, path, 83 * 5)
    trials = (await get(http, records, path))["trials"]
    assert [(each["flag"], each["kind"]) for each in trials] == [
        ("new-voice", "tts"), ("other", "tts"),
    ]  # fmt: skip
    told = trials[0]
    assert (told["base"], told["complete"]) == ("new", True)
    by = {each["variant"]: each for each in told["variants"]}
    assert {name: (each["users"], each["failed"]) for name, each in by.items()} == {
        "new": (40, 25), "old": (40, 20),
    }  # fmt: skip
    assert by["old"]["ms"]["value"] == pytest.approx(405, abs=1)
    verdicts = {each["metric"]: each["verdict"] for each in told["differences"]}
    noise = "no_difference_shown"
    assert verdicts == {"failure_rate": noise, "ms": "higher", "cost": noise}
    flag = {"variants": [{"name": "old"}, {"name": "new"}]}
    await records.archive.choices.put_flag("new-voice", flag, "admin")
    assert (await get(http, records, path + "&flag=new-voice"))[
        "trials"
    ] == []  # what it was before
    usage = await get(http, records, "/v1/voice/usage?by=variant")
    rows = {row["variant"]: row["requests"] for row in usage["data"]}
    assert rows["new-voice:old"] == 200
    by_user = await get(http, records, "/v1/voice/usage?by=user,kind")
    assert {row["user"]: row["requests"] for row in by_user["data"]}["new-voice:old3"] == 5


async def test_nobody_compares_others_work(http, records):
    _, secret = await records.archive.keys.create("a program", Scope.VIEWER)
    trial(records, "new-voice:old", 3, ms=400.0)
    await until(http, records, "/v1/voice/analytics?by=variant", 15)
    assert (await get(http, records, "/v1/voice/analytics?by=variant", secret))["trials"] == []
