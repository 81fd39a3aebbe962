"""The JavaScript client in Chromium: a page of another origin, its microphone, its loudspeaker."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from application import application, browser, events, played
from realtime_line import KEY, RealtimeLine, Session

pytestmark = pytest.mark.peers

QUESTION = "What are your opening hours?"
ANSWER = "We are open from noon to ten, and closed on Mondays."
HZ = 16_000
PAGE_HZ = 48_000


@pytest.fixture(scope="module")
def voice(speech):
    async def said(text: str, rate_hz: int) -> bytes:
        return b"".join([clip.pcm16 async for clip in speech.tts.stream(text, rate_hz=rate_hz)])

    async def both() -> dict[str, bytes]:
        return {QUESTION: await said(QUESTION, PAGE_HZ), ANSWER: await said(ANSWER, HZ)}

    return asyncio.run(both())


class Answers:
    """Answers once, when somebody was heard and then was not for a second."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.done = False

    async def __call__(self, session: Session, message: Any) -> None:
        if not isinstance(message, bytes) or self.done:
            return
        sound = np.frombuffer(bytes(session.heard), "<i2")
        loud = np.flatnonzero(np.abs(sound) > 1000)
        if loud.size and sound.size - loud[-1] > HZ:
            self.done = True
            await session.play(self.answer, ahead_s=60)  # gaps would be the client's own


async def opened(page, url: str) -> None:
    await page.go(url)
    await page.until("return !!window.client")
    await page.click("#talk")
    await page.until("return client.listening || log.some(({event}) => event === 'failed')")


async def test_a_question_is_asked_and_the_answer_is_heard(speech, voice, tmp_path):
    async with (
        RealtimeLine(Answers(voice[ANSWER])) as line,
        application(line.url, KEY) as app,
        browser(tmp_path, (voice[QUESTION], PAGE_HZ)) as page,
    ):
        await opened(page, app.url)
        done = "return log.some((e) => e.event === 'playback' && !e.playing && e.playedMs > 2000)"
        await page.until(done)
        heard = await page.script("return heard()")
        log = await page.script("return log")
        sound = await played(page)
        await page.script("return client.disconnect()")
        await page.until("return client.state === 'closed'")
        assert await page.script("return client.listening || client.output") is None
    (session,) = line.sessions
    assert line.faults == []
    asked = await speech.stt.transcribe(bytes(session.heard), HZ)
    assert "opening hours" in asked.text.lower()
    answered = await speech.stt.transcribe(sound, HZ)
    assert "closed on monday" in answered.text.lower()
    assert heard["samples"] == len(voice[ANSWER]) // 2
    assert heard["loudest"] > 0.1
    played_ms = events(log, "playback")[-1]["playedMs"]
    assert played_ms == pytest.approx(len(voice[ANSWER]) / 2 / HZ * 1000, abs=5)
    assert [e["playing"] for e in events(log, "playback")] == [True, False]  # not one gap
    assert events(log, "error") + events(log, "dropped") == []


async def test_clear_empties_the_loudspeaker_at_once(voice, tmp_path):
    async def scene(session: Session, message: Any) -> None:
        if message is None:
            await session.play(voice[ANSWER])
        elif isinstance(message, dict) and message["type"] == "text":
            await session.say("clear")

    async with (
        RealtimeLine(scene) as line,
        application(line.url, KEY) as app,
        browser(tmp_path, None) as page,
    ):
        await opened(page, app.url)
        await page.until("return log.some((e) => e.event === 'playback' && e.playing)")
        await page.script("client.sendText('stop')")
        await page.until("return log.some((e) => e.event === 'playback' && !e.playing)")
        log = await page.script("return log")
        sent_ms = await page.script("return heard().samples / 16")
    assert events(log, "playback")[1]["playedMs"] < sent_ms


