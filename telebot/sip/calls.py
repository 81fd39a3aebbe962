"""Every call over SIP of this process: from a leg that knocks to the end of everything.

`stack.py` tells of each INVITE that may come in; each gets a task (`live.py`). The carrier
(`carriers/`) finds its calls here.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable

from telebot.call.errors import CarrierError
from telebot.call.model import Call
from telebot.sip.leg import Leg
from telebot.sip.live import LiveCall, Surroundings
from telebot.sip.media import END_WITHIN_S
from telebot.sip.placed import PlacedCall
from telebot.sip.placing import Placing, new_call_id
from telebot.sip.trunks import KnownTrunk

PATIENCE_S = 5.0  # with calls that have been stopped, when the server goes down
REMEMBERED = 4096  # Call-IDs; one that comes again, after a refusal, is another call


class SipCalls:
    """Owns the calls' tasks; to be closed before the stack."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._tasks: dict[asyncio.Task[None], LiveCall] = {}
        self._live: dict[str, LiveCall] = {}
        self.of_trunk: Counter[str] = Counter()
        self._names: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tasks)

    def invited(self, leg: Leg) -> None:
        """A leg knocks."""
        trunk = leg.invite.trunk
        full = self.of_trunk[trunk.name] >= trunk.settings.max_calls
        live = LiveCall(self._around, leg, self._name(leg.invite.call_id), trunk_full=full)
        self._begin(live)

    def place(
        self, placing: Placing, trunk: KnownTrunk, call: Call, token: str, within_s: float
    ) -> str:
        """Make a call; its Call-ID. Raises `CarrierError` where the trunk is full."""
        if self.of_trunk[trunk.name] >= trunk.settings.max_calls:
            raise CarrierError(f"{trunk.name}: all its lines are busy")
        call_id = new_call_id(trunk.domain)
        placed = PlacedCall(
            self._around, placing, trunk, call, token=token, call_id=call_id, within_s=within_s
        )
        self._begin(placed)
        return call_id

    def _begin(self, live: LiveCall) -> None:
        self.of_trunk[live.trunk.name] += 1
        task = asyncio.create_task(live.run(self._admitted))
        self._tasks[task] = live
        task.add_done_callback(self._done)

    def find(self, call: Call) -> LiveCall | None:
        """The live call, where it is one of ours."""
        return self._live.get(call.id)

    def stop_all(self) -> None:
        """End every call (the server goes down)."""
        for live in self._tasks.values():
            live.stop("drained")

    async def close(self) -> None:
        """End what is left and wait until it is put away; cancel what hangs."""
        self.stop_all()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=PATIENCE_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=END_WITHIN_S)

    def _admitted(self, live: LiveCall, call: Call) -> Callable[[], None]:
        self._live[call.id] = live
        return lambda: self._forget(call)

    def _forget(self, call: Call) -> None:
        self._live.pop(call.id, None)

    def _done(self, task: asyncio.Task[None]) -> None:
        live = self._tasks.pop(task)
        self.of_trunk[live.trunk.name] -= 1

    def _name(self, call_id: str) -> str:
        """The Call-ID, told apart where a peer uses it again."""
        count = self._names.pop(call_id, 0)
        self._names[call_id] = count + 1
        if len(self._names) > REMEMBERED:
            self._names.popitem(last=False)
        return f"{call_id};{count + 1}" if count else call_id
