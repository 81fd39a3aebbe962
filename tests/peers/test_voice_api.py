"""`/v1/voice`: recordings to text and texts to sound, by whoever can."""

from __future__ import annotations

import asyncio
import base64
import io
import json

import aiohttp
import pytest
from voice_server import SECRET, voice_server

from telebot.audio import files, resample, wav
from telebot.audio.files import FORMATS

pytestmark = pytest.mark.peers

SENTENCE = "I would like to book a table for four people."
TEXT = "The car park is behind the building."
HZ = 16_000
HEAR, SAY = "/v1/voice/transcribe", "/v1/voice/synthesize"


@pytest.fixture(scope="module")
def recording(speech):
    async def spoken() -> bytes:
        clips = [clip.pcm16 async for clip in speech.tts.stream(SENTENCE, rate_hz=HZ)]
        return b"".join(clips)

    return asyncio.run(spoken())


@pytest.fixture(scope="module")
def file(recording):
    return wav.written(recording, HZ)


def form(data: bytes, name: str = "audio.wav", **fields: object) -> aiohttp.FormData:
    sent = aiohttp.FormData()
    for field, value in fields.items():
        sent.add_field(field, value if isinstance(value, str) else json.dumps(value))
    sent.add_field("file", io.BytesIO(data), filename=name, content_type="application/octet-stream")
    return sent


async def words(speech, pcm16: bytes, rate_hz: int) -> str:
    at_16k = resample.resample(pcm16, rate_hz, HZ)
    return (await speech.stt.transcribe(at_16k, HZ)).text.lower()


async def test_this_machine_hears_and_speaks_without_an_account(speech, file):
    async with voice_server(speech) as server:
        status, heard, _ = await server.post(HEAR, data=form(file))
        assert (status, heard["provider"]) == (200, "local")
        assert "table for four" in heard["text"].lower()
        assert heard["usage"]["cost"] == 0
        assert heard["attempts"] == [{**heard["attempts"][0], "cause": None, "provider": "local"}]
        status, sound, headers = await server.post(SAY, json={"text": TEXT, "format": "wav"})
        assert (status, headers["x-provider"]) == (200, "local")
        pcm16, rate_hz = files.decoded(sound, longest_s=60)
        assert "behind the building" in await words(speech, pcm16, rate_hz)
        assert [done.work for done in server.done] == ["stt", "tts"]
        assert server.done[0].key_id == "id"


async def test_the_same_recording_in_every_form(speech, recording, file):
    async with voice_server(speech) as server:
        texts = set()
        for kind in ("wav", "mp3", "opus", "flac", "mulaw", "alaw"):
            encoder = files.Encoder(kind, HZ)
            data = encoder.feed(recording) + encoder.finish()
            media = encoder.media_type if kind in ("mulaw", "alaw") else ""
            status, heard, _ = await server.post(HEAR, data=form(data, media_type=media))
            assert status == 200, kind
            assert "table for four" in heard["text"].lower(), kind
            texts.add(heard["text"])
        packed = base64.b64encode(file).decode()
        for audio in (packed, f"data:audio/wav;base64,{packed}"):
            _, heard, _ = await server.post(HEAR, json={"audio": audio, "normalize": True})
            assert "table for four" in heard["text"].lower()


@pytest.mark.parametrize(
    ("sent", "status", "param"),
    [
        ({"json": {}}, 400, "audio"),
        ({"json": {"audio": "%%"}}, 400, "audio"),
        ({"json": {"audio": "AAAA"}}, 422, "audio"),
        ({"json": {"audio": "AAAA", "url": "http://x"}}, 400, "audio"),
        ({"json": {"url": "http://127.0.0.1/x"}}, 400, "url"),
        ({"json": {"audio": "AAAA", "speed": 2}}, 400, "speed"),
        ({"json": {"audio": "AAAA", "provider": {"order": 1}}}, 400, "provider.order"),
        ({"data": b"no audio"}, 422, "file"),
        ({"data": b"x" * (2 << 20)}, 413, None),
        ({"data": b"plain", "headers": {"Content-Type": "text/plain"}}, 415, None),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, None),
    ],
)
async def test_what_cannot_be_heard_is_refused_with_its_reason(speech, sent, status, param):
    async with voice_server(speech, max_upload_mb=1) as server:
        if "data" in sent and "headers" not in sent:
            sent = {"data": form(sent["data"])}
        got, told, _ = await server.post(HEAR, **sent)
        assert (got, told["error"]["param"]) == (status, param)
        assert server.done == []


