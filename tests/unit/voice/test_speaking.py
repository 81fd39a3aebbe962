"""A text to sound: the next one takes over before a sound was heard, silence is no speech."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from virtual_time import run
from workers import HZ, Filer, Talker, attempts, offer, sound

from telebot.audio import files
from telebot.call.errors import ApiError
from telebot.providers.clips import Script
from telebot.providers.failure import Cause
from telebot.voice import speaking
from telebot.voice.preferences import ANYBODY

pytestmark = pytest.mark.unit

SCRIPT = Script("Good evening, Harbour Street.")
PIECE = sound(0.5)


def said(*workers, script=SCRIPT, whole=False, wanted="pcm"):
    async def scene():
        made = attempts(asyncio.get_running_loop().time)
        offers = [offer("tts", name, worker) for name, worker in zip("abc", workers, strict=False)]
        if whole:
            spoken, audio = await speaking.whole(script, offers, made, ANYBODY, wanted)
            return spoken, audio, made
        spoken = await speaking.speak(script, offers, made, ANYBODY, wanted)
        async with aclosing(spoken.pieces) as pieces:
            return spoken, b"".join([piece async for piece in pieces]), made

    return run(scene())


def test_the_pieces_are_passed_on():
    worker = Talker([PIECE, PIECE])
    spoken, audio, _ = said(worker)
    assert audio == PIECE * 2
    assert spoken.ear.seconds == len(audio) / 2 / spoken.rate_hz
    assert spoken.uses[0].quantity == len(SCRIPT.text)
    assert worker.closed == 1


@pytest.mark.parametrize(
    ("pieces", "cause"),
    [
        ([Cause.SERVER], "server"),
        ([], "silent"),
        ([sound(2.0, 0), sound(2.0, 0)], "silent"),
        ([60.0, PIECE], "stalled"),
        ([sound(0.1, 0), Cause.STALLED], "stalled"),
    ],
)
def test_the_next_one_takes_over_before_a_sound_was_heard(pieces, cause):
    first = Talker(pieces)
    spoken, audio, made = said(first, Talker([PIECE, PIECE]))
    assert spoken.offer.provider == "b"
    assert audio == PIECE * 2
    assert made.made[0].cause == cause
    assert first.closed == 1


def test_silence_before_the_first_sound_is_kept():
    _, audio, _ = said(Talker([sound(0.2, 0), PIECE, PIECE]))
    assert audio == sound(0.2, 0) + PIECE * 2


@pytest.mark.parametrize("pieces", [[PIECE, Cause.SERVER], [PIECE, 60.0], [sound(0.05)]])
def test_a_failure_in_the_middle_ends_the_stream_and_says_so(pieces):
    with pytest.raises(ApiError):
        said(Talker(pieces), Talker([PIECE, PIECE]))


@pytest.mark.parametrize("pieces", [[PIECE, Cause.SERVER], [PIECE, 60.0], [sound(0.05)]])
def test_a_whole_answer_is_begun_again_by_the_next(pieces):
    spoken, audio, made = said(Talker(pieces), Talker([PIECE, PIECE]), whole=True)
    assert spoken.offer.provider == "b"
    assert audio == PIECE * 2
    assert [attempt.cause is None for attempt in made.made] == [False, True]


def test_a_long_text_is_cut_between_sentences_and_words():
    worker = Talker([sound(2.0)], longest=40)
    text = "The first sentence is short. The second one is quite a bit longer than that. Bye."
    said(worker, script=Script(text))
    parts = [script.text for script in worker.asked]
    assert max(map(len, parts)) <= 40
    assert " ".join(parts) == text
    assert parts[0] == "The first sentence is short."


def test_who_stops_listening_stops_the_provider():
    worker = Talker([PIECE, 1.0, PIECE])

    async def scene():
        made = attempts(asyncio.get_running_loop().time)
        spoken = await speaking.speak(SCRIPT, [offer("tts", "a", worker)], made, ANYBODY)
        async with aclosing(spoken.pieces) as pieces:
            async for _ in pieces:
                break
        return worker.closed

    assert run(scene()) == 1


def mp3(*pcm16: bytes) -> bytes:
    encoder = files.Encoder("mp3", HZ)
    return b"".join(map(encoder.feed, pcm16)) + encoder.finish()


MP3 = mp3(PIECE, PIECE)
LONG = Script("A sentence. " * 100)


def test_a_file_that_is_wanted_is_passed_on_as_it_comes():
    worker = Filer([MP3[:700], MP3[700:]])
    spoken, audio, _ = said(worker, wanted="mp3")
    assert (spoken.kind, spoken.rate_hz, audio, worker.kinds) == ("mp3", HZ, MP3, ["mp3"])
    assert worker.closed == 1


@pytest.mark.parametrize(
    ("worker", "script", "wanted"),
    [
        (Filer([PIECE, PIECE]), SCRIPT, "opus"),
        (Filer([PIECE, PIECE], files=frozenset({"opus"})), SCRIPT, "mp3"),
        (Filer([PIECE, PIECE]), SCRIPT, "pcm"),
        (Filer([PIECE] * 50), LONG, "mp3"),
        (Talker([PIECE, PIECE]), SCRIPT, "mp3"),
    ],
)
def test_everybody_else_gives_samples(worker, script, wanted):
    spoken, audio, _ = said(worker, script=script, wanted=wanted)
    assert spoken.kind == "pcm"
    assert set(audio[: len(PIECE)]) == set(PIECE)


@pytest.mark.parametrize(
    ("pieces", "cause"),
    [
        ([mp3(sound(4.0, 0))], "silent"),
        ([b"<!doctype html>" * 9000], "error"),
        ([MP3[:100]], "silent"),
        ([60.0], "stalled"),
    ],
)
def test_a_file_without_a_sound_is_followed_by_another(pieces, cause):
    spoken, audio, made = said(Filer(pieces), Talker([PIECE, PIECE]), wanted="mp3")
    assert (spoken.kind, audio, made.made[0].cause) == ("pcm", PIECE * 2, cause)


def test_a_file_that_is_too_short_for_its_text_is_none():
    long = Script("A sentence that lasts for some seconds at the least, whoever says it. " * 2)
    with pytest.raises(ApiError):
        said(Filer([MP3]), script=long, wanted="mp3")
    spoken, audio, made = said(
        Filer([MP3]), Talker([PIECE] * 8), script=long, wanted="mp3", whole=True
    )
    assert (spoken.kind, audio) == ("pcm", PIECE * 8)
    assert made.made[0].cause == "short"
