"""OpenAI's own SDK with nothing but its base URL changed."""

from __future__ import annotations

import asyncio
import io

import openai
import pytest
from voice_server import SECRET, voice_server

from telebot.audio import files, resample, wav

pytestmark = pytest.mark.peers

SENTENCE = "I would like to book a table for four people."
TEXT = "The car park is behind the building."
HZ = 16_000


@pytest.fixture(scope="module")
def file(speech):
    async def spoken() -> bytes:
        clips = [clip.pcm16 async for clip in speech.tts.stream(SENTENCE, rate_hz=HZ)]
        return wav.written(b"".join(clips), HZ)

    return asyncio.run(spoken())


def named(file: bytes) -> io.BytesIO:
    made = io.BytesIO(file)
    made.name = "speech.wav"
    return made


def client(server) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=SECRET, base_url=f"{server.url}/v1", max_retries=0)


async def test_recordings(speech, file):
    async with voice_server(speech, "openai") as server, client(server) as sdk:
        create = sdk.audio.transcriptions.create
        heard = await create(file=named(file), model="local")
        assert "table for four" in heard.text.lower()
        text = await create(file=named(file), model="local", response_format="text")
        assert "table for four" in text.lower()
        long = await create(
            file=named(file),
            model="whisper-1",
            response_format="verbose_json",
            timestamp_granularities=["word"],
        )
        assert long.words[-1].word.strip(".").lower() == "people"
        assert long.language == "en"
        subtitles = await create(file=named(file), model="whisper-1", response_format="vtt")
        assert subtitles.startswith("WEBVTT\n\n00:00:00.")
        subtitles = await create(file=named(file), model="local", response_format="srt")
        assert subtitles.startswith("1\n00:00:00,000 --> 00:00:")


@pytest.mark.parametrize("model", ["local", "gpt-transcribe"])
async def test_recordings_as_they_are_heard(speech, file, model):
    async with voice_server(speech, "openai") as server, client(server) as sdk:
        stream = await sdk.audio.transcriptions.create(file=named(file), model=model, stream=True)
        events = [event async for event in stream]
        deltas = "".join(event.delta for event in events[:-1])
        assert events[-1].type == "transcript.text.done"
        assert deltas == events[-1].text
        assert "table for four" in deltas.lower()


@pytest.mark.parametrize("model", ["local", "gpt-4o-mini-tts"])
async def test_texts(speech, model):
    async with voice_server(speech, "openai") as server, client(server) as sdk:
        for kind in ("mp3", "wav", "opus"):
            sound = await sdk.audio.speech.create(
                model=model, voice="alloy", input=TEXT, response_format=kind
            )
            pcm16, rate_hz = files.decoded(sound.content, longest_s=60)
            at_16k = resample.resample(pcm16, rate_hz, HZ)
            heard = await speech.stt.transcribe(at_16k, HZ)
            assert "behind the building" in heard.text.lower()
        streaming = sdk.audio.speech.with_streaming_response
        async with streaming.create(
            model=model, voice="alloy", input=TEXT, response_format="pcm"
        ) as answer:
            pieces = [piece async for piece in answer.iter_bytes()]
        assert sum(map(len, pieces)) > 2 * 24_000


async def test_models_and_errors(speech, file):
    async with voice_server(speech, "openai") as server, client(server) as sdk:
        models = [model.id async for model in await sdk.models.list()]
        assert models[0] == "local"
        assert "openai/gpt-transcribe" in models
        with pytest.raises(openai.NotFoundError) as raised:
            await sdk.audio.transcriptions.create(file=named(file), model="nobody/none")
        assert raised.value.code == "model_not_found"
        with pytest.raises(openai.AuthenticationError):
            await sdk.with_options(api_key="wrong").models.list()
        server.vendors.fault("openai.tts=429@connect")
        with pytest.raises(openai.RateLimitError) as limited:
            await sdk.audio.speech.create(
                model="gpt-4o-mini-tts",
                voice="alloy",
                input=TEXT,
                extra_body={"provider": {"allow_fallbacks": False}},
            )
        assert limited.value.response.headers["Retry-After"]
