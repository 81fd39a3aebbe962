"""Content filters before a text is spoken: the operator's words, and installed packages."""

from __future__ import annotations

import pytest
from voice_server import voice_server

from telebot.audio import files, resample

pytestmark = pytest.mark.peers

SAY, SPEECH = "/v1/voice/synthesize", "/v1/audio/speech"
PACKAGE = """
import asyncio
from telebot.voice.filters import ALLOW, refuse, replace

class Mild:
    def __init__(self, word):
        self.word = word

    async def judge(self, text, about):
        assert about.owner
        if "break" in text:
            raise OSError("broken")
        if "wait" in text:
            await asyncio.sleep(60)
        if "never" in text:
            return refuse(f"{self.word} is not said")
        return replace(text.replace("cat", "dog")) if "cat" in text else ALLOW

def build(options):
    return Mild(options["word"])
"""
POINT = "[telebot.content_filters]\nmild = mild_filter:build\n"


async def test_an_installed_filter_refuses_and_replaces(speech, installed):
    installed("mild_filter", PACKAGE, POINT)
    wanted = {"packages": {"mild": {"word": "never"}}, "within_s": 0.5}
    async with voice_server(speech, "openai", filters=wanted) as server:
        status, told, _ = await server.post(SAY, json={"text": "I never say so."})
        assert (status, told["error"]["code"]) == (422, "content_refused")
        assert told["error"]["message"] == "text: refused, never is not said."
        assert told["error"]["metadata"] == {"filter": "mild"}
        assert (server.done[-1].error, server.done[-1].cost.amount) == ("content_refused", None)
        ask = {"model": "openai", "input": "The cat is in the garden.", "response_format": "wav"}
        status, sound, headers = await server.post(SPEECH, json=ask)
        assert (status, headers["x-content-filter"]) == (200, "replaced")
        pcm16, rate_hz = files.decoded(sound, longest_s=60)
        at_16k = resample.resample(pcm16, rate_hz, 16_000)
        heard = (await speech.stt.transcribe(at_16k, 16_000)).text.lower()
        assert "dog" in heard
        assert "cat" not in heard
        for text in ("break", "wait"):
            status, told, _ = await server.post(SAY, json={"text": text})
            assert (status, told["error"]["code"]) == (503, "content_filter_failed")
        status, _, headers = await server.post(SAY, json={"text": "Good evening."})
        assert status == 200
        assert "x-content-filter" not in headers


async def test_one_that_fails_open_lets_the_text_be_said(speech, installed):
    installed("mild_filter", PACKAGE, POINT)
    wanted = {"packages": {"mild": {"word": "x"}}, "within_s": 0.2, "on_failure": "open"}
    async with voice_server(speech, filters=wanted) as server:
        for text in ("break", "wait"):
            assert (await server.post(SAY, json={"text": text}))[0] == 200


@pytest.mark.parametrize("form", [{}, {"stream": False}, {"events": True}])
async def test_the_operators_words_hold_for_every_form(speech, form):
    rules = [{"words": ["darn"]}]
    async with voice_server(speech, filters={"rules": rules}) as server:
        status, told, _ = await server.post(SAY, json={"text": "Darn it!", **form})
        assert (status, told["error"]["code"]) == (422, "content_refused")
        assert "arn" not in told["error"]["message"]
