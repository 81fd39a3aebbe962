"""A conversation as turn taking sees it: what was asked of it, and a turn model with a script."""

from __future__ import annotations

from virtual_time import Scheduler

from telebot.speech.turns import Pace, TurnTaking

STOP_S = 0.2
PACE = Pace(
    smart=True,
    incomplete_wait_s=1.8,
    turn_timeout_s=0.6,
    barge_in_s=0.75,
    backchannel_wait_s=1.0,
)
PLAIN = Pace(
    smart=False,
    incomplete_wait_s=1.8,
    turn_timeout_s=0.6,
    barge_in_s=0.75,
    backchannel_wait_s=1.0,
)


class Scene:
    """The floor, the caller and the turn model of one `TurnTaking`, on a clock of their own.

    `model`: its answers in order, the last one again; None never answers. `thinking` is the
    caller's text of a turn that nothing of the reply was heard of yet."""

    def __init__(self, pace: Pace = PACE, model: tuple[float | None, ...] = (0.9,)) -> None:
        self.time = Scheduler()
        self.model, self.model_delay_s = list(model), 0.05
        self.occupied = False
        self.asked = False
        self.expects: str | None = None
        self.thinking = ""
        self.nonsense: set[str] = set()
        self.held = False
        self.taken: list[tuple[float, str]] = []
        self.log: list[str] = []
        self.asks: list[int] = []
        self.faults: list[str] = []
        self.turns = TurnTaking(self, pace, self.time.clock, self.time.later)

    # Floor

    def understands(self, text: str) -> bool:
        return text not in self.nonsense

    def caller_speaks(self) -> None:
        self.log.append("caller_speaks")

    def silence_voice(self) -> None:
        self.log.append("silence")
        self.held = True

    def resume_voice(self) -> None:
        self.log.append("resume")
        self.held = False

    def drop_reply(self) -> str:
        self.log.append("drop")
        self.held = self.occupied = False
        carried, self.thinking = self.thinking, ""
        return carried

    def ask_turn_model(self, pause: int) -> None:
        self.asks.append(pause)
        answer = self.model.pop(0) if len(self.model) > 1 else self.model[0]
        if answer is not None:
            said = answer
            self.time.later(self.model_delay_s, lambda: self.turns.probability(said, pause))

    def take_turn(self, text: str) -> None:
        if self.occupied:
            self.faults.append(f"turn {text!r} taken over a reply that was not dropped")
        self.log.append("take")
        self.taken.append((self.time.now, text))
        self.occupied = True
        self.thinking = text

    def nothing_said(self) -> None:
        self.log.append("nothing_said")

    # the caller

    def speak(self, seconds: float) -> None:
        """An onset, speech, and the detector's stop; the end is `STOP_S` before now."""
        self.turns.speech_started()
        self.time.run(seconds)
        self.fall_silent()

    def fall_silent(self) -> None:
        self.time.run(STOP_S)
        self.turns.speech_stopped(STOP_S)

    def hear(self, text: str, after_s: float = 0.1) -> None:
        self.time.run(after_s)
        self.turns.text(text)

    # the bot

    def bot_speaks(self, *, asked: bool = False) -> None:
        """A reply is being said; some of it was heard."""
        self.occupied, self.asked, self.thinking = True, asked, ""

    def bot_thinks(self, about: str) -> None:
        self.occupied, self.asked, self.thinking = True, True, about

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.taken]

    def wait_of(self, turn: int = 0) -> float:
        """Seconds from the caller's last speech to the turn being taken."""
        return self.taken[turn][0] - self.turns.ended_at
