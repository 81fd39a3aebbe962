"""Remembers for a while how calls went, for the carrier that asks what to do next.

When a media stream is over, the carrier asks `/fallback`; whether the caller hears an apology
depends on whether the stream ended as it should.
"""

from __future__ import annotations

from collections import OrderedDict

from telebot.call.model import Call

MAX_CALLS = 4096


class RecentCalls:
    """Calls of this process by the carrier's id, the last `MAX_CALLS` of them."""

    def __init__(self, max_calls: int = MAX_CALLS) -> None:
        self._max = max_calls
        self._calls: OrderedDict[tuple[str, str], Call] = OrderedDict()
        self._hung_up: set[str] = set()

    def add(self, call: Call) -> None:
        """Remember a call from now on."""
        self._calls[call.offer.carrier, call.offer.carrier_call_id] = call
        if len(self._calls) > self._max:
            _, oldest = self._calls.popitem(last=False)
            self._hung_up.discard(oldest.id)

    def hung_up(self, call: Call) -> None:
        """Our side closes the call's stream on purpose."""
        self._hung_up.add(call.id)

    def outcome(self, carrier: str, carrier_call_id: str) -> str:
        """The termination reason to answer with; ``server_error`` where nothing is known."""
        call = self._calls.get((carrier, carrier_call_id))
        if call is None:
            return "server_error"
        if call.termination is not None:
            return call.termination.reason
        return "bot_hangup" if call.id in self._hung_up else "server_error"
