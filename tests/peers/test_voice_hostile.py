"""Voice work as a hostile client, and odd vendors, would have it: nothing is lost, nobody else
suffers from it."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import numpy as np
import pytest
from voice_server import SECRET, voice_server
from yarl import URL

from telebot.api.voice.shapes import TranscribeRequest
from telebot.api.voice.transcribe import to_hear
from telebot.audio import wav
from telebot.audio.files import Encoder
from telebot.providers.breaker import Breakers
from telebot.providers.clips import Recording, Sound, Transcript
from telebot.providers.failure import Cause
from telebot.providers.pacing import Pacing
from telebot.settings import VendorLimits
from telebot.voice import transcribing
from telebot.voice.attempts import Attempts
from telebot.voice.hearing import Watch, heard
from telebot.voice.preferences import ANYBODY

pytestmark = pytest.mark.peers

HEAR, SAY = "/v1/voice/transcribe", "/v1/voice/synthesize"
TEXT = "The parking lot is behind the building."
HZ = 16_000
FILE = b"--x\r\nContent-Disposition: form-data; name=file"
QUIET = wav.written(bytes(2 * HZ), HZ)


@pytest.fixture(scope="module")
def file(speech) -> bytes:
    async def spoken() -> bytes:
        clips = speech.tts.stream("A table for four, please.", rate_hz=HZ)
        return wav.written(b"".join([clip.pcm16 async for clip in clips]), HZ)

    return asyncio.run(spoken())


def form(data: bytes, **fields: object) -> aiohttp.FormData:
    sent = aiohttp.FormData()
    for field, value in fields.items():
        sent.add_field(field, value if isinstance(value, str) else json.dumps(value))
    sent.add_field("file", data, filename="a", content_type="application/octet-stream")
    return sent


@pytest.mark.parametrize(
    "name", ["model", "file", "extra_headers", "timeout", "stream", "API_KEY", "request_options"]
)
async def test_options_say_nothing_that_the_request_says(speech, name):
    async with voice_server(speech, "openai") as server:
        prefers = {"options": {"openai": {name: "x"}}}
        status, told, _ = await server.post(HEAR, data=form(QUIET, provider=prefers))
        assert (status, told["error"]["param"]) == (400, "provider.options")
        status, told, _ = await server.post(SAY, json={"text": TEXT, "provider": prefers})
        assert (status, told["error"]["param"]) == (400, "provider.options")


@pytest.mark.parametrize("vendor", ["openai", "elevenlabs", "deepgram"])
async def test_an_option_that_no_sdk_knows_is_the_vendors_to_judge(speech, vendor, file):
    async with voice_server(speech, vendor) as server:
        prefers = {"options": {vendor: {"brand_new": "x"}}, "only": [vendor]}
        status, heard, _ = await server.post(HEAR, data=form(file, provider=prefers))
        assert (status, heard["provider"].partition("/")[0]) == (200, vendor)
        asked = {"text": TEXT, "provider": prefers, "stream": False, "format": "pcm"}
        status, _, headers = await server.post(SAY, json=asked)
        assert (status, headers["x-provider"].partition("/")[0]) == (200, vendor)


async def test_a_voices_name_is_no_path_at_the_vendors(speech):
    async with voice_server(speech, "elevenlabs") as server:
        asked = {"text": TEXT, "voice": "../voices/add?x=", "model": "elevenlabs"}
        prefers = {"allow_fallbacks": False}
        status, told, _ = await server.post(SAY, json={**asked, "provider": prefers})
        assert (status, told["error"]["code"]) == (400, "provider_refused")


@pytest.mark.parametrize("field", ["model", "voice"])
async def test_no_line_breaks_into_headers(speech, field):
    async with voice_server(speech, "openai") as server:
        value = "openai/tts-1\r\nx-evil: 1"
        status, told, headers = await server.post(SAY, json={"text": TEXT, field: value})
        assert (status, told["error"]["param"]) == (400, field)
        assert "x-evil" not in headers


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([("language", "en"), ("language[]", "de")], 400),
        ([("language[]", "en"), ("language", "de")], 400),
        ([("include[]", "x")] * 65, 413),
    ],
    ids=["value-list", "list-value", "endless"],
)
async def test_fields_that_come_again(speech, fields, status):
    async with voice_server(speech) as server:
        sent = form(QUIET)
        for name, value in fields:
            sent.add_field(name, value)
        got, told, _ = await server.post(HEAR, data=sent)
        assert got == status, told


@pytest.mark.parametrize(
    "body",
    [
        b"--x\r\nno header\r\n\r\nabc\r\n--x--\r\n",
        FILE + b"\r\nContent-Length: a\r\n\r\nabc\r\n--x--",
        b"--x\r\n" + b"A" * 100_000 + b": b\r\n\r\n\r\n--x--",
        FILE + b"\r\n\r\nabc",
        b"",
        b"no boundary at all",
    ],
    ids=["no-header", "length", "long-header", "cut-off", "empty", "none"],
)
async def test_a_form_that_is_none(speech, body):
    async with voice_server(speech) as server:
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        status, told, _ = await server.post(HEAR, data=body, headers=kind)
        assert 400 <= status < 500, told
        assert server.done == []


async def test_sound_without_words_does_not_close_vendors_to_the_calls(speech):
    """Who sends babble makes every vendor fail; a caller must not pay for it."""
    async with voice_server(speech, "openai") as server:
        babble = wav.written(_babble(), HZ)
        for _ in range(3):
            await server.post(HEAR, data=form(babble, model="openai"))
            await server.post(SAY, json={"text": " ", "model": "openai"})
        _, told = await server.get("/v1/voice/health")
        assert {row["state"] for row in told["providers"]} == {"closed"}


def _babble() -> bytes:
    times = np.arange(2 * HZ) / HZ
    voice = sum(np.sin(2 * np.pi * 130 * n * times) / n for n in range(1, 20))
    return (voice * np.abs(np.sin(2 * np.pi * 3 * times)) * 6000).astype("<i2").tobytes()


async def test_a_vendor_that_was_out_is_tried_again(speech, file):
    async with voice_server(speech, "openai") as server:
        now = [0.0]
        server.voice.router._breakers = Breakers(lambda: now[0])
        server.vendors.fault("openai.stt=500@connect", "openai.stt=500@connect")
        told = [await _who(server, file) for _ in range(3)]
        assert told == ["local"] * 3
        server.vendors.fault()
        now[0] = 60.0
        assert await _who(server, file) == "openai/gpt-transcribe"


async def _who(server, file) -> str:
    _, heard, _ = await server.post(HEAR, data=form(file))
    return heard["provider"]


@pytest.mark.parametrize("error", [ConnectionResetError, asyncio.CancelledError])
async def test_who_leaves_before_the_end_pays_all_the_same(speech, error, monkeypatch):
    """Whoever has read the text so far could else leave before it is written down."""
    async with voice_server(speech) as server:
        offers = [_offer(server, _Grows())]
        monkeypatch.setattr(server.voice.router, "ordered", lambda wish, keys: offers)

        async def show(text: str) -> None:
            raise error

        asked = TranscribeRequest.model_validate({"stream": True})
        recording = Recording(Sound(bytes(2 * HZ), HZ))
        with pytest.raises(error):
            await heard(server.voice, "k", to_hear(asked, recording), Watch(show))
        (done,) = server.done
        assert (done.error, done.provider) == ("cancelled", "v/m")
        assert done.values()["seconds"] == 1.0


async def test_a_place_is_kept_as_long_as_the_voice_speaks(speech):
    async with voice_server(speech, "openai") as server:
        pacing = Pacing({"openai": VendorLimits(concurrent=1)}, time.monotonic)
        server.voice._pacing = pacing
        server.vendors.fault("openai.tts=stall@middle")
        asked = {"text": f"{TEXT} " * 4, "format": "pcm", "model": "openai"}
        async with server.session.post(server.url + SAY, json=asked) as answer:
            await answer.content.read(100)
            (pace,) = list(pacing)
            assert pace.running == 1
        await server.vendors.until(lambda: server.done != [])
        await server.vendors.until(lambda: pace.running == 0)


class _Grows:
    model, abilities, longest_s = "m", frozenset(), 60.0

    async def transcribe(self, recording):
        raise NotImplementedError

    async def partials(self, recording):
        for number in range(500):
            yield f"text {number}"
        await asyncio.sleep(0)
        yield Transcript("whole")


class _Broken(_Grows):
    async def partials(self, recording):
        yield "text"
        raise KeyError("field")


def _offer(server, worker):
    from telebot.voice.offers import Offer

    return Offer("stt", "v", "m", worker, "")


async def test_who_does_not_read_holds_nobody_up(speech):
    """Not the vendor while it reads slowly, not the request's end when it has gone."""
    async with voice_server(speech) as server:
        attempts: Attempts = server.voice.attempts("k")
        done, ended = [], asyncio.Event()
        recording = Recording(Sound(bytes(320), HZ))
        offers = [_offer(server, _Grows())]

        def told(heard: transcribing.Transcribed) -> None:
            done.append(heard)
            ended.set()

        texts = transcribing.stream(recording, offers, attempts, ANYBODY, told)
        assert (await anext(texts)).startswith("text")
        await ended.wait()
        async with asyncio.timeout(5):
            await texts.aclose()
        assert done[0].transcript.text == "whole"


