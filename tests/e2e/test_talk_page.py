"""The telephone of the console, in Chromium: what a newcomer does after `make run`."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from application import browser
from browser import Browser
from serving import Server, Start

from telebot.audio.resample import resample
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

PAGE_HZ = 48_000
GREETED_S = 6.0  # after which the greeting is over
TALK = "/console/talk"


def key_of(server: Server) -> str:
    return (server.data / "admin-key").read_text().strip()


async def log_in(page: Browser, server: Server, key: str) -> None:
    await page.go(server.url + TALK)
    await page.type("#key", key)
    await page.click("form.login button")
    await page.until("return document.getElementById('talk')?.disabled === false")


async def until_said(page: Browser, pattern: str) -> None:
    await page.until(f"return /{pattern}/i.test(document.getElementById('said').innerText)")


async def test_a_bot_is_spoken_to_in_the_browser(
    server: Server, speech: LocalSpeech, tmp_path: Path
) -> None:
    question = resample((await speech.speak("Are you open on Mondays?")).pcm16, 8000, PAGE_HZ)
    async with browser(tmp_path, (question, PAGE_HZ), GREETED_S) as page:
        await log_in(page, server, key_of(server))
        first = "return document.querySelector('#agent option').textContent"
        assert await page.script(first) == "front-desk"
        await page.click("#talk")
        await until_said(page, "Bot.*Kitchen")
        await until_said(page, "You.*Monday")
        await until_said(page, "Bot.*closed on Mondays.*after \\d+ ms")
        await page.click("#stop")
        await page.until("return document.getElementById('state').innerText.includes('over')")
        await page.click("main a[href='/console/']")
        await page.until("return document.querySelector('table.calls')")
        assert "realtime" in await page.text("tbody tr:first-child")


async def test_who_has_no_microphone_writes(server: Server, tmp_path: Path) -> None:
    async with browser(tmp_path, None) as page:
        await log_in(page, server, key_of(server))
        await page.script("navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error())")
        await page.click("#talk")
        await page.until("return document.getElementById('notice').innerText.includes('write')")
        await page.type("#words", "When are you open? <b>\ue007")  # Enter
        await until_said(page, "You.*<b>")
        await until_said(page, "Bot.*Tuesday to Sunday")
        await page.click("#stop")


async def test_a_server_that_is_known_by_another_address_says_so(
    start: Start, tmp_path: Path
) -> None:
    """Pages of that address alone may talk: here it would be turned away at the socket."""
    server = start(TELEBOT_PUBLIC_URL="https://bot.example.com")
    async with browser(tmp_path, None) as page:
        await log_in(page, server, key_of(server))
        await page.click("#talk")
        notice = "return document.getElementById('notice').innerText"
        told = await page.until(notice)
    assert told.endswith("open https://bot.example.com/console/talk")


async def test_who_may_only_read_may_not_talk(server: Server) -> None:
    """Nor who is not logged in, nor another site's page by who is."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:

        async def asked(method: str, **headers: str) -> int:
            async with http.request(method, server.url + TALK, headers=headers) as answer:
                return answer.status

        async def logged_in(key: str) -> None:
            form = {"key": key}
            async with http.post(f"{server.url}/console/login", data=form) as answer:
                assert answer.status == 200

        assert [await asked("GET"), await asked("POST")] == [401, 401]
        bearer = {"Authorization": f"Bearer {key_of(server)}"}
        wanted = {"name": "reader", "scope": "viewer"}
        url = f"{server.url}/v1/keys"
        async with http.post(url, json=wanted, headers=bearer) as answer:
            reader = (await answer.json())["secret"]
        assert [await asked("GET", **bearer), await asked("POST", **bearer)] == [401, 401]
        await logged_in(reader)
        assert [await asked("GET"), await asked("POST")] == [403, 403]
        await logged_in(key_of(server))
        assert [await asked("GET"), await asked("POST")] == [200, 201]
        async with http.get(server.url + TALK) as answer:
            policy = answer.headers["Content-Security-Policy"]
        assert f"connect-src 'self' {server.url.replace('http', 'ws')} wss:" in policy
        assert await asked("POST", **{"Sec-Fetch-Site": "cross-site"}) == 403
        assert await asked("POST", Origin="https://elsewhere.example") == 403
