"""Every way a turn ends and a contest is settled, on a virtual clock."""

from __future__ import annotations

import pytest
from scripted_floor import PLAIN, STOP_S, Scene

pytestmark = pytest.mark.unit

WHOLE = "Are you open on Mondays?"
OPEN = "We are coming on Friday"
UNFINISHED = "I'd like to book a table for"


# the end of a turn


def test_a_finished_sentence_is_answered_as_soon_as_its_text_is_there():
    scene = Scene()
    scene.speak(1.5)
    scene.hear(WHOLE, after_s=0.15)
    assert scene.texts == [WHOLE]
    assert scene.wait_of() == pytest.approx(STOP_S + 0.15)
    assert scene.log == ["caller_speaks", "take"]
    assert scene.time.pending == 0


def test_without_a_turn_model_any_pause_ends_the_turn():
    scene = Scene(PLAIN)
    scene.speak(1.0)
    scene.hear(UNFINISHED)
    assert scene.texts == [UNFINISHED]
    assert scene.asks == []


def test_a_second_inside_an_unfinished_sentence_is_not_answered():
    scene = Scene(model=(0.9,))  # the audio may sound as finished as it likes
    scene.speak(1.2)
    scene.hear(UNFINISHED)
    scene.time.run(1.0 - STOP_S - 0.1)
    assert scene.taken == []
    scene.speak(0.6)
    scene.hear("six people.")
    scene.time.run(0.1)
    assert scene.texts == [f"{UNFINISHED} six people."]
    assert scene.log.count("caller_speaks") == 1, "one turn"


def test_an_unfinished_sentence_is_answered_after_its_wait_all_the_same():
    scene = Scene()
    scene.speak(1.2)
    scene.hear(UNFINISHED)
    scene.time.run(5)
    assert scene.texts == [UNFINISHED]
    assert scene.wait_of() == pytest.approx(1.8)


@pytest.mark.parametrize(
    ("probability", "wait_s"), [(0.9, 0.35), (0.51, 0.35), (0.3, 0.9), (0.1, 1.8), (0.0, 1.8)]
)
def test_the_model_says_how_long_an_open_sentence_waits(probability, wait_s):
    scene = Scene(model=(probability,))
    scene.speak(1.0)
    scene.hear(OPEN)
    scene.time.run(5)
    assert scene.texts == [OPEN]
    assert scene.wait_of() == pytest.approx(wait_s)


@pytest.mark.parametrize("text", ["Yes please.", WHOLE, "No, thank you."])
def test_a_closed_sentence_needs_no_model(text):
    scene = Scene(model=(0.0,))
    scene.speak(0.5)
    scene.hear(text, after_s=0.05)
    scene.time.run(5)
    assert scene.wait_of() == pytest.approx(STOP_S + 0.05)
    assert scene.asks == [], "the model is dear"


def test_a_recogniser_that_takes_its_time_finds_the_models_word_there_already():
    scene = Scene()
    scene.speak(1.0)
    scene.hear(OPEN, after_s=0.4)
    assert scene.texts == [OPEN]
    assert len(scene.asks) == 1


def test_a_model_that_is_late_does_not_keep_the_caller_waiting():
    scene = Scene(model=(None,))
    scene.speak(1.0)
    scene.hear(OPEN)
    scene.time.run(5)
    assert scene.texts == [OPEN]
    assert scene.wait_of() <= STOP_S + 0.1 + 0.6 + 0.01
    assert scene.time.pending == 0


def test_a_late_word_of_the_model_changes_nothing():
    scene = Scene(model=(0.0,))
    scene.model_delay_s = 3.0
    scene.speak(1.0)
    scene.hear(OPEN)
    scene.time.run(10)
    assert scene.texts == [OPEN]
    assert scene.log == ["caller_speaks", "take"]


def test_the_models_word_on_an_earlier_pause_is_void():
    scene = Scene(model=(1.0, 0.0))
    scene.model_delay_s = 0.5
    scene.speak(1.0)
    scene.hear("We are coming")  # asked about this pause …
    scene.time.run(0.2)
    scene.speak(0.1)  # … which is over
    scene.hear("on Friday", after_s=0.05)
    scene.time.run(0.6)
    assert scene.taken == [], "taken for what was said of another pause"
    scene.time.run(5)
    assert scene.texts == [OPEN]


