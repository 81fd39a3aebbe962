"""A recording to text: the next one is asked, long ones are cut, an empty text is no answer."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import run
from workers import HZ, Hearer, attempts, offer, sound

from telebot.call.errors import ApiError
from telebot.providers.clips import Recording, Sound, Transcript, Use, Word
from telebot.providers.failure import Cause
from telebot.voice import transcribing
from telebot.voice.preferences import ANYBODY, Preferences

pytestmark = pytest.mark.unit

SILENCE = Recording(Sound(bytes(2 * HZ), HZ))


@pytest.fixture(scope="module")
def speech():
    """Loud speech as a recogniser would find it: a voice with pitch that changes."""
    import numpy as np

    times = np.arange(3 * HZ) / HZ
    pitch = 140 + 40 * np.sin(2 * np.pi * 1.3 * times)
    phase = 2 * np.pi * np.cumsum(pitch) / HZ
    vowel = sum(np.sin(k * phase) / k for k in range(1, 12))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * times)
    return Recording(Sound((vowel * swell * 6000).astype("<i2").tobytes(), HZ))


def heard(recording, *workers, prefers=ANYBODY, run=asyncio.run):
    async def scene():
        made = attempts(asyncio.get_running_loop().time)
        offers = [offer("stt", name, worker) for name, worker in zip("abc", workers, strict=False)]
        done = await transcribing.transcribe(recording, offers, made, prefers)
        return done, made

    return run(scene())


def test_the_first_one_that_hears_it_answers():
    done, made = heard(SILENCE, Hearer([Cause.SERVER]), Hearer(["hello"]))
    assert (done.transcript.text, done.offer.provider) == ("hello", "b")
    assert [(attempt.provider, attempt.cause) for attempt in made.made] == [
        ("a/m", "server"),
        ("b/m", None),
    ]
    assert done.uses == (Use(1.0, "s"),)


def test_no_words_for_loud_speech_is_a_failure(speech):
    done, made = heard(speech, Hearer([""]), Hearer(["hello"]))
    assert done.transcript.text == "hello"
    assert made.made[0].cause == "empty"


def test_no_words_for_silence_is_an_answer():
    done, _ = heard(SILENCE, Hearer([""]))
    assert done.transcript.text == ""


def test_nobody_hears_it():
    with pytest.raises(ApiError) as raised:
        heard(SILENCE, Hearer([Cause.SERVER]), Hearer([Cause.RATE_LIMIT]))
    assert raised.value.status == 502
    assert "a/m (server), b/m (rate_limit)" in str(raised.value)


@pytest.mark.parametrize(
    ("cause", "status"), [(Cause.RATE_LIMIT, 429), (Cause.BAD_REQUEST, 400), (Cause.REFUSED, 502)]
)
def test_what_all_of_them_say_is_the_answer(cause, status):
    with pytest.raises(ApiError) as raised:
        heard(SILENCE, Hearer([cause]), Hearer([cause]))
    assert raised.value.status == status


def test_a_provider_that_does_not_answer_is_given_up():
    class Stuck(Hearer):
        async def transcribe(self, recording):
            await asyncio.sleep(3600)

    done, made = heard(SILENCE, Stuck([]), Hearer(["hello"]), run=run)
    assert done.offer.provider == "b"
    assert made.made[0].cause == "stalled"


def test_a_long_recording_is_cut_and_put_together_with_its_times():
    words = Transcript(
        "two words",
        confidence=0.5,
        words=(Word("two", 0.1, 0.3), Word("words", 0.4, 0.6)),
        uses=(Use(3.0, "tokens_in"),),
    )
    long = Recording(Sound(sound(2.0) + bytes(HZ) + sound(2.0), HZ))
    worker = Hearer([words], longest_s=3.0)
    done, _ = heard(long, worker)
    assert len(worker.asked) == 2
    first = worker.asked[0].sound.seconds
    assert 2.0 <= first <= 2.5  # in the silence
    assert sum(each.sound.seconds for each in worker.asked) == pytest.approx(4.5)
    assert done.transcript.text == "two words two words"
    starts = [word.start_s for word in done.transcript.words]
    assert starts == pytest.approx([0.1, 0.4, first + 0.1, first + 0.4])
    assert done.uses == (Use(6.0, "tokens_in"), Use(4.5, "s"))
    assert worker.asked[1].prompt == "two words"


def test_options_reach_their_provider_alone():
    prefers = Preferences.model_validate({"options": {"b": {"keyterm": "telebot"}}})
    first, second = Hearer([Cause.SERVER]), Hearer(["hello"])
    heard(SILENCE, first, second, prefers=prefers)
    assert first.asked[0].options == {}
    assert second.asked[0].options == {"keyterm": "telebot"}


def test_the_text_is_shown_while_it_grows():
    class Growing(Hearer):
        async def partials(self, recording):
            yield "one"
            yield "one two"
            yield Transcript("one two.")

    async def scene():
        made = attempts(asyncio.get_running_loop().time)
        done = []
        offers = [offer("stt", "a", Growing([]))]
        shown = transcribing.stream(SILENCE, offers, made, ANYBODY, done.append)
        return [text async for text in shown], done

    shown, (done,) = run(scene())
    assert shown == ["one", "one two"]
    assert done.transcript.text == "one two."
