"""Whatever happens in whatever order, nobody is left hanging: the caller is answered, the voice is
given back, no timer stays."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_floor import PACE, PLAIN, Scene

pytestmark = pytest.mark.unit

SOUNDS = ("", "…", "Mm-hmm.", "Uh-huh.", "You")
SENTENCES = (
    "Are you open on Mondays?",
    "I'd like to book a table for",
    "No, wait, I meant Tuesday.",
    "My number is",
    "Could you repeat that, please",
)


@dataclass
class Play:
    """Drives a scene through random events; a detector and a recogniser that keep their order."""

    scene: Scene
    said: list[str] = field(default_factory=list)
    speaking: bool = False
    owed: bool = False  # the recogniser has not answered the last sound yet

    def onset(self) -> None:
        if not self.speaking:
            self.speaking = self.owed = True
            self.scene.turns.speech_started()

    def stop(self) -> None:
        if self.speaking:
            self.speaking = False
            self.scene.fall_silent()

    def text(self, text: str) -> None:
        """Numbered, so that each can be found again in the turns."""
        if text in SENTENCES:
            text = f"{text} number{len(self.said)}x"
            self.said.append(text)
        self.owed = False
        self.scene.turns.text(text)

    def answer(self, text: str) -> None:
        """Words where a recogniser owes some, and in the time it is given."""
        if self.owed and not self.speaking:
            self.text(text)

    def bot(self, what: str) -> None:
        """As a conversation does: a voice that is held neither begins nor ends a reply."""
        scene = self.scene
        if what == "say" and not scene.occupied and not scene.turns.open:
            scene.bot_speaks()
        elif what == "ask" and not scene.occupied and not scene.turns.open:
            scene.bot_speaks(asked=True)
        elif what == "heard":
            scene.thinking = ""
        elif what == "end" and not scene.held:
            scene.occupied, scene.thinking = False, ""

    def end(self) -> None:
        self.stop()
        for _ in range(20):
            self.scene.time.run(1.0)
            self.bot("heard")
            self.bot("end")


def run(play: Play, steps: list[tuple[str, object]]) -> Scene:
    for name, value in steps:
        if name == "wait":
            play.scene.time.run(float(value))  # type: ignore[arg-type]
        elif name == "digits":
            play.scene.turns.take_now(f"[keypad] {value}")
        elif name in ("answer", "text", "bot"):
            getattr(play, name)(value)
        elif name == "interim":
            play.scene.turns.interim(str(value))
        elif name == "no_text":
            play.owed = False
            play.scene.turns.no_text()
        else:
            getattr(play, name)()
    play.end()
    return play.scene


def steps(*more: st.SearchStrategy[tuple[str, object]]) -> st.SearchStrategy[list]:
    words = st.sampled_from(SOUNDS + SENTENCES)
    return st.lists(
        st.one_of(
            st.tuples(st.just("wait"), st.sampled_from([0.02, 0.1, 0.3, 0.5, 0.8, 1.5, 4.0])),
            st.tuples(st.just("onset"), st.none()),
            st.tuples(st.just("stop"), st.none()),
            st.tuples(st.just("answer"), words),
            st.tuples(st.just("bot"), st.sampled_from(["say", "ask", "heard", "end"])),
            *more,
        ),
        max_size=25,
    )


ANY = (
    st.tuples(st.just("text"), st.sampled_from(SOUNDS + SENTENCES)),
    st.tuples(st.just("interim"), st.sampled_from(SOUNDS + SENTENCES)),
    st.tuples(st.just("no_text"), st.none()),
    st.tuples(st.just("digits"), st.sampled_from(["1", "42"])),
)
MODELS = st.lists(st.sampled_from([None, 0.0, 0.15, 0.3, 0.9]), min_size=1, max_size=4)


@given(pace=st.sampled_from([PACE, PLAIN]), model=MODELS, delay_s=st.floats(0, 1), plot=steps(*ANY))
@settings(max_examples=400, deadline=None)
def test_nobody_is_left_hanging(pace, model, delay_s, plot):
    scene = Scene(pace, tuple(model))
    scene.model_delay_s = delay_s
    run(Play(scene), plot)
    assert not scene.turns.contested
    assert not scene.turns.open
    assert not scene.turns.speaking
    assert not scene.held, "the bot is silenced for ever"
    assert scene.time.pending == 0, "a timer is left"
    assert len(scene.asks) <= 2 * sum(name in ("onset", "stop") for name, _ in plot) + 2


@given(pace=st.sampled_from([PACE, PLAIN]), model=MODELS, delay_s=st.floats(0, 1), plot=steps(*ANY))
@settings(max_examples=200, deadline=None)
def test_no_turn_is_ever_taken_over_a_reply_that_was_not_dropped(pace, model, delay_s, plot):
    scene = Scene(pace, tuple(model))
    scene.model_delay_s = delay_s
    run(Play(scene), plot)
    assert scene.faults == []


@given(model=MODELS, delay_s=st.floats(0, 1), plot=steps())
@settings(max_examples=400, deadline=None)
def test_whole_sentences_are_never_lost(model, delay_s, plot):
    """With a recogniser that answers within its time, every sentence is in a turn, once."""
    scene = Scene(PACE, tuple(model))
    scene.model_delay_s = delay_s
    play = Play(scene)
    prompt = [step for step in plot if step[0] != "answer"]
    answers = [str(value) for name, value in plot if name == "answer"]
    timed: list[tuple[str, object]] = []
    for step in prompt:  # the answer comes 0.1 s after each stop, while nothing else happens
        timed.append(step)
        if step[0] == "stop":
            timed += [("wait", 0.1), ("answer", answers.pop() if answers else "")]
    run(play, timed)
    taken = " ".join(scene.texts)
    for sentence in play.said:
        assert sentence in taken
    assert scene.faults == []


def test_a_turn_is_answered_in_bounded_time():
    """The longest a caller who said something can wait is the pause of an unfinished sentence."""
    for model in ((None,), (0.0,), (0.3,), (0.9,), (0.0, None)):
        for text in SENTENCES:
            scene = Scene(PACE, model)
            scene.speak(1.0)
            scene.hear(text)
            scene.time.run(10)
            assert scene.texts == [text]
            assert scene.wait_of() <= PACE.incomplete_wait_s + 0.01