async def test_a_vendor_that_fails_is_followed_by_the_next(speech, file):
    async with voice_server(speech, "openai") as server:
        server.vendors.fault("openai.stt=500@connect", "openai.tts=500@connect")
        status, heard, _ = await server.post(HEAR, data=form(file))
        assert (status, heard["provider"]) == (200, "local")
        assert [made["cause"] for made in heard["attempts"]] == ["server", None]
        status, _, headers = await server.post(SAY, json={"text": TEXT, "stream": False})
        assert (status, headers["x-provider"], headers["x-attempts"]) == (200, "local", "2")


async def test_a_vendor_that_hears_nothing_in_loud_speech_is_followed_by_the_next(speech, file):
    async with voice_server(speech, "openai") as server:
        prefers = {"options": {"openai": {"response_format": "text"}}}  # text, not what was asked
        status, heard, _ = await server.post(HEAR, data=form(file, provider=prefers))
        assert (status, heard["provider"]) == (200, "local")
        assert heard["attempts"][0]["cause"] == "error"


async def test_nobody_else_is_asked_where_that_is_not_wanted(speech, file):
    async with voice_server(speech, "openai") as server:
        server.vendors.fault("openai.stt=429@connect")
        prefers = {"allow_fallbacks": False}
        status, told, headers = await server.post(HEAR, data=form(file, provider=prefers))
        assert (status, told["error"]["code"]) == (429, "rate_limited")
        assert int(headers["Retry-After"]) > 0
        attempts = told["error"]["metadata"]["attempts"]
        assert [made["provider"] for made in attempts] == ["openai/gpt-transcribe"]
        assert server.done[0].error == "rate_limited"


async def test_errors_are_problem_details_for_who_asks(speech):
    async with voice_server(speech) as server:
        status, problem, headers = await server.post(
            SAY, json={"text": ""}, headers={"Accept": "application/problem+json"}
        )
        assert headers["Content-Type"].startswith("application/problem+json")
        assert (problem["status"], problem["param"]) == (status, "text")
        assert problem["type"] == "urn:telebot:error:invalid_parameter"


async def test_the_text_is_shown_while_it_grows(speech, file):
    async with voice_server(speech, "openai") as server:
        _, body, headers = await server.post(HEAR, data=form(file, stream="true"))
        assert headers["Content-Type"].startswith("text/event-stream")
        events = [event.split(b"\n", 1) for event in body.strip().split(b"\n\n")]
        names = [name.removeprefix(b"event: ").decode() for name, _ in events]
        assert names[-1] == "done"
        assert set(names[:-1]) == {"partial"}
        answer = json.loads(events[-1][1].removeprefix(b"data: "))
        assert "table for four" in answer["text"].lower()
        assert answer["provider"] == "openai/gpt-transcribe"
        assert answer["usage"]["cost"] > 0


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("stream", [True, False])
async def test_every_form_of_sound(speech, kind, stream):
    async with voice_server(speech) as server:
        asked = {"text": TEXT, "format": kind, "stream": stream}
        status, sound, headers = await server.post(SAY, json=asked)
        assert status == 200
        rate_hz = int(headers["x-sample-rate"])
        pcm16 = sound
        if kind != "pcm":
            pcm16, rate_hz = files.decoded(sound, headers["Content-Type"], longest_s=60)
        assert "behind the building" in await words(speech, pcm16, rate_hz)


async def test_sound_as_events(speech):
    async with voice_server(speech) as server:
        asked = {"text": TEXT, "format": "pcm", "sample_rate": HZ, "events": True}
        _, body, _ = await server.post(SAY, json=asked)
        events = [event.split(b"\ndata: ", 1) for event in body.strip().split(b"\n\n")]
        pieces = [json.loads(data) for name, data in events if name == b"event: audio"]
        sound = b"".join(base64.b64decode(piece["audio"]) for piece in pieces)
        assert "behind the building" in await words(speech, sound, HZ)
        done = json.loads(events[-1][1])
        assert (events[-1][0], done["provider"]) == (b"event: done", "local")


async def test_a_stream_that_breaks_is_no_whole_answer(speech):
    async with voice_server(speech, "openai") as server:
        server.vendors.fault("openai.tts=drop@middle")
        asked = {"text": f"{TEXT} " * 4, "format": "pcm"}
        with pytest.raises(aiohttp.ClientError):
            await server.post(SAY, json=asked)
        status, _, headers = await server.post(SAY, json={**asked, "stream": False})
        assert (status, headers["x-provider"]) == (200, "local")
        assert server.done[0].error


async def test_who_goes_away_stops_the_vendor(speech):
    async with voice_server(speech, "openai") as server:
        server.vendors.fault("openai.tts=stall@middle")
        asked = {"text": f"{TEXT} " * 4, "format": "pcm"}
        async with server.session.post(server.url + SAY, json=asked) as answer:
            await answer.content.read(100)
        await server.vendors.until(lambda: server.done != [])
        assert server.done[0].error == "cancelled"


