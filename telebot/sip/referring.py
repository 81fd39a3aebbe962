"""Asking a peer to connect a caller elsewhere: REFER, and what its NOTIFYs tell (RFC 3515).

`transfers.py` asks. A peer that does not know REFER says so at once; one that accepts it tells how
far it came, and the last word counts.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from telebot.call.errors import NotReached
from telebot.sip.causes import Cause, missed
from telebot.sip.leg import Leg
from telebot.sip.messages import Identity, Notice, Question

ANSWER_WITHIN_S = 8.0  # to the REFER itself


class RefersNot(Exception):
    """The peer does not take the REFER; `status` is its answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"REFER refused with {status}")
        self.status = status


def refer_to(uri: str, replaces: Identity | None = None) -> str:
    """The value of Refer-To; with the call that the new one is to replace (RFC 3891), named from
    the side of whoever gets it."""
    if replaces is None:
        return f"<{uri}>"
    named = f"{replaces.call_id};to-tag={replaces.remote_tag};from-tag={replaces.local_tag}"
    joined = "&" if "?" in uri else "?"
    return f"<{uri}{joined}Replaces={quote(named, safe='')}>"


async def refer(leg: Leg, to: str, by: str, gone: asyncio.Event, within_s: float) -> None:
    """Have the peer call `to` (a Refer-To) in our place; returns once it has. `gone` is set when
    the caller's leg ends, which after an accepted REFER is as good as the last word. Raises
    `RefersNot`, `NotReached` with the reason."""
    notices: asyncio.Queue[Notice] = asyncio.Queue()
    leg.on_notice = notices.put_nowait
    try:
        question = Question("REFER", headers=(("Refer-To", to), ("Referred-By", f"<{by}>")))
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                reply = await leg.ask(question)
        except TimeoutError:
            raise RefersNot(408) from None
        if reply.status // 100 != 2:
            raise RefersNot(reply.status)
        try:
            async with asyncio.timeout(within_s):
                status = await _last_word(notices, gone)
        except TimeoutError:
            raise NotReached("no_answer", "the peer has not said what came of it") from None
    finally:
        leg.on_notice = None
    if status >= 300:
        raise NotReached(missed(Cause(status)), f"the peer says {status}")


async def _last_word(notices: asyncio.Queue[Notice], gone: asyncio.Event) -> int:
    """The status that the peer ends with; 200 where it says no more."""
    ends = asyncio.ensure_future(gone.wait())
    try:
        while True:
            told = asyncio.ensure_future(notices.get())
            try:
                await asyncio.wait({told, ends}, return_when=asyncio.FIRST_COMPLETED)
                if not told.done():
                    return 200  # the peer took the caller away
                notice = told.result()
            finally:
                told.cancel()
            if notice.status >= 200:
                return notice.status
            if notice.last:
                return 200  # some end with 100, and hang up
    finally:
        ends.cancel()
