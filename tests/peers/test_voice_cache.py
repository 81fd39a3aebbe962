"""Sounds that were made before are answered again, where it is wanted, to their owner alone."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import aiohttp
import pytest
from edge_server import OneKey
from voice_server import SECRET, voice_server

from telebot.audio import files
from telebot.providers.kept_files import KeptFiles
from telebot.voice.kept_sounds import SUFFIX, KeptSounds

pytestmark = pytest.mark.peers

SAY, SPEECH = "/v1/voice/synthesize", "/v1/audio/speech"
TEXT = "The car park is behind the building."
VENDOR = "elevenlabs"
ASK = {"text": TEXT, "cache": True, "model": VENDOR}


@pytest.fixture
def now():
    return [datetime(2026, 1, 1, tzinfo=UTC)]


@pytest.fixture
def sounds(tmp_path, now):
    kept = KeptFiles(tmp_path, suffix=SUFFIX, memory_bytes=1 << 20, disk_bytes=8 << 20)
    return KeptSounds(kept, lambda: now[0], days=2)


def requests(server) -> int:
    return len(server.vendors.sim.requests)


async def test_the_same_is_made_once_and_costs_nothing_again(speech, sounds):
    async with voice_server(speech, VENDOR, sounds=sounds) as server:
        status, first, headers = await server.post(SAY, json=ASK)
        assert (status, headers["x-cache"]) == (200, "miss")
        assert Decimal(headers["x-cost"]) > 0
        price, asked = headers["x-cost"], requests(server)
        status, again, headers = await server.post(SAY, json=ASK)
        assert (status, headers["x-cache"], headers["x-cost"]) == (200, "hit", "0")
        assert headers["x-cost-saved"] == price
        assert headers["x-provider"].startswith(VENDOR)
        assert headers["content-type"] == "audio/mpeg"
        assert again == first
        assert requests(server) == asked
        kept = server.done[-1].values()
        assert (kept["cache"], kept["amount_nanos"]) == ("hit", 0)
        assert kept["saved_nanos"] == int(Decimal(price) * 10**9)
        assert kept["characters"] is None
        assert server.done[0].values()["cache"] == "miss"


async def test_however_it_is_sent_it_is_the_same_sound(speech, sounds):
    ask = {**ASK, "format": "wav"}
    async with voice_server(speech, VENDOR, sounds=sounds) as server:
        await server.post(SAY, json=ask)
        _, whole, headers = await server.post(SAY, json={**ask, "stream": False})
        assert headers["x-cache"] == "hit"
        assert int.from_bytes(whole[40:44], "little") == len(whole) - 44
        assert files.decoded(whole, longest_s=60)[0]
        _, told, _ = await server.post(SAY, json={**ask, "events": True})
        events = [line[6:] for line in told.decode().splitlines() if line.startswith("data: ")]
        pieces = [json.loads(event) for event in events]
        assert b"".join(base64.b64decode(one["audio"]) for one in pieces[:-1]) == whole
        assert (pieces[-1]["cache"], pieces[-1]["usage"]["cost"]) == ("hit", 0.0)
        assert pieces[-1]["usage"]["saved"] > 0
        body = {"input": TEXT, "model": VENDOR, "response_format": "wav", "cache": True}
        _, bare, headers = await server.post(SPEECH, json=body)
        assert (headers["x-cache"], bare) == ("hit", whole)


@pytest.mark.parametrize(
    "other",
    [{"text": f"{TEXT}!"}, {"voice": "21m00Tcm4TlvDq8ikWAM"}, {"speed": 1.5}, {"format": "opus"},
     {"user": "ann"}, {"instructions": "Whisper."}, {"sample_rate": 8000},
     {"model": "local"}],
)  # fmt: skip
async def test_what_differs_is_made_anew(speech, sounds, other):
    async with voice_server(speech, VENDOR, sounds=sounds) as server:
        await server.post(SAY, json=ASK)
        status, _, headers = await server.post(SAY, json={**ASK, **other})
        assert (status, headers["x-cache"]) == (200, "miss")


async def test_nothing_is_kept_unasked(speech, sounds):
    ask = {"text": TEXT, "model": VENDOR}
    async with voice_server(speech, VENDOR, sounds=sounds) as server:
        for _ in range(2):
            _, _, headers = await server.post(SAY, json=ask)
            assert "x-cache" not in headers
        assert sounds.stats().entries == 0
    async with voice_server(speech, VENDOR, sounds=sounds, cache=True) as server:
        await server.post(SAY, json=ask)
        assert (await server.post(SAY, json=ask))[2]["x-cache"] == "hit"
        assert "x-cache" not in (await server.post(SAY, json={**ask, "cache": False}))[2]


async def test_nobody_hears_anothers(speech, sounds):
    class Two(OneKey):
        async def check(self, secret, wanted):
            key = await super().check(SECRET, wanted)
            return key.__class__(**{**{f: getattr(key, f) for f in key.__slots__}, "id": secret})

    async with voice_server(speech, VENDOR, sounds=sounds, key_store=Two(SECRET)) as server:
        for owner, told in (("a", "miss"), ("b", "miss"), ("a", "hit")):
            headers = {"Authorization": f"Bearer {owner}"}
            _, _, answer = await server.post(SAY, json=ASK, headers=headers)
            assert answer["x-cache"] == told


async def test_one_who_stood_in_is_not_kept(speech, sounds):
    async with voice_server(speech, VENDOR, sounds=sounds) as server:
        server.vendors.fault(f"{VENDOR}.tts=500")
        prefers = {**ASK, "provider": {"order": [VENDOR, "local"]}}
        _, _, headers = await server.post(SAY, json=prefers)
        assert (headers["x-provider"], headers["x-cache"]) == ("local", "miss")
        assert (await server.post(SAY, json=prefers))[2]["x-cache"] == "miss"


async def test_who_may_not_be_asked_any_longer_is_not_heard_either(speech, sounds):
    async with voice_server(speech, VENDOR, sounds=sounds) as server:
        await server.post(SAY, json=ASK)
    async with voice_server(speech, sounds=sounds) as server:
        status, _, _ = await server.post(SAY, json=ASK)
        assert status == 404


async def test_it_ages_outlives_a_restart_and_is_forgotten(speech, sounds, now, tmp_path):
    async with voice_server(speech, sounds=sounds) as server:
        await server.post(SAY, json={"text": TEXT, "cache": True})
    kept = KeptFiles(tmp_path, suffix=SUFFIX, memory_bytes=1 << 20, disk_bytes=8 << 20)
    after = KeptSounds(kept, lambda: now[0], days=2)
    await after.open()
    assert TEXT.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    async with voice_server(speech, sounds=after) as server:
        now[0] += timedelta(days=1)
        ask = {"text": TEXT, "cache": True}
        assert (await server.post(SAY, json=ask))[2]["x-cache"] == "hit"
        now[0] += timedelta(days=2)
        assert (await server.post(SAY, json=ask))[2]["x-cache"] == "miss"
        assert (await server.post(SAY, json=ask))[2]["x-cache"] == "hit"
        url = f"{server.url}/v1/voice/cache"
        async with server.session.delete(f"{url}?user=nobody") as told:
            assert await told.json() == {"forgotten": 0}
        async with server.session.delete(url) as told:
            assert await told.json() == {"forgotten": 1}
        assert (await server.post(SAY, json=ask))[2]["x-cache"] == "miss"


async def test_a_stream_that_breaks_is_not_kept(speech, sounds):
    async with voice_server(speech, VENDOR, sounds=sounds) as server:
        server.vendors.fault(f"{VENDOR}.tts=drop@middle")
        ask = {**ASK, "text": f"{TEXT} " * 4, "format": "pcm"}
        with pytest.raises(aiohttp.ClientError):
            await server.post(SAY, json=ask)
        _, _, headers = await server.post(SAY, json=ask)  # the breaker is open
        assert (headers["x-provider"], headers["x-cache"]) == ("local", "miss")
        assert sounds.stats().entries == 0