async def test_who_could_do_it_and_how_they_are(speech, file):
    async with voice_server(speech, "openai") as server:
        await server.post(HEAR, data=form(file))
        status, page = await server.get("/v1/voice/providers")
        assert status == 200
        rows = {row["id"]: row for row in page["data"]}
        assert len(rows) == len(page["data"]) >= 40
        assert rows["local"]["available"]
        assert rows["openai-stt"]["available"]
        assert rows["openai-stt"]["health"][0]["successes"] == 1
        assert not rows["deepgram"]["available"]
        assert rows["playht"]["status"] == "retired"
        assert rows["openai-stt"]["models"][0]["price"]["sources"]
        assert rows["openai-stt"]["models"][0]["price"]["as_of"]
        assert rows["openai-stt"]["health"][0]["throughput"] > 0
        whisper = next(m for m in rows["openai-stt"]["models"] if m["id"] == "openai/whisper-1")
        assert whisper["languages"] == "98"
        sessions = rows["openai-realtime"]
        assert (sessions["available"], sessions["serves"]) == (True, ["realtime"])
        assert not rows["elevenlabs-agents"]["available"]
        assert not rows["azure"]["available"]
        _, page = await server.get("/v1/voice/models?provider=openai-stt")
        assert {row["kind"] for row in page["data"]} == {"stt"}
        _, page = await server.get("/v1/voice/voices")
        assert {row["provider"] for row in page["data"]} == {"local", "openai"}
        status, told = await server.get("/v1/voice/voices?provider=nobody")
        assert (status, told["error"]["code"]) == (404, "provider_not_found")


@pytest.mark.parametrize("path", [HEAR, SAY, "/v1/voice/providers", "/v1/audio/speech"])
async def test_nothing_without_a_key(speech, path):
    async with voice_server(speech) as server, aiohttp.ClientSession() as nobody:
        method = "GET" if "providers" in path else "POST"
        async with nobody.request(method, server.url + path) as answer:
            assert answer.status == 401


async def test_health_with_and_without_a_key(speech, file):
    async with voice_server(speech, "openai") as server, aiohttp.ClientSession() as nobody:
        async with nobody.get(f"{server.url}/v1/voice/health") as answer:
            assert await answer.json() == {"status": "up", "providers": None}
        server.vendors.fault("openai.stt=401@connect")
        await server.post(HEAR, data=form(file))
        _, told = await server.get("/v1/voice/health")
        assert told["status"] == "degraded"
        state = {row["model"]: row["state"] for row in told["providers"] if row["kind"] == "stt"}
        assert state["gpt-transcribe"] == "open"


async def test_a_server_of_the_operators_own_is_a_provider(speech, file):
    async with voice_server(speech) as other:
        mine = {
            "base_url": f"{other.url}/v1",
            "api_key_env": "MINE_KEY",
            "transcribe": "local",
            "speak": "local",
        }
        environ = {"MINE_KEY": SECRET}
        async with voice_server(speech, environ=environ, servers={"mine": mine}) as server:
            status, heard, _ = await server.post(HEAR, data=form(file, model="mine"))
            assert (status, heard["provider"]) == (200, "mine/local")
            assert "table for four" in heard["text"].lower()
            assert heard["usage"]["cost"] is None  # nobody knows
            status, _, headers = await server.post(SAY, json={"text": TEXT, "model": "mine"})
            assert (status, headers["x-provider"]) == (200, "mine/local")
            assert "x-cost" not in headers
            rows = {row["id"]: row for row in (await server.get("/v1/voice/providers"))[1]["data"]}
            assert rows["mine"]["serves"] == ["stt", "tts"]
            assert len(other.done) == 2


async def test_a_package_of_the_users_own_is_a_provider(speech, file, installed):
    installed("acme_voice", ACME, "[telebot.transcribers]\nacme = acme_voice:build\n")
    async with voice_server(speech) as server:
        status, heard, _ = await server.post(HEAR, data=form(file, model="acme"))
        assert (status, heard["provider"]) == (200, "acme/one")
        assert heard["text"] == "heard by acme"


@pytest.mark.parametrize("wrong", ["OSError(5, 'away')", "RuntimeError('x')", "ConnectionError()"])
async def test_a_package_that_fails_is_followed_by_the_next(speech, file, installed, wrong):
    source = ACME.replace('return Transcript("heard by acme")', f"raise {wrong}")
    installed("failing_voice", source, "[telebot.transcribers]\nfailing = failing_voice:build\n")
    prefers = json.dumps({"order": ["failing", "local"]})
    async with voice_server(speech) as server:
        status, heard, _ = await server.post(HEAR, data=form(file, provider=prefers))
        assert (status, heard["provider"]) == (200, "local")
        assert heard["attempts"][0]["cause"] == "error"


