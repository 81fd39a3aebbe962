"""A caller who says nothing: asked again as often as the agent wants, then the call ends."""

from __future__ import annotations

from collections.abc import Callable

from telebot.call.session import Patience
from telebot.speech.parts import Parts
from telebot.speech.timers import Timers


class Silence:
    """One call's. It uses the timer ``silence``. `held`: the caller has put us on hold; `ending`:
    the call is about to end, or a message is being left; `say` takes a phrase's name, `goodbye` the
    reason for which the call ends."""

    def __init__(
        self,
        parts: Parts,
        timers: Timers,
        *,
        held: Callable[[], bool],
        ending: Callable[[], bool],
        say: Callable[[str], bool],
        goodbye: Callable[[str], None],
    ) -> None:
        self._parts = parts
        self._timers = timers
        self._held = held
        self._ending = ending
        self._say = say
        self._goodbye = goodbye

    def begin(self) -> None:
        """Nobody speaks: the caller's patience runs."""
        if self._parts.session.waits_for_caller:
            self._timers.after("silence", self._parts.agent.silence_s, self._lasts)

    def broken(self) -> None:
        """The caller does something."""
        self._timers.cancel("silence")

    def _lasts(self) -> None:
        parts, session = self._parts, self._parts.session
        if not session.waits_for_caller or parts.turns.speaking or parts.replies.current:
            return
        if self._ending():
            return  # it may have begun before; a pause in a message is no silence of this kind
        if self._held():
            self.begin()
        elif session.silence() is Patience.GOODBYE:
            self._goodbye("silence")
        elif not self._say(f"reprompt_{min(session.asked, 2)}"):
            self.begin()
