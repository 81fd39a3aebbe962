"""Recordings that vendors keep as jobs: none is left there, however the request ends."""

from __future__ import annotations

import asyncio

import pytest
from simulated import simulated

from telebot.call.errors import ProviderConfigError
from telebot.providers import http_hearing, registry
from telebot.providers.clips import ClipFailed, Recording, Sound
from telebot.providers.failure import Cause
from telebot.simulate import recordings

pytestmark = pytest.mark.peers

NAMES = ("assemblyai", "gladia", "soniox", "speechmatics")
SILENCE = Recording(Sound(bytes(32_000), 16_000), language="en", speakers=True)


@pytest.fixture
def kept(monkeypatch):
    """The jobs of every simulated vendor."""
    made = []
    begin = recordings.Jobs.__init__

    def remembered(self, of):
        begin(self, of)
        made.append(self)

    monkeypatch.setattr(recordings.Jobs, "__init__", remembered)
    return made


def waiting(kept):
    return [number for each in kept for number in each.waiting]


@pytest.mark.parametrize("name", [*NAMES, "rev-ai"])
async def test_a_job_that_is_done_is_deleted(speech, kept, name):
    async with simulated(speech, [name]) as vendor:
        await registry.build_transcriber(name, {}, vendor.resources).transcribe(SILENCE)
        assert kept
        assert waiting(kept) == []


@pytest.mark.parametrize("name", NAMES)  # Rev AI keeps a job that is at work
async def test_a_job_that_is_given_up_is_deleted(speech, kept, name):
    async with simulated(speech, [name]) as vendor:
        hears = registry.build_transcriber(name, {}, vendor.resources)
        vendor.fault(f"{name}.stt=stall@first")
        task = asyncio.create_task(hears.transcribe(SILENCE))
        await vendor.until(lambda: bool(waiting(kept)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert waiting(kept) == []


@pytest.mark.parametrize("name", NAMES)
async def test_a_job_that_is_given_up_while_its_vendor_answers_is_deleted(
    speech, kept, monkeypatch, name
):
    tasks: list[asyncio.Task[object]] = []
    add = recordings.Jobs.add

    def given_up(self, *told, **named):
        """The vendor has it, and has not said so yet."""
        tasks[0].cancel()
        return add(self, *told, **named)

    async with simulated(speech, [name]) as vendor:
        monkeypatch.setattr(recordings.Jobs, "add", given_up)
        hears = registry.build_transcriber(name, {}, vendor.resources)
        vendor.fault(f"{name}.stt=stall@first")
        tasks.append(asyncio.create_task(hears.transcribe(SILENCE)))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        assert kept
        assert waiting(kept) == []


async def test_a_job_that_takes_too_long_is_given_up(speech, kept, monkeypatch):
    monkeypatch.setattr(http_hearing, "LEAST_S", 0.5)
    async with simulated(speech, ["gladia"]) as vendor:
        hears = registry.build_transcriber("gladia", {}, vendor.resources)
        vendor.fault("gladia.stt=stall@middle")
        with pytest.raises(ClipFailed) as raised:
            await hears.transcribe(SILENCE)
        assert raised.value.failure.cause is Cause.SLOW_FIRST
        assert waiting(kept) == []


@pytest.mark.parametrize("name", NAMES)
async def test_an_unknown_model_is_refused(speech, name):
    async with simulated(speech, [name]) as vendor:
        hears = registry.build_transcriber(name, {"model": "no-such"}, vendor.resources)
        with pytest.raises(ClipFailed) as raised:
            await hears.transcribe(SILENCE)
        assert raised.value.failure.cause is Cause.BAD_REQUEST


@pytest.mark.parametrize("name", ["amazon-transcribe", "azure", "rev-ai"])
async def test_a_model_that_there_is_not_is_told_before(speech, name):
    async with simulated(speech, [name]) as vendor:
        with pytest.raises(ProviderConfigError, match=name):
            registry.build_transcriber(name, {"model": "no-such"}, vendor.resources)