def test_a_no_is_asked_about_once_more_and_no_more():
    scene = Scene(model=(0.0, 0.9))
    scene.speak(1.0)
    scene.hear(OPEN)
    scene.time.run(5)
    assert len(scene.asks) == 2
    assert scene.wait_of() < 1.0
    scene = Scene(model=(0.0,))
    scene.speak(1.0)
    scene.hear(OPEN)
    scene.time.run(5)
    assert len(scene.asks) == 2


def test_text_before_the_stop_waits_a_moment_for_more():
    scene = Scene()
    scene.turns.speech_started()
    scene.time.run(1.0)
    scene.turns.text(WHOLE)
    scene.fall_silent()
    scene.time.run(2)
    assert scene.texts == [WHOLE]
    assert scene.wait_of() <= STOP_S + 0.3 + 0.01


def test_two_texts_of_one_turn_are_joined():
    scene = Scene()
    scene.turns.speech_started()
    scene.time.run(0.5)
    scene.turns.text("Are you open")
    scene.time.run(0.5)
    scene.fall_silent()
    scene.hear("on Mondays?", after_s=0.2)
    assert scene.texts == [WHOLE]


@pytest.mark.parametrize("text", ["", " ", "…", "...", "?!", "-"])
def test_a_sound_without_words_gives_the_floor_back_to_nobody(text):
    scene = Scene()
    scene.speak(0.4)
    scene.hear(text)
    assert scene.taken == []
    assert scene.log == ["caller_speaks", "nothing_said"]
    assert not scene.turns.open


def test_a_sound_without_words_does_not_bother_the_model():
    scene = Scene()
    scene.speak(0.4)
    scene.hear("", after_s=0.05)
    scene.time.run(3)
    assert scene.asks == []


def test_a_recogniser_that_says_nothing_at_all():
    scene = Scene()
    scene.speak(0.4)
    scene.time.run(5)
    assert scene.log == ["caller_speaks", "nothing_said"]
    assert not scene.turns.open


def test_going_on_after_a_pause_is_one_turn():
    scene = Scene(model=(0.1, 0.1, 0.9))
    scene.speak(0.8)
    scene.hear("A table for four")
    scene.time.run(0.5)
    scene.speak(0.8)
    scene.hear("on Friday at seven.")
    scene.time.run(3)
    assert scene.texts == ["A table for four on Friday at seven."]


@pytest.mark.parametrize(
    "text",
    [
        "Größe",
        "sí",
        pytest.param("да, конечно"),
        pytest.param("はい、お願いします"),
        pytest.param("نعم"),
    ],
)
def test_words_are_words_in_any_script(text):
    scene = Scene()
    scene.speak(0.8)
    scene.hear(text)
    scene.time.run(5)
    assert scene.texts == [text]


def test_unfinished_words_of_a_speaker_too_soft_for_the_detector_are_waited_for():
    scene = Scene()
    scene.time.run(10)
    scene.turns.text(UNFINISHED)
    scene.time.run(0.5)
    assert scene.taken == []


def test_words_without_an_onset_have_an_end_of_speech_near_them():
    scene = Scene()
    scene.time.run(10)
    scene.turns.text(WHOLE)
    scene.time.run(3)
    assert scene.texts == [WHOLE]
    assert scene.time.now - scene.turns.ended_at < 10


# the caller speaks over the bot


def test_the_voice_falls_silent_with_the_onset():
    scene = Scene()
    scene.bot_speaks()
    scene.turns.speech_started()
    assert scene.log == ["silence"]
    assert scene.turns.contested
    assert not scene.turns.open


@pytest.mark.parametrize("text", ["", "Mm-hmm.", "Uh-huh.", "Okay.", "Yeah.", "I see.", "You"])
def test_a_cough_a_hum_and_a_nod_give_the_floor_back(text):
    scene = Scene()
    scene.bot_speaks()
    scene.speak(0.3)
    scene.hear(text)
    assert scene.log == ["silence", "resume"]
    assert not scene.turns.contested
    scene.time.run(10)
    assert scene.log == ["silence", "resume"]
    assert scene.time.pending == 0


def test_a_cough_that_nobody_says_anything_about():
    scene = Scene()
    scene.bot_speaks()
    scene.speak(0.3)
    scene.time.run(0.9)
    assert scene.log == ["silence"]
    scene.time.run(0.2)
    assert scene.log == ["silence", "resume"]


