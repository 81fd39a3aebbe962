"""`provider` of a request acts on every endpoint of work, and the answer tells who was passed over
and why: each preference against each endpoint, over simulated vendors."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from voice_server import VoiceServer, front_desk, voice_server

from telebot.audio import wav
from telebot.voice.chat_agents import ChatAgent
from telebot.voice.offers import Work

pytestmark = pytest.mark.peers

SENTENCE = "I would like to book a table for four people."
HZ = 16_000
VENDORS = ("deepgram", "openai", "elevenlabs", "anthropic")


@dataclass
class Told:
    """Who did it, who failed and who was not asked, however the endpoint tells it."""

    status: int
    provider: str = ""
    failed: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    code: str = ""


@dataclass(frozen=True)
class Way:
    """One endpoint. `first` and `second` are who is usually asked; `home`: this machine can."""

    work: Work
    ask: Callable[[VoiceServer, bytes, dict[str, Any]], Awaitable[Told]]
    first: str
    second: str
    home: bool = True


def vendor(name: str) -> str:
    return name.partition("/")[0]


def error(status: int, body: Any) -> Told:
    told = body["error"].get("metadata") or {}
    return Told(
        status,
        failed=[vendor(made["provider"]) for made in told.get("attempts", [])],
        skipped={vendor(each["provider"]): each["why"] for each in told.get("skipped", [])},
        code=body["error"]["code"],
    )


def answered(status: int, body: Any) -> Told:
    if status != 200:
        return error(status, body)
    return Told(
        status,
        vendor(body["provider"]),
        [vendor(made["provider"]) for made in body["attempts"] if made["cause"]],
        {vendor(each["provider"]): each["why"] for each in body["skipped"]},
    )


def headed(status: int, body: Any, headers: Any) -> Told:
    if status != 200:
        return error(status, body)

    def listed(name: str) -> list[list[str]]:
        return [part.split(";") for part in headers.get(name, "").split(", ") if part]

    return Told(
        status,
        vendor(headers["x-provider"]),
        [vendor(name) for name, _ in listed("x-failed")],
        {vendor(name): why for name, why in listed("x-skipped")},
    )


def form(file: bytes, **fields: str) -> aiohttp.FormData:
    sent = aiohttp.FormData()
    for name, value in fields.items():
        sent.add_field(name, value)
    sent.add_field("file", io.BytesIO(file), filename="a.wav")
    return sent


async def transcribe(server: VoiceServer, file: bytes, who: dict[str, Any]) -> Told:
    sent = form(file, provider=json.dumps(who))
    status, body, _ = await server.post("/v1/voice/transcribe", data=sent)
    return answered(status, body)


async def transcriptions(server: VoiceServer, file: bytes, who: dict[str, Any]) -> Told:
    model = who.pop("model", "deepgram")
    sent = form(file, provider=json.dumps(who), model=model)
    return headed(*await server.post("/v1/audio/transcriptions", data=sent))


async def synthesize(server: VoiceServer, file: bytes, who: dict[str, Any]) -> Told:
    body = {"text": "One.", "format": "wav", "provider": who}
    return headed(*await server.post("/v1/voice/synthesize", json=body))


async def synthesize_whole(server: VoiceServer, file: bytes, who: dict[str, Any]) -> Told:
    body = {"text": "One.", "format": "wav", "stream": False, "provider": who}
    return headed(*await server.post("/v1/voice/synthesize", json=body))


async def speech(server: VoiceServer, file: bytes, who: dict[str, Any]) -> Told:
    body = {
        "input": "One.", "voice": "alloy", "model": who.pop("model", "elevenlabs"),
        "response_format": "wav", "provider": who,
    }  # fmt: skip
    return headed(*await server.post("/v1/audio/speech", json=body))


def of_work(status: int, body: Any, work: str) -> Told:
    if status != 200:
        return error(status, body)
    return answered(status, next(each for each in body["works"] if each["kind"] == work))


async def chat_hears(server: VoiceServer, file: bytes, who: dict[str, Any]) -> Told:
    sent = form(file, provider=json.dumps({"stt": who}), agent="front-desk", answer="text")
    status, body, _ = await server.post("/v1/voice/chat", data=sent)
    return of_work(status, body, "stt")


async def chat_thinks(server: VoiceServer, file: bytes, who: dict[str, Any]) -> Told:
    asked = {"text": "Hi", "instructions": "Be kind.", "answer": "text", "provider": {"llm": who}}
    status, body, _ = await server.post("/v1/voice/chat", json=asked)
    return of_work(status, body, "llm")


async def chat_speaks(server: VoiceServer, file: bytes, who: dict[str, Any]) -> Told:
    asked = {
        "text": "Hi", "agent": "front-desk", "format": "wav", "provider": {"tts": who},
    }  # fmt: skip
    status, body, _ = await server.post("/v1/voice/chat", json=asked)
    return of_work(status, body, "tts")


async def intents(server: VoiceServer, file: bytes, who: dict[str, Any]) -> Told:
    server.vendors.sim.answers.answer = lambda *_: json.dumps(UNDERSTOOD)
    who = {"sort": None, **who}  # whom to ask is said: not this machine alone
    asked = {"text": "Hi", "intents": [{"name": "hello"}], "provider": who}
    status, body, _ = await server.post("/v1/voice/intents", json=asked)
    return answered(status, body)


UNDERSTOOD = {
    "intents": [], "entities": [], "language": "en", "sentiment": "unknown", "sentiment_score": 0,
}  # fmt: skip

WAYS = {
    "transcribe": Way("stt", transcribe, "deepgram", "openai"),
    "audio/transcriptions": Way("stt", transcriptions, "deepgram", "openai"),
    "synthesize": Way("tts", synthesize, "elevenlabs", "openai"),
    "synthesize whole": Way("tts", synthesize_whole, "elevenlabs", "openai"),
    "audio/speech": Way("tts", speech, "elevenlabs", "openai"),
    "chat hears": Way("stt", chat_hears, "deepgram", "openai"),
    "chat thinks": Way("llm", chat_thinks, "openai", "anthropic", home=False),
    "chat speaks": Way("tts", chat_speaks, "elevenlabs", "openai"),
    "intents": Way("llm", intents, "openai", "anthropic"),
}
EVERY = pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
OPEN = pytest.mark.parametrize(
    "way",
    [way for name, way in WAYS.items() if not name.startswith("audio/")],
    ids=[name for name in WAYS if not name.startswith("audio/")],
)


@pytest.fixture(scope="module")
def file(speech) -> bytes:
    async def spoken() -> bytes:
        clips = [clip.pcm16 async for clip in speech.tts.stream(SENTENCE, rate_hz=HZ)]
        return b"".join(clips)

    return wav.written(asyncio.run(spoken()), HZ)


@pytest.fixture
async def server(speech) -> AsyncIterator[VoiceServer]:
    desk = ChatAgent("front-desk", front_desk(), ZoneInfo("Europe/London"))
    async with voice_server(speech, *VENDORS, agents={"front-desk": desk}) as running:
        yield running


async def seen(server: VoiceServer, way: Way, **times: tuple[float, float]) -> None:
    """That these have been measured: seconds to the first output, and how much a second."""
    for offer in await server.voice.ready():
        if offer.work == way.work and offer.provider in times:
            breaker = server.voice.router.breaker(offer)
            first_s, rate = times[offer.provider]
            breaker.succeeded(first_s)
            breaker.worked(rate, 1.0)


@EVERY
async def test_who_is_usually_asked(way, server, file):
    told = await way.ask(server, file, {"order": [way.first]} if way.work == "llm" else {})
    assert (told.status, told.provider, told.failed) == (200, way.first, [])


@OPEN
async def test_who_is_to_go_first_does(way, server, file):
    told = await way.ask(server, file, {"order": [way.second]})
    assert (told.status, told.provider) == (200, way.second)
    told = await way.ask(server, file, {"order": ["nobody", way.second]})
    assert told.provider == way.second
    assert told.skipped["nobody"].startswith("no_key")


@EVERY
async def test_nobody_else_than_only(way, server, file):
    told = await way.ask(server, file, {"only": [way.second]})
    assert (told.status, told.provider) == (200, way.second)
    assert told.skipped[way.first] == "only"
    told = await way.ask(server, file, {"only": ["nobody"]})
    assert (told.status, told.code) == (400, "no_provider")
    assert told.skipped[way.first] == "only"


@EVERY
async def test_who_is_ignored_is_not_asked(way, server, file):
    told = await way.ask(server, file, {"ignore": [way.first], "sort": "price"})
    assert told.status == 200
    assert told.provider != way.first
    assert told.skipped[way.first] == "ignore"


@EVERY
async def test_who_fails_is_followed_unless_that_is_not_wanted(way, server, file):
    server.vendors.fault(f"{way.first}.{way.work}=500@connect")
    told = await way.ask(server, file, {"order": [way.first, way.second]})
    assert (told.status, told.provider, told.failed) == (200, way.second, [way.first])


@EVERY
async def test_nobody_follows_where_that_is_not_wanted(way, server, file):
    server.vendors.fault(f"{way.first}.{way.work}=500@connect")
    told = await way.ask(server, file, {"order": [way.first], "allow_fallbacks": False})
    assert (told.status, told.code) == (502, "all_providers_failed")
    assert told.failed == [way.first]


@EVERY
async def test_nothing_leaves_this_machine(way, server, file):
    told = await way.ask(server, file, {"data_collection": "deny", "sort": "price"})
    if way.home:
        assert (told.status, told.provider) == (200, "local")
    else:
        assert (told.status, told.code) == (400, "no_provider")
    assert told.skipped[way.first] == "data_collection"


@EVERY
async def test_who_is_too_dear_is_not_asked(way, server, file):
    unit = {"stt": "minute", "tts": "million_characters", "llm": "million_output_tokens"}
    told = await way.ask(server, file, {"max_price": {unit[way.work]: 1e-6}, "sort": "price"})
    if way.home:
        assert (told.status, told.provider) == (200, "local")
    else:
        assert (told.status, told.code) == (400, "no_provider")
    assert told.skipped[way.first].startswith("max_price")


@OPEN
async def test_the_cheapest_goes_first(way, server, file):
    told = await way.ask(server, file, {"sort": "price", "ignore": ["local"]})
    dear = {vendor(o.name): server.voice.offers.price(o) for o in await server.voice.ready()
            if o.work == way.work and o.provider != "local"}  # fmt: skip
    known = {name: price for name, price in dear.items() if price is not None}
    cheapest = {name for name, price in known.items() if price == min(known.values())}
    assert (told.status, told.provider in cheapest) == (200, True)


@OPEN
async def test_the_quickest_goes_first(way, server, file):
    await seen(server, way, **{way.first: (0.9, 50.0), way.second: (0.1, 10.0)})
    told = await way.ask(server, file, {"sort": "latency", "ignore": ["local"]})
    assert (told.status, told.provider) == (200, way.second)


@OPEN
async def test_who_does_most_a_second_goes_first(way, server, file):
    await seen(server, way, **{way.first: (0.1, 10.0), way.second: (0.9, 50.0)})
    told = await way.ask(server, file, {"sort": "throughput", "ignore": ["local"]})
    assert (told.status, told.provider) == (200, way.second)


@OPEN
async def test_who_is_too_slow_goes_last_however_the_others_are_sorted(way, server, file):
    await seen(server, way, **{way.first: (0.9, 50.0), way.second: (0.1, 10.0)})
    for sort in ("throughput", "price"):
        slow = {"sort": sort, "preferred_max_latency": 0.5, "only": [way.first, way.second]}
        told = await way.ask(server, file, slow)
        assert (told.status, told.provider) == (200, way.second), sort


@pytest.mark.parametrize(
    ("path", "asked", "can", "lacks"),
    [
        ("/v1/voice/synthesize", {"text": "One.", "speed": 1.5}, "elevenlabs", "speed"),
        ("/v1/voice/synthesize", {"text": "One.", "instructions": "Whisper."}, "openai",
         "instructions"),
        ("/v1/audio/speech", {"input": "One.", "model": "deepgram", "speed": 1.5}, "elevenlabs",
         "speed"),
    ],
)  # fmt: skip
async def test_only_those_that_can_do_all_of_it_speak(server, path, asked, can, lacks):
    who = {"require_parameters": True}
    told = headed(*await server.post(path, json={**asked, "provider": who}))
    assert (told.status, told.provider) == (200, can)
    assert told.skipped["deepgram"] == "require_parameters"


async def test_only_those_that_can_do_all_of_it_hear(server, file):
    who = {"require_parameters": True, "order": ["openai"]}
    sent = form(file, provider=json.dumps(who), words="true")
    status, body, _ = await server.post("/v1/voice/transcribe", data=sent)
    told = answered(status, body)
    assert (told.status, told.provider) == (200, "deepgram")
    assert told.skipped["openai"] == "require_parameters: words"
    sent = form(
        file, provider=json.dumps(who), model="openai", response_format="verbose_json"
    )  # fmt: skip
    told = headed(*await server.post("/v1/audio/transcriptions", data=sent))
    assert (told.provider, told.skipped["openai"]) == ("deepgram", "require_parameters")


async def test_only_those_that_can_do_all_of_it_answer(server):
    asked = {
        "text": "Hi", "agent": "front-desk", "temperature": 0.5, "answer": "text",
        "provider": {"require_parameters": True},
    }  # fmt: skip
    status, body, _ = await server.post("/v1/voice/chat", json=asked)
    told = error(status, body)
    assert (told.status, told.code) == (400, "no_provider")
    assert told.skipped["local"] == "require_parameters: temperature"


async def test_a_model_that_is_not_the_usual_one_may_be_the_only_one(server, file):
    for name in ("openai/whisper-1", "whisper-1"):
        sent = form(file, provider=json.dumps({"only": [name]}))
        status, body, _ = await server.post("/v1/voice/transcribe", data=sent)
        assert (status, body["provider"]) == (200, "openai/whisper-1")


async def test_what_was_really_done_is_what_is_measured(server, file):
    sent = form(file, provider=json.dumps({"only": ["deepgram"]}))
    assert (await server.post("/v1/voice/transcribe", data=sent))[0] == 200
    body = {"text": SENTENCE, "format": "wav", "provider": {"only": ["elevenlabs"]}}
    assert (await server.post("/v1/voice/synthesize", json=body))[0] == 200
    asked = {"text": "Hi", "model": "openai", "answer": "text"}
    assert (await server.post("/v1/voice/chat", json=asked))[0] == 200
    rates = {
        (offer.work, offer.provider): server.voice.router.breaker(offer).rate()
        for offer in await server.voice.ready()
    }
    for who in (("stt", "deepgram"), ("tts", "elevenlabs"), ("llm", "openai")):
        assert rates[who] > 0
