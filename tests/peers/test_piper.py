"""Piper's voices through its HTTP server's wire, of today and of before."""

from __future__ import annotations

import asyncio
import json
import socket

import numpy as np
import pytest
from aiohttp import web
from pipecat.frames.frames import ErrorFrame, TTSAudioRawFrame, TTSSpeakFrame, TTSStoppedFrame
from pipecat.utils.errors import ErrorCategory
from service_line import running
from simulated import simulated

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry
from telebot.providers.resources import Resources
from telebot.simulate.piper import routes_before
from telebot.simulate.server import Simulator

pytestmark = pytest.mark.peers

TEXT = "The car park is behind the building."


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["piper"]) as server:
        yield server


async def spoken(tts, text=TEXT):
    """The audio frames and the errors of a text."""
    errors: list[ErrorFrame] = []
    async with running(tts) as line:

        async def on_error(_tts, frame):
            errors.append(frame)
            line.sink.frames.append(TTSStoppedFrame())  # Pipecat's own comes three seconds later
            line.sink.arrived.set()

        tts.add_event_handler("on_error", on_error)
        await line.worker.queue_frame(TTSSpeakFrame(text))
        await line.sink.wait_for(TTSStoppedFrame)
        return line.sink.of(TTSAudioRawFrame), errors


async def heard(speech, frames):
    assert {(frame.sample_rate, frame.num_channels) for frame in frames} == {(8000, 1)}
    pcm16 = b"".join(frame.audio for frame in frames)
    return (await speech.stt.transcribe(pcm16, 8000)).text.lower()


@pytest.mark.parametrize("voice", [None, "en_US-lessac-low"])
async def test_a_voice_speaks_at_the_telephones_rate(vendor, speech, voice):
    """Its own is 22.05 or 16 kHz."""
    spec = {"service": "piper", "voice": voice, "length_scale": 1.1}
    frames, errors = await spoken(registry.build_tts(spec, vendor.resources))
    assert "car park is behind the building" in await heard(speech, frames)
    assert errors == []


async def test_a_server_of_before_is_found_out_once(speech):
    sim = Simulator(speech)
    app = web.Application()
    app.add_routes(routes_before(sim))
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/piper"
    resources = Resources(speech, {"PIPER_BASE_URL": url})
    try:
        for _ in range(2):
            frames, errors = await spoken(registry.build_tts("piper", resources), "Good evening.")
            assert "good evening" in await heard(speech, frames)
            assert errors == []
        await registry.probe("tts", "piper", resources)
    finally:
        await resources.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("fault", "category"),
    [
        ("401", ErrorCategory.AUTHENTICATION),
        ("429", ErrorCategory.RATE_LIMIT),
        ("500", ErrorCategory.SERVER),
        ("500@first", ErrorCategory.SERVER),
        ("drop", ErrorCategory.CONNECTIVITY),
        ("drop@first", ErrorCategory.CONNECTIVITY),
        ("drop@middle", ErrorCategory.CONNECTIVITY),
        ("drop@end", ErrorCategory.CONNECTIVITY),
        ("garbage", ErrorCategory.SERVER),
        ("garbage@middle", ErrorCategory.CONNECTIVITY),
    ],
)
async def test_a_fault_is_an_error_of_its_category(vendor, fault, category):
    vendor.fault(f"piper.tts={fault}")
    frames, errors = await spoken(registry.build_tts("piper", vendor.resources))
    assert [error.category for error in errors] == [category]
    assert bool(frames) == fault.endswith(("middle", "end"))


async def test_a_text_that_the_server_fails_on_is_its_error(vendor):
    spec = {"service": "piper", "voice": "en_US-lessac-medium"}
    tts = registry.build_tts(spec, vendor.resources)
    tts._asked["length_scale"] = "slow"
    _, errors = await spoken(tts)
    assert [error.category for error in errors] == [ErrorCategory.SERVER]
    assert "500" in errors[0].error


@pytest.mark.parametrize("point", ["connect", "middle"])
async def test_a_stall_ends_with_the_call(vendor, point):
    vendor.fault(f"piper=stall@{point}")
    tts = registry.build_tts("piper", vendor.resources)
    async with running(tts) as line:  # asserts that no task stays
        await line.worker.queue_frame(TTSSpeakFrame(TEXT))
        if point == "middle":
            await line.sink.wait_for(TTSAudioRawFrame)
        else:
            async with asyncio.timeout(30):
                while not vendor.sim.requests:  # noqa: ASYNC110 - the simulator tells nobody
                    await asyncio.sleep(0.01)


async def test_silence_is_audio_without_sound(vendor):
    vendor.fault("piper=silence@first")
    frames, errors = await spoken(registry.build_tts("piper", vendor.resources))
    assert errors == []
    pcm16 = b"".join(frame.audio for frame in frames)
    assert len(pcm16) > 16000
    assert np.abs(np.frombuffer(pcm16, np.int16)).max() <= 2  # the resampler's dither


async def test_a_server_that_is_not_there_is_said(speech):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        resources = Resources(speech, {"PIPER_BASE_URL": f"127.0.0.1:{free.getsockname()[1]}"})
        resources.environ["PIPER_BASE_URL"] = "http://" + resources.environ["PIPER_BASE_URL"]
        _, errors = await spoken(registry.build_tts("piper", resources))
        assert [error.category for error in errors] == [ErrorCategory.CONNECTIVITY]
        with pytest.raises(ProviderError, match="piper cannot be asked"):
            await registry.probe("tts", "piper", resources)
        await resources.close()


async def test_a_wrong_voice_is_found_by_asking(vendor):
    await registry.probe("tts", "piper", vendor.resources)
    wrong = {"service": "piper", "voice": "en_US-lesac-medium"}
    with pytest.raises(ProviderConfigError, match="did you mean 'en_US-lessac-medium'"):
        await registry.probe("tts", wrong, vendor.resources)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"voce": "x"}, "did you mean 'voice'"),
        ({"length_scale": "slow"}, "length_scale is 'slow'; write a number"),
        ({"noise_scale": 0}, "write a number"),
    ],
)
def test_an_option_that_cannot_be_is_refused(speech, spec, says):
    with pytest.raises(ProviderConfigError) as caught:
        registry.build_tts({"service": "piper", **spec}, Resources(speech, {}))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 500),
        (b"not json", 500),
        (b"[]", 500),
        (b'"text"', 500),
        (b"{}", 500),
        (b'{"text": "  "}', 500),
        (b'{"text": 5}', 500),
        (b'{"text": "Hello", "length_scale": "slow"}', 500),
        (b'{"text": "Hello", "length_scale": null}', 500),
        (b'{"text": "Hello", "voice": "nobody"}', 200),  # spoken by the voice that is there
    ],
)
async def test_the_simulator_fails_where_the_server_does(vendor, http, body, status):
    async with http.post(f"{vendor.url}/piper/synthesize", data=body) as answer:
        assert answer.status == status
        assert answer.content_type == "text/html"  # of audio too
        assert (await answer.read()).startswith(b"RIFF" if status == 200 else b"<!doctype html>")


async def test_the_simulators_root_speaks_no_more(vendor, http):
    async with http.post(f"{vendor.url}/piper/", data=json.dumps({"text": "Hello"})) as answer:
        assert answer.status == 405
