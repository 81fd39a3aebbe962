"""What sippy must not do inside a server: print, and write logs of its own.

sippy prints its complaints to standard output, where our `ready` line stands; they become lines of
our log. Imported in sippy's thread alone.
"""

from __future__ import annotations

import logging
import re
import sys
from types import ModuleType

import sippy.Core.EventDispatcher
import sippy.Network_server
import sippy.SipMsg
import sippy.SipRequest
import sippy.SipTransactionManager
import sippy.SipURL
import sippy.UacStateRinging
import sippy.UacStateTrying
import sippy.UaStateConnected
import sippy.Udp_server
import structlog

CALL_ID = re.compile(r"^(?:call-id|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)

log = structlog.get_logger(__name__)
_LOUD: tuple[ModuleType, ...] = (
    sippy.Core.EventDispatcher,
    sippy.Network_server,
    sippy.SipMsg,
    sippy.SipRequest,
    sippy.SipTransactionManager,
    sippy.SipURL,
    sippy.UacStateRinging,
    sippy.UacStateTrying,
    sippy.Udp_server,
    sippy.UaStateConnected,
)


class WireTrace:
    """In the place of sippy's logger, which wants the main thread: counts messages, and shows
    each at DEBUG, in (`<`) or out (`>`). What a caller may be known by stands in `text` alone,
    which the log masks."""

    def __init__(self) -> None:
        self.received = self.sent = 0

    def write(self, about: str, message: str | bytes = "", **unused: object) -> None:
        """sippy says ``RECEIVED message from udp:192.0.2.1:5060:`` or ``SENDING message to …``."""
        incoming = about.startswith("RECEIVED")
        self.received += incoming
        self.sent += not incoming
        if not log.is_enabled_for(logging.DEBUG):
            return
        text = message.decode("latin-1") if isinstance(message, bytes) else message
        start, _, rest = text.partition("\r\n")
        said = start[8:].strip() if start.startswith("SIP/2.0 ") else start.split(" ", 1)[0]
        call = CALL_ID.search(rest)
        log.debug(
            "<" if incoming else ">",
            message=said[:60],
            peer=about.rstrip(":\n").rpartition(" ")[2],
            sip_call=call.group(1) if call else "",
            text=text,
        )


def silence() -> None:
    """Send what sippy's modules print and dump into our log."""
    for module in _LOUD:
        vars(module)["print"] = _printed
        if "dump_exception" in vars(module):
            vars(module)["dump_exception"] = _dumped


def _printed(*_: object, **__: object) -> None:
    """A remark about somebody's message; it may quote it, so only that there was one is kept."""
    log.debug("sippy_remark")


def _dumped(message: str, *_: object, extra: object = None, **__: object) -> None:
    """A fault in sippy's own code, or a message it could not parse (then `extra` is the message,
    and the sender's doing)."""
    if extra is not None:
        log.debug("sip_unreadable", fault=type(sys.exc_info()[1]).__name__)
    else:
        log.error("sippy_fault", exc_info=True)
