"""The pure parts of speech to speech: what a session knows, what it is given to hear, and which of
OpenAI's responses counts."""

from __future__ import annotations

import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from telebot.providers.openai_responses import Responses, item_of, usage
from telebot.providers.realtime import Memory
from telebot.providers.realtime_hearing import Window

pytestmark = pytest.mark.unit

KEYED = "[keypad] "


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


GREETING = said("assistant", "Hello, how can I help?")
ASKED = said("user", "When are you open?")
TOLD = said("assistant", "We are open")


# --- memory ------------------------------------------------------------------------------------


def test_a_session_is_told_the_greeting_and_not_what_it_heard_itself() -> None:
    memory = Memory()
    memory.heard = True
    assert memory.news([GREETING, ASKED], KEYED) == [GREETING]


def test_a_session_that_did_not_hear_the_caller_is_told_everything() -> None:
    assert Memory().news([GREETING, ASKED], KEYED) == [GREETING, ASKED]


def test_nothing_is_told_twice() -> None:
    memory = Memory()
    assert memory.news([GREETING], KEYED) == [GREETING]
    assert memory.news([GREETING], KEYED) == []


def test_its_own_words_come_back_cut_and_are_not_news() -> None:
    memory = Memory()
    memory.said("We are open from Tuesday to Sunday.")
    assert memory.news([TOLD], KEYED) == []


def test_the_end_of_a_reply_that_another_began_is_its_own() -> None:
    memory = Memory()
    memory.said("from Tuesday to Sunday.")
    whole = said("assistant", "We are open from Tuesday to Sunday.")
    assert memory.news([whole], KEYED) == []


def test_keys_are_told_also_within_a_turn_that_was_spoken() -> None:
    memory = Memory()
    memory.heard = True
    assert memory.news([said("user", "my number is [keypad] 42")], KEYED) == [
        said("user", "[keypad] 42")
    ]


def test_a_turn_that_was_taken_back_does_not_hide_the_next() -> None:
    memory = Memory()
    memory.news([GREETING, ASKED], KEYED)
    memory.heard = True
    later = said("assistant", "Are you still there?")
    assert memory.news([GREETING, said("user", "When are you open on Monday?")], KEYED) == []
    assert memory.news([GREETING, ASKED, later], KEYED) == [later]


# --- hearing -----------------------------------------------------------------------------------


class Listening:
    """A feed that keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def give(self, frame: object) -> bool:
        if isinstance(frame, InputAudioRawFrame):
            self.given.append(frame.audio[:1].decode())
        else:
            self.given.append("<" if isinstance(frame, VADUserStartedSpeakingFrame) else ">")
        return True


def audio(letter: str) -> InputAudioRawFrame:
    return InputAudioRawFrame(letter.encode() * 3200, 8000, 1)  # 0.2 s


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.fixture
def window(listening: Listening) -> Window:
    return Window(listening, always=False)  # type: ignore[arg-type]


def hear(window: Window, letters: str) -> None:
    for letter in letters:
        window.hear(audio(letter))


def test_a_session_hears_utterances_and_a_little_of_what_was_before(
    window: Window, listening: Listening
) -> None:
    hear(window, "abcdef")
    window.begin(VADUserStartedSpeakingFrame(), hold=False)
    hear(window, "gh")
    window.stop(VADUserStoppedSpeakingFrame())
    hear(window, "i")
    assert "".join(listening.given) == "<defgh>"


def test_a_session_with_turns_of_its_own_hears_everything(listening: Listening) -> None:
    window = Window(listening, always=True)  # type: ignore[arg-type]
    hear(window, "ab")
    window.begin(VADUserStartedSpeakingFrame(), hold=False)
    hear(window, "c")
    window.stop(VADUserStoppedSpeakingFrame())
    hear(window, "d")
    assert "".join(listening.given) == "abcd"


def test_what_may_be_a_nod_is_held_and_released_whole(window: Window, listening: Listening) -> None:
    hear(window, "ab")
    window.begin(VADUserStartedSpeakingFrame(), hold=True)
    hear(window, "cdefg")
    assert listening.given == []
    assert len(window.held_audio()) == 7 * 3200
    window.release(VADUserStoppedSpeakingFrame())
    assert "".join(listening.given) == "<abcdefg>"


def test_an_utterance_that_takes_the_floor_while_it_goes_on_is_ended_once(
    window: Window, listening: Listening
) -> None:
    window.begin(VADUserStartedSpeakingFrame(), hold=True)
    hear(window, "a")
    window.release(None)
    hear(window, "b")
    window.release(VADUserStoppedSpeakingFrame())
    assert "".join(listening.given) == "<ab>"


def test_a_nod_is_forgotten(window: Window, listening: Listening) -> None:
    window.begin(VADUserStartedSpeakingFrame(), hold=True)
    hear(window, "abcdefgh")
    window.forget()
    hear(window, "ijk")
    window.begin(VADUserStartedSpeakingFrame(), hold=False)
    assert "".join(listening.given) == "<ijk"


# --- OpenAI's responses ------------------------------------------------------------------------


def test_a_reply_is_cut_where_the_caller_stopped_hearing_it() -> None:
    responses = Responses()
    responses.asked()
    assert responses.begun("r1")
    assert responses.audio("r1", "i1", 0, 8000)
    assert responses.audio("r1", "i2", 0, 8000)
    assert list(responses.cut(1.25)) == [("i2", 0, 250)]


def test_a_reply_that_was_heard_whole_is_not_cut() -> None:
    responses = Responses()
    responses.asked()
    responses.begun("r1")
    responses.audio("r1", "i1", 0, 8000)
    assert list(responses.cut(1.0)) == []


def test_what_still_comes_of_a_cut_response_is_not_heard() -> None:
    responses = Responses()
    responses.asked()
    responses.begun("r1")
    list(responses.cut(0.0))
    assert not responses.audio("r1", "i1", 0, 800)
    assert responses.done("r1") == (False, False)


def test_a_response_that_begins_after_it_was_cut_is_not_heard() -> None:
    responses = Responses()
    responses.asked()
    list(responses.cut(0.0))
    assert not responses.begun("r1")
    assert not responses.wanted()  # one is under way: the next is owed
    assert responses.done("r1") == (False, True)
    responses.asked()
    assert responses.begun("r2")


def test_use_is_told_by_its_sorts() -> None:
    told = {
        "input_token_details": {
            "text_tokens": 100,
            "audio_tokens": 50,
            "cached_tokens": 30,
            "cached_tokens_details": {"text_tokens": 20, "audio_tokens": 10},
        },
        "output_token_details": {"text_tokens": 7, "audio_tokens": 9},
    }
    assert {unit: count for count, unit in usage(told)} == {
        "text_tokens_in": 80,
        "audio_tokens_in": 40,
        "text_tokens_out": 7,
        "audio_tokens_out": 9,
        "cached_tokens_in": 30,
    }


@pytest.mark.parametrize(
    ("role", "item", "part"),
    [
        ("user", "user", "input_text"),
        ("assistant", "assistant", "output_text"),
        ("system", "system", "input_text"),
        ("developer", "system", "input_text"),
    ],
)
def test_messages_are_items(role: str, item: str, part: str) -> None:
    made = item_of(said(role, "x"))
    assert (made["role"], made["content"]) == (item, [{"type": part, "text": "x"}])