@pytest.mark.parametrize(
    "source", ["1 / 0", "def build(options, resources): return object()", "import no_such_package"]
)
async def test_a_package_that_cannot_be_built_hides_nobody_else(speech, file, installed, source):
    installed("broken_voice", source, "[telebot.transcribers]\nbroken = broken_voice:build\n")
    async with voice_server(speech) as server:
        assert (await server.post(HEAR, data=form(file)))[0] == 200
        status, told, _ = await server.post(HEAR, data=form(file, model="broken"))
        assert (status, told["error"]["code"]) == (404, "model_not_found")
        assert (await server.get("/v1/voice/providers"))[0] == 200


async def test_a_voice_that_nobody_has_is_the_requests_fault(speech):
    async with voice_server(speech) as server:
        status, told, _ = await server.post(SAY, json={"text": TEXT, "voice": "nobody"})
        assert (status, told["error"]["code"]) == (400, "provider_refused")


ACME = """
from telebot.providers.clips import Transcript

class Acme:
    model, abilities, longest_s = "one", frozenset(), 60.0

    async def transcribe(self, recording):
        return Transcript("heard by acme")

def build(options, resources):
    return Acme()
"""


@pytest.mark.parametrize("stream", [True, False])
async def test_what_a_vendor_gives_as_it_is_wanted_is_passed_on(speech, stream):
    async with voice_server(speech, "openai") as server:
        asked = {"text": TEXT, "format": "mp3", "stream": stream}
        async with server.session.post(server.url + SAY, json=asked) as answer:
            sound = await answer.read()
            assert answer.headers["Content-Type"] == "audio/mpeg"
            assert answer.headers["x-sample-rate"] == "24000"
        pcm16, rate_hz = files.decoded(sound, longest_s=60)
        assert rate_hz == 24_000
        assert len(pcm16) / 2 / rate_hz > 1.0
        async with server.session.post(
            server.url + SAY, json={**asked, "sample_rate": 8000}
        ) as answer:
            assert answer.headers["x-sample-rate"] == "8000"


@pytest.mark.parametrize("fault", ["silence", "garbage", "drop@middle", "stall@first"])
async def test_a_file_that_is_none_or_silent_is_followed_by_another_voice(speech, fault):
    async with voice_server(speech, "openai") as server:
        server.vendors.fault(f"openai.tts={fault}")
        asked = {"text": TEXT, "format": "mp3", "stream": False}
        async with server.session.post(server.url + SAY, json=asked) as answer:
            sound = await answer.read()
            assert answer.headers["x-provider"] == "local"
        assert files.decoded(sound, longest_s=60)[1] == 24_000


async def test_voices_are_asked_for_once_in_a_while(speech):
    async with voice_server(speech, "elevenlabs", "openai") as server:
        status, told = await server.get("/v1/voice/voices?provider=elevenlabs")
        assert status == 200
        assert {"George", "Sarah"} <= {row["name"] for row in told["data"]}
        assert {row["provider"] for row in told["data"]} == {"elevenlabs"}
        asked = len(server.vendors.sim.requests)
        again = await server.get("/v1/voice/voices")
        assert len(server.vendors.sim.requests) == asked
        assert {"elevenlabs", "openai", "local"} == {row["provider"] for row in again[1]["data"]}
        assert again[1]["missing"] == []
        _, german = await server.get("/v1/voice/voices?language=de-AT&provider=local")
        assert german["data"] == []
        _, british = await server.get("/v1/voice/voices?language=en-GB&provider=local")
        assert [row["id"] for row in british["data"]] == ["heart"]


async def test_a_translation_is_done_by_who_can_or_not_at_all(speech, file):
    async with voice_server(speech, "openai", "deepgram") as server:
        status, heard, _ = await server.post(HEAR, data=form(file, task="translate"))
        assert (status, heard["provider"]) == (200, "openai/whisper-1")
        wish = form(file, task="translate", model="local", words=True, language="de")
        status, told, _ = await server.post(HEAR, data=wish)  # what is named cannot
        assert (status, told["provider"]) == (200, "openai/whisper-1")
        assert "four people" in told["text"]
    async with voice_server(speech, "deepgram") as server:
        status, told, _ = await server.post(HEAR, data=form(file, task="translate"))
        assert (status, told["error"]["code"]) == (400, "no_provider")
        assert "translate" in told["error"]["message"]


async def test_who_tells_no_speakers_tells_the_text_all_the_same(speech, file):
    async with voice_server(speech) as server:
        sent = form(file, model="local", response_format="diarized_json")
        status, told, _ = await server.post("/v1/audio/transcriptions", data=sent)
        assert status == 200
        assert [one["text"] for one in told["segments"]] == [told["text"]]