async def test_an_answer_that_makes_our_reading_fail_is_a_failure_of_its_vendor(speech):
    async with voice_server(speech) as server:
        attempts = server.voice.attempts("k")
        done = []
        recording = Recording(Sound(bytes(320), HZ))
        offers = [_offer(server, _Broken()), _offer(server, _Grows())]
        texts = transcribing.stream(recording, offers, attempts, ANYBODY, done.append)
        assert [text async for text in texts]
        assert [made.cause for made in attempts.made] == [Cause.ERROR, None]


async def test_who_goes_away_before_the_answer_stops_the_vendor(speech):
    async with voice_server(speech, "openai") as server:
        server.vendors.fault("openai.tts=stall@middle")
        asked = {"text": "The car park is behind the building. " * 4, "stream": False}
        task = asyncio.create_task(server.post("/v1/voice/synthesize", json=asked))
        await server.vendors.until(lambda: server.vendors.sim.requests)
        task.cancel()
        await server.vendors.until(lambda: server.done != [])
        assert server.done[0].error == "cancelled"


@pytest.mark.parametrize("path", [HEAR, SAY, "/v1/voice/chat", "/v1/voice/intents"])
@pytest.mark.parametrize("depth", [100, 900, 100_000])
async def test_what_is_deeper_than_can_be_walked_is_refused(speech, path, depth):
    options = b'{"a":' * depth + b"1" + b"}" * depth
    body = b'{"text": "x", "provider": {"options": {"a": ' + options + b"}}}"
    async with voice_server(speech) as server:
        headers = {"Content-Type": "application/json"}
        status, told, _ = await server.post(path, data=body, headers=headers)
        assert (status, told["error"]["code"]) == (400, "invalid_json")
        if path == HEAR:
            sent = form(QUIET, provider=b'{"options": {"a": '.decode() + options.decode() + "}}")
            status, told, _ = await server.post(path, data=sent)
            assert status in (400, 413)


