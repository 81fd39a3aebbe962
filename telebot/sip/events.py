"""Requests of events within a call: NOTIFY of a REFER of ours, and REFER and SUBSCRIBE of others.

In sippy's thread; `dialog.py:Connected` lists these. sippy would do what any REFER says; here
nobody but us sends calls elsewhere (RFC 3515 section 2.4.2 lets us decline).
"""

from __future__ import annotations

import re
from typing import Any

from telebot.sip import words
from telebot.sip.messages import Notice
from telebot.sip.transport import headers

EVENTS = (("Allow-Events", "refer"),)
STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?:[ \r\n]|$)")


def notified(state: Any, req: Any) -> None:
    """NOTIFY: of a transfer of ours it is told to the leg."""
    event = _value(req, "event")
    if event.partition(";")[0].strip().lower() != "refer":
        _answer(state, req, 489 if event else 400)
        return
    _answer(state, req, 200)
    found = STATUS.match(str(req.getBody() or "").lstrip())
    ended = _value(req, "subscription-state").strip().lower().startswith("terminated")
    leg, stack = state.ua.leg, state.ua.stack
    if leg is not None:
        stack.tell(leg.notified, Notice(int(found.group(1)) if found else 0, ended))


def referred(state: Any, req: Any) -> None:
    """REFER: declined."""
    _answer(state, req, 603)


def subscribed(state: Any, req: Any) -> None:
    """SUBSCRIBE: there is nothing to be told of."""
    _answer(state, req, 489)


HANDLERS = {"NOTIFY": notified, "REFER": referred, "SUBSCRIBE": subscribed}


def _answer(state: Any, req: Any, status: int) -> None:
    ua = state.ua
    response = req.genResponse(status, words.reason(status), server=ua.local_ua)
    if status == 489:
        response.appendHeaders(headers(EVENTS))
    ua.global_config["_sip_tm"].sendResponse(response)


def _value(req: Any, name: str) -> str:
    return next((str(one.body) for one in req.getHFs(name)), "")
