"""The clock of a session timer: refreshes the call, or hangs up when the peer does not.

In sippy's thread; one for each `dialog.py:Dialog`. What is agreed on stands in
`session_timer.py` (RFC 4028).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sippy.Time.Timeout import Timeout

from telebot.sip import session_timer, wants
from telebot.sip.session_timer import Asked, Terms

if TYPE_CHECKING:
    from telebot.sip.dialog import Dialog

AGAIN_S = (2.1, 4.0)  # after 491, RFC 3261 section 14.1
NOT_TAKEN = (405, 501)  # an UPDATE that the peer does not know after all
GONE = (408, 481)


class Refreshing:
    """`terms` are what holds now; None where there is no timer."""

    def __init__(self, dialog: Dialog) -> None:
        self._dialog = dialog
        self.terms: Terms | None = None
        self._due: Any = None

    def answering(self, asked: Asked, ours_s: int) -> tuple[tuple[str, str], ...]:
        """Our 200 to an INVITE or UPDATE: what it says of the timer, which begins anew."""
        self.begin(session_timer.agree(asked, ours_s))
        return () if self.terms is None else self.terms.as_answer()

    def accepted(self, resp: Any, usual: Terms | None = None) -> None:
        """Their 200 to an INVITE or UPDATE of ours; where it says nothing, `usual` holds."""
        self.begin(session_timer.accepted(wants.timer_of_answer(resp)) or usual)

    def begin(self, terms: Terms | None) -> None:
        """From now on."""
        self.stop()
        self.terms = terms
        if terms is not None:
            self._after(terms.due_s, self._refresh if terms.we_refresh else self._missed)

    def stop(self) -> None:
        """No more timer."""
        self.terms = None
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def close(self) -> None:
        """No more timer, and no more dialog."""
        self.stop()
        del self._dialog

    def _after(self, delay_s: float, do: Callable[[], None]) -> None:
        self._due = Timeout(do, delay_s, 1)

    def _missed(self) -> None:
        self._due = None
        self._dialog.expired()

    def _refresh(self) -> None:
        self._due = None
        if self.terms is not None and not self._dialog.refresh(self.terms, self._answered):
            self._after(random.uniform(*AGAIN_S), self._refresh)  # other media are agreed on now

    def _answered(self, resp: Any) -> None:
        """The final response to our UPDATE or re-INVITE."""
        terms, status = self.terms, resp.scode
        if terms is None or status < 200:
            return
        if status < 300:
            self.accepted(resp, terms)
        elif status in GONE:
            self._dialog.expired()
        elif status == 422:
            least_s = wants.timer_of_answer(resp).least_s
            self.terms = Terms(max(least_s, terms.interval_s), True, terms.peer_knows)
            self._refresh()
        elif status == 491:
            self._after(random.uniform(*AGAIN_S), self._refresh)
        else:
            self._refused(status)

    def _refused(self, status: int) -> None:
        if status in NOT_TAKEN:
            self._dialog.peer_allows -= {"UPDATE"}
            self._refresh()
        elif self.terms is not None:  # the call goes on; another try before it would end
            self._after(self.terms.interval_s / 4, self._refresh)
