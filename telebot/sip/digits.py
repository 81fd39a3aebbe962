"""Keys towards the other party: as RFC 4733 events or tones in the audio, or by INFO.

The carrier (`carriers/`) asks. INFO is as Cisco began it (`application/dtmf-relay`), which PBXs
and gateways take.
"""

from __future__ import annotations

import asyncio

from telebot.call.errors import CarrierError
from telebot.sip.live import LiveCall
from telebot.sip.messages import Question

KEYS = frozenset("0123456789*#ABCDW")
PRESSED_MS = 160
GAP_S, PAUSE_S = 0.25, 0.5  # between two keys, of a ``w``
ANSWER_WITHIN_S = 8.0
MOST = 64


async def send_digits(live: LiveCall, digits: str) -> None:
    """Raises `CarrierError` where one is no key, or the peer does not take them."""
    keys = digits.upper()
    if len(keys) > MOST or not KEYS.issuperset(keys):
        raise CarrierError("digits: write 0-9, *, #, A-D, w for a pause; 64 at most")
    if live.trunk.settings.digits == "info":
        await _by_info(live, keys)
    else:
        live.stream.send_digits(keys)
    live.note("digits_sent", count=len(keys))


async def _by_info(live: LiveCall, keys: str) -> None:
    for key in keys:
        if key == "W":
            await asyncio.sleep(PAUSE_S)
            continue
        body = f"Signal={key}\r\nDuration={PRESSED_MS}\r\n"
        question = Question("INFO", body=body, content_type="application/dtmf-relay")
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                reply = await live.leg.ask(question)
        except TimeoutError:
            raise CarrierError("INFO: no answer") from None
        if reply.status // 100 != 2:
            raise CarrierError(f"INFO: {reply.status} {reply.reason}")
        await asyncio.sleep(GAP_S)