async def test_a_page_that_nobody_touched_plays_after_the_first_click(voice, tmp_path):
    async def scene(session: Session, message: Any) -> None:
        if message is None:
            await session.play(voice[ANSWER])

    async with (
        RealtimeLine(scene) as line,
        application(line.url, KEY) as app,
        browser(tmp_path, None) as page,
    ):
        await page.go(f"{app.url}/#untouched")
        await page.until("return window.log?.some((e) => e.event === 'playback' && e.blocked)")
        await page.until(f"return heard().samples === {len(voice[ANSWER]) // 2}")
        assert await page.script("return client.output.context.state") == "suspended"
        await page.click("#talk")
        await page.until("return log.some((e) => e.event === 'playback' && e.playing)")
        await page.until("return !log.findLast((e) => e.event === 'playback').playing")
        last = events(await page.script("return log"), "playback")[-1]
    assert last["blocked"] is False
    assert 1500 < last["playedMs"] <= 2000  # the youngest of it, not what was said long ago


WAYS = {
    "the server's own file": (None, {}),
    "a blob": ("blob:", {}),
    "data": ("data:", {}),
    "a copy of the page's own": ("", {"workletUrl": "./telebot-client.js"}),
}


async def test_the_worklet_loads_by_what_the_pages_policy_allows(tmp_path):
    async with RealtimeLine(Answers(b"")) as line, browser(tmp_path, None) as page:
        for way, (scripts, options) in WAYS.items():
            async with application(line.url, KEY, scripts, **options) as app:
                await opened(page, app.url)
                assert await page.script("return client.listening"), way
        async with application(line.url, KEY, "") as app:
            await opened(page, app.url)
            log = await page.script("return log")
            for told in (*events(log, "failed"), *events(log, "error")):
                assert told["code"] == "unsupported"
                assert "workletUrl" in told["message"]
            assert len(events(log, "failed")) == len(events(log, "error")) == 1
            assert await page.script("return client.state") == "ready"  # the rest works


async def test_a_page_without_a_microphone_is_told_and_hears_on(tmp_path):
    async with (
        RealtimeLine(Answers(b"")) as line,
        application(line.url, KEY) as app,
        browser(tmp_path, None, allowed=False) as page,
    ):
        await page.devtools(
            "Browser.setPermission", permission={"name": "microphone"}, setting="denied"
        )
        await opened(page, app.url)
        (failed,) = events(await page.script("return log"), "failed")
        assert failed["code"] == "microphone"
        assert await page.script("return client.state") == "ready"
        assert await page.script("return client.listening") is False


async def test_what_is_opened_is_closed_however_often(tmp_path):
    async with (
        RealtimeLine(Answers(b"")) as line,
        application(line.url, KEY) as app,
        browser(tmp_path, None) as page,
    ):
        await opened(page, app.url)
        for n in range(1, 6):
            await page.script("window.context = client.output.context; client.disconnect()")
            await page.until("return client.state === 'closed' && context.state === 'closed'")
            stopped = "return log.filter((e) => e.event === 'listening' && !e.listening).length"
            assert await page.script(stopped) == n
            await page.click("#talk")
            await page.until("return client.listening")
    assert line.faults == []
    assert len(line.sessions) == 6


async def test_a_page_that_lost_its_line_comes_back_and_listens_on(tmp_path):
    heard_again = asyncio.Event()

    async def scene(session: Session, message: Any) -> None:
        if len(session.heard) > HZ and len(line.sessions) == 1:
            session.cut()
        elif len(session.heard) > HZ:
            heard_again.set()

    async with (
        RealtimeLine(scene) as line,
        application(line.url, KEY, reconnect={"firstDelayMs": 50}) as app,
        browser(tmp_path, None) as page,
    ):
        await opened(page, app.url)
        await page.until("return log.filter(({event}) => event === 'ready').length === 2")
        async with asyncio.timeout(30):
            await heard_again.wait()
        assert await page.script("return client.listening")
    assert app.tokens == 2
