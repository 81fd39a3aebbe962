"""`/docs` shows all of `/openapi.json`, in a browser for which there is no outside."""

from __future__ import annotations

import aiohttp
import pytest
from absent import absent
from browser import Browser, installed
from voice_server import voice_server

pytestmark = pytest.mark.peers


@pytest.fixture
async def browser(tmp_path):
    if not installed():
        absent("Chromium or its driver is not installed: nobody reads the documentation")
    browser = Browser(tmp_path / "profile")
    try:
        await browser.open()
        yield browser
    finally:
        await browser.close()


OUTSIDE = """
return performance.getEntriesByType("resource").filter(one => !one.name.startsWith(origin)).length
"""
FIELDS = """
return [...document.getElementById(arguments[0]).querySelectorAll("tbody td:first-child")]
    .map(cell => cell.textContent)
"""


async def test_all_of_it_is_shown_without_the_outside(browser, speech):
    async with voice_server(speech) as server, aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/openapi.json") as answer:
            document = await answer.json()
        await browser.go(f"{server.url}/docs")
        await browser.until("return document.querySelector('main:not([aria-busy])')")
        operations = [one for path in document["paths"].values() for one in path.values()]
        schemas = document["components"]["schemas"]
        assert await browser.count("main details") == len(operations) + len(schemas)
        for one in operations:
            assert await browser.count(f"#{one['operationId']}") == 1
        shown = await browser.script(FIELDS, "SynthesizeRequest")
        assert shown == list(schemas["SynthesizeRequest"]["properties"])
        told = await browser.script(FIELDS, "post_voice_synthesize")
        assert {"200", "401", "422", "application/json", "x-cost", "Retry-After"} <= set(told)
        text = await browser.script(
            "return document.getElementById('post_voice_transcribe').textContent"
        )
        for part in (
            "multipart/form-data",
            "TranscribeRequestForm",
            "text/event-stream",
            "-F file",
        ):
            assert part in text
        await browser.click("summary")
        await browser.go(f"{server.url}/docs#Preferences")
        assert await browser.until("return document.getElementById('Preferences').open")
        assert "undefined" not in await browser.text("main")
        assert await browser.script(OUTSIDE) == 0