async def test_a_file_without_a_byte_is_told_as_such(speech):
    async with voice_server(speech) as server:
        status, told, _ = await server.post(HEAR, data=form(b""))
        assert (status, told["error"]["param"]) == (422, "file")


@pytest.mark.parametrize("path", [HEAR, SAY])
async def test_a_body_that_says_it_is_too_large_is_not_waited_for(speech, path):
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
    async with voice_server(speech) as server:
        url = URL(server.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(head.encode())
        assert b" 413 " in await reader.readline()
        writer.close()


@pytest.mark.parametrize("path", [HEAR, "/v1/audio/transcriptions", "/v1/voice/chat"])
async def test_small_files_of_long_recordings_find_room_or_are_told_to_come_again(speech, path):
    """A minute of silence is some kilobytes of FLAC, and 2.9 MB in memory."""
    encoder = Encoder("flac", 24_000)
    silence = encoder.feed(bytes(60 * 48_000)) + encoder.finish()
    assert len(silence) < 100_000
    async with voice_server(speech, decoded_mb=4) as server:
        room = server.voice.decoded
        other = room.share("somebody else")
        named = {"model": "local"} if "audio" in path else {}
        other.grow(2 << 20)
        status, told, headers = await server.post(path, data=form(silence, **named))
        assert (status, told["error"]["code"]) == (503, "busy")
        assert headers["Retry-After"] == "10"
        assert room.held == 2 << 20  # what was begun is given back
        other.leave()
        status, _, _ = await server.post(path, data=form(silence, **named))
        assert status != 503
        assert room.held == 0