@pytest.mark.parametrize("text", ["Stop.", "No wait", "Actually, make it five", "What?", WHOLE])
def test_words_take_the_floor(text):
    scene = Scene()
    scene.bot_speaks()
    scene.speak(0.5)
    scene.hear(text)
    scene.time.run(3)
    assert scene.log == ["silence", "drop", "caller_speaks", "take"]
    assert scene.texts == [text]


def test_a_nod_is_an_answer_once_the_bot_has_asked():
    scene = Scene()
    scene.bot_speaks(asked=True)
    scene.speak(0.4)
    scene.hear("Yeah.")
    scene.time.run(3)
    assert scene.texts == ["Yeah."]


@pytest.mark.parametrize(("text", "hum"), [("Parking.", False), ("Monday?", False), ("Mum.", True)])
def test_a_short_word_is_no_hum_but_the_spelling_of_one_is(text, hum):
    scene = Scene()
    scene.bot_speaks()
    scene.speak(0.3)
    scene.hear(text)
    scene.time.run(3)
    assert scene.texts == ([] if hum else [text])
    assert ("resume" in scene.log) == hum


def test_speech_that_goes_on_takes_the_floor_before_any_word():
    scene = Scene()
    scene.bot_speaks()
    scene.turns.speech_started()
    scene.time.run(0.74)
    assert scene.log == ["silence"]
    scene.time.run(0.02)
    assert scene.log == ["silence", "drop", "caller_speaks"]
    scene.time.run(1.0)
    scene.fall_silent()
    scene.hear(WHOLE)
    assert scene.texts == [WHOLE]


def test_speech_in_several_bursts_adds_up():
    scene = Scene()
    scene.bot_speaks()
    for _ in range(2):
        scene.speak(0.4)
        scene.time.run(0.3)
    scene.turns.speech_started()
    scene.time.run(0.3)
    assert "drop" in scene.log
    assert scene.log.count("silence") == 1, "silenced once"


def test_the_voice_does_not_go_on_into_a_second_burst():
    scene = Scene()
    scene.bot_speaks()
    scene.speak(0.2)
    scene.time.run(0.9)
    scene.turns.speech_started()
    scene.time.run(0.3)
    assert scene.log == ["silence"]


def test_interim_words_take_the_floor():
    scene = Scene()
    scene.bot_speaks()
    scene.turns.speech_started()
    scene.time.run(0.3)
    scene.turns.interim("no")
    assert scene.turns.contested
    scene.turns.interim("no I meant")
    assert not scene.turns.contested
    scene.fall_silent()
    scene.hear("No, I meant Tuesday.")
    scene.time.run(0.1)
    assert scene.texts == ["No, I meant Tuesday."]


def test_a_long_sound_without_words_leaves_the_floor_to_nobody():
    scene = Scene()
    scene.bot_speaks()
    scene.speak(2.0)
    scene.hear("")
    assert scene.log == ["silence", "drop", "caller_speaks", "nothing_said"]


def test_an_interruption_that_wants_to_go_on_is_waited_for():
    scene = Scene()
    scene.bot_speaks()
    scene.speak(0.7)
    scene.hear("Actually I want a table for")
    scene.time.run(1.0 - STOP_S - 0.1)
    assert scene.taken == []
    scene.time.run(3)
    assert scene.texts == ["Actually I want a table for"]


def test_going_on_while_the_bot_thinks_takes_the_turn_back_and_joins_it():
    scene = Scene()
    scene.bot_thinks("A table for four")
    scene.speak(0.5)
    scene.hear("on Friday please.")
    scene.time.run(3)
    assert scene.texts == ["A table for four on Friday please."]


def test_going_on_for_long_while_the_bot_thinks_joins_it_too():
    scene = Scene()
    scene.bot_thinks("A table for four")
    scene.speak(2.0)
    scene.hear("on Friday at half past seven please.")
    scene.time.run(3)
    assert scene.texts == ["A table for four on Friday at half past seven please."]


def test_a_cough_while_the_bot_thinks_changes_nothing():
    scene = Scene()
    scene.bot_thinks(WHOLE)
    scene.speak(0.2)
    scene.hear("")
    assert scene.log == ["silence", "resume"]
    assert scene.thinking == WHOLE


