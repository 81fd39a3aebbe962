"""What a message of sippy's says that sippy has no words for: extensions, bodies, timers.

In sippy's thread; used by `incoming.py` and `within.py`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from telebot.sip import bodies, session_timer, words

ASSERTED = re.compile(r"(?:sips?|tel):([^@;>:\s]{1,64})")


def listed(message: Any, name: str) -> list[str]:
    """The comma-separated values of every header of that name."""
    values = ",".join(str(one.body) for one in message.getHFs(name)).split(",")
    return [one.strip() for one in values if one.strip()]


def first(message: Any, *names: str) -> str | None:
    """The first header of one of these names."""
    return next((str(one.body) for name in names for one in message.getHFs(name)), None)


def unknown_extensions(message: Any) -> str:
    """What `Require` wants and we do not know, as `Unsupported` lists it."""
    wanted = listed(message, "require")
    return ", ".join(one for one in wanted if one.lower() not in words.EXTENSIONS)


def accepts_sdp(message: Any) -> bool:
    """Whether its sender takes a session description in the answer."""
    kinds = {bodies.kind(one) for one in listed(message, "accept")}
    return not kinds or bool(kinds & {bodies.SDP, "application/*", "*/*"})


def caller(invite: Any) -> str:
    """The calling number. Where From hides it, a trunk may assert it (RFC 3325), unless the caller
    asked for privacy."""
    said = str(invite.getHFBody("from").getUrl().username or "")
    if said and said.lower() != "anonymous":
        return said
    if "id" in (first(invite, "privacy") or "").replace(";", " ").split():
        return said
    asserted = ASSERTED.search(first(invite, "p-asserted-identity") or "")
    return unquote(asserted.group(1)) if asserted else said


def content(message: Any) -> tuple[str, bytes]:
    """The type and the bytes of its body; both empty where there is none."""
    body = message.getBody()
    if body is None:
        return "", b""
    return str(body.mtype), str(body).encode("latin-1", "replace")


def description(message: Any) -> bytes | None:
    """Its session description; None where there is no body. Raises `Unsupported`."""
    return bodies.session_description(*content(message))


def timer_of_answer(response: Any) -> session_timer.Asked:
    """The same of a response; what cannot be read there is not there."""
    try:
        return timer(response)
    except session_timer.BadInterval:
        return session_timer.Asked()


def timer(message: Any) -> session_timer.Asked:
    """What it says of session timers. Raises `BadInterval`."""
    supported = [*listed(message, "supported"), *listed(message, "k"), *listed(message, "require")]
    expires = first(message, "session-expires", "x")
    return session_timer.read(expires, first(message, "min-se"), supported)
