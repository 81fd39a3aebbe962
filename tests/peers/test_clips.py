"""Work that is no call at every vendor: a sentence heard, a sentence spoken, every fault told.

One contract for all of them, against their simulated wires; what one vendor alone can do stands in
`test_NAME_clips.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

import pytest
from service_line import CANARY
from simulated import simulated

from telebot.audio import resample
from telebot.audio.levels import level_dbfs
from telebot.providers import registry
from telebot.providers.clips import ClipFailed, ListsVoices, Recording, Script, Sound, Streams
from telebot.providers.failure import Cause
from telebot.simulate.registry import variables

pytestmark = pytest.mark.peers

SENTENCE = "I would like to book a table for four people."
SCRIPT = Script("The car park is behind the building.")
HEARING = sorted(set(registry.TRANSCRIBERS) - registry.OURS)
SPEAKING = sorted(set(registry.SPEAKERS) - registry.OURS)
CAUSES = {401: Cause.REFUSED, 429: Cause.RATE_LIMIT, 500: Cause.SERVER}
NAMED = {"resemble": "a-voice"}  # voices of those that have no usual one
HZ = 16_000
# names under which a vendor serves several wires
SIMULATED_AS = {"openai-compatible": "openai"}


def simulated_name(name: str) -> str:
    return SIMULATED_AS.get(name, name)


@pytest.fixture(scope="module")
def recording(speech):
    async def spoken() -> bytes:
        clips = [clip.pcm16 async for clip in speech.tts.stream(SENTENCE, rate_hz=HZ)]
        return b"".join(clips)

    return Recording(Sound(asyncio.run(spoken()), HZ))


def transcriber(vendor, name, **environ):
    vendor.resources.environ = {**vendor.environ, **environ}
    return registry.build_transcriber(name, {}, vendor.resources)


def speaker(vendor, name, **environ):
    vendor.resources.environ = {**vendor.environ, **environ}
    return registry.build_speaker(name, {}, vendor.resources)


async def spoken(speaks, script: Script = SCRIPT) -> bytes:
    return b"".join([piece async for piece in speaks.speak(script)])


async def failure(work) -> ClipFailed:
    with pytest.raises(ClipFailed) as raised:
        async with asyncio.timeout(60):
            await work
    assert CANARY not in f"{raised.value!r} {raised.value} {raised.value.__cause__!r}"
    return raised.value


async def test_this_machine_hears_and_speaks(speech, recording):
    async with simulated(speech, ()) as vendor:
        heard = await registry.build_transcriber("local", {}, vendor.resources).transcribe(
            recording
        )
        assert "table for four" in heard.text.lower()
        speaks = registry.build_speaker("local", {}, vendor.resources)
        assert level_dbfs(await spoken(speaks)) > -40
        assert [voice.id for voice in await speaks.voices()] == ["heart"]


@pytest.mark.parametrize("name", HEARING)
async def test_a_sentence_is_heard(speech, recording, name):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        hears = transcriber(vendor, name)
        heard = await hears.transcribe(recording)
        assert "table for four" in heard.text.lower()
        assert all(use.quantity > 0 for use in heard.uses)
        if "words" in hears.abilities:
            wanted = Recording(recording.sound, language="en", words=True)
            words = (await hears.transcribe(wanted)).words
            assert [word.text.strip(".,?!").lower() for word in words][-2:] == ["four", "people"]
            starts = [word.start_s for word in words]
            assert starts == sorted(starts)
            assert words[-1].end_s <= recording.sound.seconds + 0.1
        if isinstance(hears, Streams):
            shown = [each async for each in hears.partials(recording)]
            assert "table for four" in shown[-1].text.lower()


@pytest.mark.parametrize("name", HEARING)
async def test_silence_has_no_words(speech, name):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        heard = await transcriber(vendor, name).transcribe(Recording(Sound(bytes(2 * HZ), HZ)))
        assert heard.text == ""


@pytest.mark.parametrize("name", HEARING)
@pytest.mark.parametrize("status", CAUSES)
async def test_a_recogniser_that_refuses_is_told_from_one_that_fails(
    speech, recording, name, status
):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        vendor.fault(f"{simulated_name(name)}.stt={status}@connect")
        error = await failure(transcriber(vendor, name).transcribe(recording))
        assert error.failure.cause is CAUSES[status]


@pytest.mark.parametrize("name", HEARING)
async def test_a_recogniser_that_is_cut_off_has_failed(speech, recording, name):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        vendor.fault(f"{simulated_name(name)}.stt=drop@first")
        await failure(transcriber(vendor, name).transcribe(recording))
        vendor.fault()
        assert await well_again(vendor, name, recording)


async def well_again(vendor, name, recording):
    """The text, once there is one: gRPC lets a request that follows at once go with the connection
    that was cut."""
    async with asyncio.timeout(30):
        while True:
            with suppress(ClipFailed):
                return (await transcriber(vendor, name).transcribe(recording)).text
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", HEARING)
async def test_a_recogniser_that_is_not_asked_any_more_is_let_go(speech, recording, name):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        vendor.fault(f"{simulated_name(name)}.stt=stall@first")
        task = asyncio.create_task(transcriber(vendor, name).transcribe(recording))
        await vendor.until(lambda: vendor.sim.requests)
        await asyncio.sleep(0.05)  # in the middle of the exchange
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("name", SPEAKING)
async def test_a_sentence_is_spoken(speech, name):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        speaks = speaker(vendor, name)
        pcm16 = await spoken(speaks)
        at_16k = resample.resample(pcm16, speaks.rate_hz, HZ)
        text = (await speech.stt.transcribe(at_16k, HZ)).text.lower()
        assert "behind the building" in text
        assert [(use.quantity, use.unit) for use in speaks.uses(SCRIPT)]
        if isinstance(speaks, ListsVoices):
            assert all(voice.id for voice in await speaks.voices())


@pytest.mark.parametrize("name", SPEAKING)
@pytest.mark.parametrize("status", CAUSES)
async def test_a_voice_that_refuses_is_told_from_one_that_fails(speech, name, status):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        vendor.fault(f"{simulated_name(name)}.tts={status}@connect")
        error = await failure(spoken(speaker(vendor, name)))
        assert error.failure.cause is CAUSES[status]


@pytest.mark.parametrize("name", SPEAKING)
async def test_a_voice_that_is_cut_off_says_so(speech, name):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        vendor.fault(f"{simulated_name(name)}.tts=drop@middle")
        long = Script("The car park is behind the building. " * 6)
        await failure(spoken(speaker(vendor, name), long))


@pytest.mark.parametrize("name", SPEAKING)
async def test_a_voice_that_is_not_listened_to_any_more_is_let_go(speech, name):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        long = Script("The car park is behind the building. " * 6)
        async with aclosing(speaker(vendor, name).speak(long)) as pieces:
            async for _ in pieces:
                break


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("stt", name) for name in HEARING), *(("tts", name) for name in SPEAKING)],
)
async def test_no_key_is_told(speech, recording, kind, name):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        needed = variables(simulated_name(name), vendor.url)
        wrong = {known: CANARY for known in needed if "KEY" in known}
        if kind == "stt":
            error = await failure(transcriber(vendor, name, **wrong).transcribe(recording))
        else:
            error = await failure(spoken(speaker(vendor, name, **wrong)))
        assert error.failure.cause is Cause.REFUSED


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("stt", name) for name in HEARING if name != "google"),  # it wants its owner's project
        *(("tts", name) for name in SPEAKING),
    ],
)
async def test_a_stored_key_is_the_one_that_is_used(speech, recording, kind, name):
    async with simulated(speech, [simulated_name(name)]) as vendor:
        theirs = vendor.resources.with_key(name, f"{CANARY}:{CANARY}")
        if kind == "stt":
            hears = registry.build_transcriber(name, {}, theirs)
            error = await failure(hears.transcribe(recording))
        else:
            speaks = registry.build_speaker(name, {}, theirs)
            error = await failure(spoken(speaks, Script("Good day.", voice=NAMED.get(name))))
        assert error.failure.cause is Cause.REFUSED
        assert registry.account(kind, {"service": name}, theirs).startswith(CANARY)
