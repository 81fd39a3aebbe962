"""What sippy must not do inside a server: print, and write logs of its own.

sippy prints its complaints to standard output, where our `ready` line stands; they become lines of
our log. Imported in sippy's thread alone.
"""

from __future__ import annotations

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


class NoLog:
    """In the place of sippy's logger, which wants the main thread."""

    def write(self, *_: object, **__: object) -> None:
        """Nothing."""


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
