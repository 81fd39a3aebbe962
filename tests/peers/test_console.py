"""The console in a real Chromium: what a reviewer sees, and what a hostile caller cannot do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from absent import absent
from browser import Browser, installed
from records_server import ADMIN, records_server

from telebot.records.keys import Scope

pytestmark = pytest.mark.peers
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
SAID = [
    (None, "Harbour Street Kitchen, good evening.", "Harbour Street Kitchen, good evening."),
    ("Are you open on Mondays?", "We are closed on Mondays, and open otherwise.", "We are closed"),
    (EVIL, f"I heard {EVIL}", f"I heard {EVIL}"),
    ("A table for four", "For when, please?", "For when, please?"),
    ("Friday", "Certainly.", "Certainly."),
]


@pytest.fixture
async def server(tmp_path):
    async with records_server(tmp_path / "data") as server:
        start = datetime.now(UTC) - timedelta(hours=1)
        for n in range(3):
            call = server.open_call(f"call-{n}", start + timedelta(minutes=n), phone_from=EVIL)
            server.talk(call, SAID, slow_turn=3)
            server.note(call, "booking", name=EVIL, party=4)
            server.record(call)
            if n < 2:
                server.end_call(call)
        await server.archive.log.flush()
        async with asyncio.timeout(30):
            while True:
                call = await server.archive.reader.call("call-1")
                if call and call.recording.available:
                    break
                await asyncio.sleep(0.05)
        yield server


@pytest.fixture
async def browser(tmp_path):
    if not installed():
        absent("Chromium or its driver is not installed: nobody looks at the console")
    browser = Browser(tmp_path / "profile")
    try:
        await browser.open()
        yield browser
    finally:
        await browser.close()


async def log_in(browser: Browser, server, key: str = ADMIN) -> None:
    await browser.go(f"{server.url}/console/")
    await browser.type("#key", key)
    await browser.click("form.login button")
    await browser.until("return document.querySelector('table.calls')")


async def test_from_the_list_to_why_the_fourth_turn_was_slow(browser, server):
    await log_in(browser, server)
    assert await browser.count("a.row") == 3
    assert await browser.text("tbody tr:nth-child(2) td:nth-child(7)") == "2.10 s"
    await browser.click("tbody tr:nth-child(2) a.row")  # the first click
    await browser.until("return document.querySelector('.turns')")
    assert await browser.path() == "/console/calls/call-1"
    why = await browser.text("#turn-3 .figures")
    assert why.startswith("2.10 s")
    assert "longest: recognising the last words, 1.40 s" in why
    assert "longest: deciding that the turn was over" in await browser.text("#turn-4 .figures")
    widths = "return [...document.querySelectorAll('#turn-3 rect')].map(r => r.getBBox().width)"
    assert sum(await browser.script(widths)) == pytest.approx(100, abs=0.1)
    await browser.click("#parts-3 summary")  # the second
    assert "1.65 s" in await browser.text("#parts-3 table")


async def test_what_was_heard_and_what_was_cut(browser, server):
    await log_in(browser, server)
    await browser.go(f"{server.url}/console/calls/call-1")
    assert await browser.text("#turn-1 del") == "on Mondays, and open otherwise."
    assert "interrupted" in await browser.text("#turn-1")
    assert await browser.count("#turn-0 del, #turn-3 del") == 0
    assert "completed" in await browser.text(".lead")
    assert "caller hangup" in await browser.text(".lead")
    assert "4" in await browser.text(".note dl")


async def test_a_session_of_a_program_has_no_number(browser, server):
    start = datetime.now(UTC) - timedelta(minutes=1)
    server.open_call("call-9", start, carrier="realtime", phone_from="", phone_to="")
    await server.archive.log.flush()
    await log_in(browser, server)
    assert await browser.text("tbody tr:first-child td:nth-child(2)") == "no telephone"
    assert "withheld" not in await browser.text("main")
    await browser.go(f"{server.url}/console/calls/call-9")
    assert await browser.text("h1") == "Realtime → front-desk"
    assert "realtime" in (await browser.title()).lower()


async def test_a_callers_words_are_never_markup(browser, server):
    await log_in(browser, server)
    pages = ("/console/", "/console/calls/call-1", "/console/calls/call-1/events")
    for path in (*pages, "/console/?q=%3Cscript%3Edocument.title%3D1%3C/script%3E"):
        await browser.go(server.url + path)
        assert "telebot" in await browser.title()
        assert await browser.count("script:not([src]), img, [onerror]") == 0
    await browser.go(f"{server.url}/console/calls/call-1")
    assert EVIL in await browser.text("#turn-2 .caller")
    assert EVIL in await browser.text(".note dl")
    # and if markup did get in, the policy would not run it
    await browser.script(
        "const s = document.createElement('script'); s.textContent = \"document.title='owned'\";"
        "document.body.append(s)"
    )
    assert await browser.title() != "owned"


async def test_the_recording_plays_from_a_turn(browser, server):
    await log_in(browser, server)
    await browser.go(f"{server.url}/console/calls/call-1")
    await browser.until("return document.querySelector('audio').readyState >= 1")
    assert await browser.script("return document.querySelector('audio').duration") == 2
    await browser.click("#turn-2 .seek")
    at = await browser.until("return document.querySelector('audio').currentTime")
    assert at >= 0.8
    played = "return document.querySelector('audio').ended || document.querySelector('.playing')"
    await browser.until(played)


async def test_a_live_call_follows_the_conversation(browser, server):
    await log_in(browser, server)
    await browser.go(f"{server.url}/console/calls/call-2")
    assert "still up" in await browser.text(".facts")
    call = server.open_call("call-3", datetime.now(UTC))
    server.talk(call, SAID[:1])
    server.end_call(call)
    live = server.open_call("call-2", datetime.now(UTC))  # written once, so this changes nothing
    server.end_call(live, "bot_hangup", after_s=5)
    await browser.until("return document.querySelector('.lead').innerText.includes('bot hangup')")


async def test_by_keyboard_alone_and_at_the_width_of_a_phone(browser, server):
    await browser.devtools(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=740,
        deviceScaleFactor=1,
        mobile=True,
    )
    await log_in(browser, server)
    fits = "return document.documentElement.scrollWidth <= innerWidth"
    assert await browser.script(fits)
    await browser.type("body", "jj\ue007")  # Enter
    await browser.until("return location.pathname.startsWith('/console/calls/')")
    assert await browser.path() == "/console/calls/call-1"
    assert await browser.script(fits)


async def test_logging_out_ends_the_session(browser, server):
    await log_in(browser, server)
    assert await browser.script("return document.cookie") == ""  # out of reach of scripts
    await browser.click("header form button")
    await browser.until("return document.querySelector('form.login')")
    await browser.go(f"{server.url}/console/calls/call-1")
    assert await browser.count("form.login") == 1
    assert await browser.count(".turns") == 0


async def test_the_docs_are_readable_without_the_outside(browser, server):
    await browser.go(f"{server.url}/docs")
    await browser.until("return document.querySelector('details')")
    assert "/v1/calls" in await browser.text("main")
    outside = "performance.getEntriesByType('resource').filter(r => !r.name.startsWith(origin))"
    assert await browser.script(f"return {outside}.length") == 0


async def form(http, server, path: str, headers=None, **fields):
    url = f"{server.url}/console/{path}"
    return await http.post(url, data=fields, headers=headers, allow_redirects=False)


async def test_nobody_sees_anything_without_a_session(http, server):
    for path in ("", "calls/call-1", "calls/call-1/events", "calls/call-1/recording"):
        async with http.get(f"{server.url}/console/{path}") as response:
            assert response.status == 401
            assert "Harbour" not in await response.text()
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    for cookie in ("junk", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."):
        headers = {"Cookie": f"telebot_console={cookie}"}
        async with http.get(f"{server.url}/console/", headers=headers) as response:
            assert response.status == 401


async def test_the_session_cookie_and_who_may_send_forms(http, server):
    response = await form(http, server, "login", key=ADMIN, next="/console/calls/call-1?x=1")
    assert response.status == 303
    assert response.headers["Location"] == "/console/calls/call-1?x=1"
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/console" in cookie
    for away in ("https://example.org/", "//example.org/", "/console/\\..//x", "/v1/calls", "junk"):
        response = await form(http, server, "login", key=ADMIN, next=away)
        assert response.headers["Location"] == "/console/"
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://example.org"},
        {"Origin": "http://["},
    ):
        for path in ("login", "logout"):
            response = await form(http, server, path, headers, key=ADMIN)
            assert response.status == 403
            assert "Set-Cookie" not in response.headers
    async with http.post(f"{server.url}/console/login", json={"key": ADMIN}) as response:
        assert response.status == 400


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_login_that_is_not_compressed_as_it_says_is_refused(http, server, caplog, coding):
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": coding}
    url = f"{server.url}/console/login"
    async with http.post(url, data=b"key=never compressed", headers=kind) as response:
        assert response.status == 400
        assert response.headers["Connection"] == "close"
    assert not [record for record in caplog.records if record.name == "aiohttp.server"]


async def test_a_session_dies_with_its_key(http, server):
    key, secret = await server.archive.keys.create("reviewer", Scope.VIEWER)
    response = await form(http, server, "login", key=secret)
    cookie = {"Cookie": response.headers["Set-Cookie"].partition(";")[0]}
    async with http.get(f"{server.url}/console/", headers=cookie) as response:
        assert response.status == 200
    await server.archive.keys.revoke(key.id)
    async with http.get(f"{server.url}/console/", headers=cookie) as response:
        assert response.status == 401


async def test_guessing_is_slowed_down(http, server):
    statuses = []
    for n in range(12):
        response = await form(http, server, "login", key=f"tb_guess-{n}")
        statuses.append(response.status)
    assert statuses == [401] * 10 + [429] * 2


async def test_the_login_page_says_where_the_first_key_is_and_not_what_it_is(http, tmp_path):
    async with records_server(tmp_path / "data", admin_key="") as server:
        secret = (tmp_path / "data/admin-key").read_text().strip()
        async with http.get(f"{server.url}/console/") as response:
            page = await response.text()
        assert str(tmp_path / "data/admin-key") in page
        assert secret not in page
        through_a_proxy = {"X-Forwarded-For": "192.0.2.1"}
        async with http.get(f"{server.url}/console/", headers=through_a_proxy) as response:
            assert str(tmp_path) not in await response.text()
