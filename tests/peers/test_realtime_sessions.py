"""Sessions of speech to speech against their vendors' simulated wires: how each fault at the
opening surfaces, and what is found before the first call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory
from service_line import CANARY, Sink, running
from simulated import simulated

from telebot.call.errors import ProviderConfigError
from telebot.providers import registry
from telebot.providers.failure import Cause, of_error
from telebot.providers.frames import SessionOpenFrame
from telebot.providers.resources import Resources

pytestmark = [
    pytest.mark.peers,
    # Pipecat's own way of saying how to generate
    pytest.mark.filterwarnings("ignore:Setting `LiveConnectConfig.generation_config`"),
]

SPECS: dict[str, dict[str, Any]] = {
    "openai": {"service": "openai"},
    "gemini": {"service": "gemini"},
    "elevenlabs": {"service": "elevenlabs", "agent": "agent_phone"},
}


@pytest.fixture
async def vendors(speech):
    async with simulated(speech, SPECS) as server:
        yield server


async def opened(spec: dict[str, Any], resources: Resources) -> ErrorFrame | None:
    """Open a session: its error, or None once it is there."""
    service = registry.build("realtime", spec, resources)
    before = Sink()  # errors go up
    async with running(before, service) as line:
        while True:
            if errors := before.of(ErrorFrame):
                return errors[0]
            if line.sink.of(SessionOpenFrame):
                return None
            for sink in (before, line.sink):
                sink.arrived.clear()
            await _either(before, line.sink)


async def _either(*sinks: Sink) -> None:
    waits = [asyncio.ensure_future(sink.arrived.wait()) for sink in sinks]
    try:
        async with asyncio.timeout(20):
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


@pytest.mark.parametrize("name", SPECS)
async def test_a_session_opens(vendors, name):
    assert await opened(SPECS[name], vendors.resources) is None


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(
    ("fault", "causes"),
    [
        ("401", {Cause.REFUSED}),
        ("429", {Cause.RATE_LIMIT}),
        ("500", {Cause.SERVER, Cause.BAD_REQUEST}),  # one vendor closes with a protocol's code
        ("drop", {Cause.UNREACHABLE}),
        ("garbage", {Cause.SERVER, Cause.ERROR, Cause.UNREACHABLE}),
    ],
)
async def test_a_fault_at_the_opening_says_what_it_is(vendors, name, fault, causes):
    vendors.fault(f"{name}.realtime={fault}")
    error = await opened(SPECS[name], vendors.resources)
    assert error is not None
    assert of_error(error).cause in causes, error


@pytest.mark.parametrize("name", SPECS)
async def test_a_wrong_key_is_refused_and_stands_in_no_error(vendors, name):
    environ = {**vendors.environ, f"{name.upper()}_API_KEY": CANARY, "GOOGLE_API_KEY": CANARY}
    resources = Resources(vendors.resources.local, environ)
    try:
        error = await opened(SPECS[name], resources)
        assert error is not None
        assert of_error(error).cause is Cause.REFUSED
        assert CANARY not in f"{error} {error.exception!r}"
        with pytest.raises(ProviderConfigError) as refused:
            await registry.probe("realtime", SPECS[name], resources)
        assert CANARY not in str(refused.value)
    finally:
        await resources.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": "openai", "model": "gpt-realtime-9"},
        {"service": "openai", "voice": "nobody"},
        {"service": "gemini", "model": "gemini-9-live"},
        {"service": "elevenlabs", "agent": "agent_none"},
    ],
)
async def test_what_is_not_there_is_found_before_the_first_call(vendors, wrong):
    with pytest.raises(ProviderConfigError):
        await registry.probe("realtime", wrong, vendors.resources)


@pytest.mark.parametrize("name", SPECS)
async def test_what_is_there_passes(vendors, name):
    await registry.probe("realtime", SPECS[name], vendors.resources)


async def test_an_agent_in_another_sound_is_told_how_to_be_set(vendors):
    error = await opened({"service": "elevenlabs", "agent": "agent_wide"}, vendors.resources)
    assert error is not None
    assert error.category is ErrorCategory.INVALID_REQUEST
    assert "mu-law 8000 Hz" in error.error


def test_an_agent_must_be_named():
    from telebot.providers.elevenlabs_realtime import build

    with pytest.raises(ProviderConfigError, match="agent_"):
        build({}, Resources(None, {"ELEVENLABS_API_KEY": "k"}))