def test_a_long_noise_while_the_bot_thinks_does_not_lose_the_turn():
    scene = Scene()
    scene.bot_thinks(WHOLE)
    scene.speak(2.0)
    scene.hear("")
    scene.time.run(5)
    assert scene.texts == [WHOLE]


CONTEST_TIMER = (
    "when the words timer of a contest runs out `_give_back` forgets the words that are already "
    "there; it should judge them (`_contest_words`)"
)


def test_words_that_came_before_the_detectors_stop_are_not_forgotten():
    """A streaming recogniser is faster than the 200 ms of silence that the detector wants."""
    scene = Scene()
    scene.bot_speaks()
    scene.turns.speech_started()
    scene.time.run(0.4)
    scene.turns.text("No wait")
    scene.fall_silent()
    scene.time.run(5)
    assert scene.texts == ["No wait"]


def test_words_of_the_first_of_two_bursts_are_not_forgotten():
    scene = Scene()
    scene.bot_speaks()
    scene.speak(0.3)
    scene.time.run(0.05)
    scene.turns.speech_started()
    scene.turns.text("No wait")
    scene.time.run(0.1)
    scene.fall_silent()
    scene.time.run(5)
    assert scene.texts == ["No wait"]


LATE_TEXT = (
    "`text` outside a contest takes the turn although a reply is being said: nothing silences the "
    "voice, `Replies.want` overwrites the reply, which is never on record"
)


def test_words_that_come_after_the_voice_went_on_still_interrupt_it():
    """The recogniser is slow (it has a queue); the wait for words is over."""
    scene = Scene()
    scene.bot_speaks()
    scene.speak(0.5)
    scene.hear("Stop, that is wrong.", after_s=1.3)
    scene.time.run(3)
    assert scene.faults == []
    assert scene.texts == ["Stop, that is wrong."]


def test_a_last_text_after_the_turn_was_taken_is_no_second_turn_beside_the_first():
    scene = Scene()
    scene.speak(1.0)
    scene.hear("A table for four")
    scene.time.run(0.1)
    assert scene.texts == ["A table for four"]
    scene.hear("on Friday.", after_s=0.2)
    scene.time.run(3)
    assert scene.faults == []
    assert scene.texts[-1] == "A table for four on Friday."


def test_a_nod_too_soft_for_the_detector_does_not_take_the_floor():
    scene = Scene()
    scene.bot_speaks()
    scene.turns.text("Mm-hmm.")
    scene.time.run(3)
    assert scene.taken == []


# digits


def test_digits_are_a_turn_at_once():
    scene = Scene()
    scene.turns.take_now("[keypad] 42")
    assert scene.texts == ["[keypad] 42"]
    assert scene.time.pending == 0


@pytest.mark.parametrize("contested", [False, True])
def test_digits_over_the_bot_drop_its_reply(contested):
    scene = Scene()
    scene.bot_speaks()
    if contested:
        scene.turns.speech_started()
    scene.turns.take_now("[keypad] 42")
    assert scene.faults == []
    assert scene.texts == ["[keypad] 42"]
    assert "drop" in scene.log
    assert not scene.turns.contested
    assert scene.time.pending == 0


def test_digits_while_the_bot_thinks_do_not_lose_the_words_before():
    scene = Scene()
    scene.bot_thinks("A table for four, my number is this")
    scene.turns.take_now("[keypad] 5551234")
    assert "A table for four" in " ".join(scene.texts)


def test_forgetting_leaves_nothing_behind():
    scene = Scene(model=(0.0,))
    scene.speak(0.5)
    scene.hear(UNFINISHED)
    assert scene.time.pending
    scene.turns.reset()
    scene.time.run(10)
    assert scene.taken == []
    assert scene.time.pending == 0


@pytest.mark.parametrize(
    ("text", "seconds", "nonsense", "interrupts"),
    [("Man.", 0.4, True, False), ("Stop.", 0.4, False, True), ("Man overboard.", 0.4, True, True)],
)
def test_a_short_word_that_means_nothing_may_have_been_a_hum(text, seconds, nonsense, interrupts):
    scene = Scene()
    scene.bot_speaks()
    if nonsense:
        scene.nonsense.add(text)
    scene.speak(seconds)
    scene.hear(text)
    scene.time.run(3)
    assert scene.texts == ([text] if interrupts else [])
    assert ("resume" in scene.log) is not interrupts
