"""sippy in a thread of its own beside our loop, from its start to its end.

Two ways lead across: `call` into the thread (`ED2.callFromThread`) and `tell` back to the loop
(`call_soon_threadsafe`). There are no locks: an object belongs to one of the two sides. sippy is
imported by that thread, because its dispatcher belongs to the thread that made it. Requests go to
`incoming.py` there.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from telebot.call.errors import ConfigError
from telebot.sip.leg import Caller, Invite, Leg, OutgoingLeg
from telebot.sip.messages import Address, Order, Question, Reply
from telebot.sip.trunks import KnownTrunk, Trunks

if TYPE_CHECKING:
    from telebot.sip.incoming import Incoming

Told = TypeVar("Told")

STOP_WITHIN_S = 5.0
FAREWELL_S = 2.0  # for the answers to our last BYEs; lost ones are sent again until then

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the stack listens and what it says of itself."""

    host: str
    port: int
    advertised: str  # our address in Via and Contact
    user_agent: str
    trunks: Trunks
    draining: Callable[[], bool]  # no call is taken any more


class Stack:
    """The signalling of one server; one may be open in a process, as sippy's dispatcher is one.
    `invited` is told on the loop of every call we may take."""

    _open_one: Stack | None = None

    def __init__(self, listening: Listening, invited: Callable[[Leg], None]) -> None:
        self._listening = listening
        self._invited = invited
        self._loop = asyncio.get_running_loop()
        self._dispatcher: Any = None
        self._thread = threading.Thread(target=self._run, name="sip", daemon=True)
        self._opened: asyncio.Future[int] = self._loop.create_future()
        self._closed = asyncio.Event()
        self.incoming: Incoming | None = None

    async def open(self) -> int:
        """Start; returns the port. Raises `ConfigError` where the address cannot be listened on."""
        where = f"sip {self._listening.host}:{self._listening.port}"
        if Stack._open_one is not None:
            raise ConfigError(f"{where}: this process listens for SIP already")
        Stack._open_one = self
        self._thread.start()
        try:
            return await asyncio.shield(self._opened)
        except OSError as error:
            Stack._open_one = None
            why = (
                os.strerror(error.errno or 0).lower() if (error.errno or 0) > 0 else error.strerror
            )
            raise ConfigError(f"{where}: {why}; name another by --sip") from error

    def counted(self, name: str) -> float:
        """One of `Incoming.counted`; 0 where nothing listens."""
        return 0 if self.incoming is None else self.incoming.counted()[name]

    def refused(self) -> list[tuple[int, int]]:
        """INVITEs that were turned away, by status."""
        return [] if self.incoming is None else list(self.incoming.refused.items())

    @property
    def alive(self) -> bool:
        """True while the thread runs."""
        return self.incoming is not None and self._thread.is_alive()

    async def close(self) -> None:
        """Stop the thread, once our last requests were answered or `FAREWELL_S` is over."""
        if self.incoming is None:
            return
        self.call(self.incoming.finish, FAREWELL_S)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._closed.wait()
        except TimeoutError:
            log.error("sip_thread_hangs")
            return
        self._thread.join(STOP_WITHIN_S)
        Stack._open_one = None

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have `function` called in sippy's thread, in order. Returns at once."""
        self._dispatcher.callFromThread(function, *arguments)

    def tell(self, function: Callable[..., object], *arguments: object) -> None:
        """Have `function` called on our loop, in order. For sippy's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def invite(self, order: Order, address: Address, trunk: KnownTrunk, caller: Caller) -> Leg:
        """Send an INVITE to an address; `caller` is told what becomes of it."""
        from telebot.sip.outgoing import Outgoing

        assert self.incoming is not None
        # made here, nothing of it happens before it is in the thread
        dialog = Outgoing(self.incoming.config, self._listening, self)
        said = Invite(order.call_id, order.sender, order.to, address, None, trunk)
        leg = dialog.leg = OutgoingLeg(self, dialog, said)
        leg.call(caller, partial(self.call, dialog.invite, order, address))
        return leg

    async def ask(self, question: Question, address: Address) -> Reply:
        """A request outside of every call; 408 where nobody answers."""
        assert self.incoming is not None
        return await self.answered(partial(self.incoming.ask, question, address))

    async def answered(self, work: Callable[[Callable[[Told], object]], object]) -> Told:
        """What `work`, done in sippy's thread, tells in the end."""
        future: asyncio.Future[Told] = self._loop.create_future()

        def told(what: Told) -> None:
            if not future.done():
                future.set_result(what)

        self.call(work, partial(self.tell, told))
        return await future

    def invited(self, leg: Leg) -> None:
        """An INVITE that may become a call. On the loop."""
        self._invited(leg)

    def _run(self) -> None:
        """The thread."""
        try:
            incoming = self._begin()
        except OSError as error:
            self.tell(self._opened.set_exception, error)
            return
        self.tell(self._opened.set_result, incoming.port)
        try:
            self._dispatcher.loop()
        finally:
            incoming.close()
            self.tell(self._closed.set)

    def _begin(self) -> Incoming:
        """sippy, made anew: its dispatcher is one for the process and keeps what was before."""
        from telebot.sip import dispatch, quiet
        from telebot.sip.incoming import Incoming

        quiet.silence()
        self._dispatcher = dispatch.begin()
        self.incoming = Incoming(self._listening, self)
        return self.incoming
