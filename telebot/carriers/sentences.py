"""What a carrier's own voice says where our bot cannot: refusals and apologies.

Every carrier with a language of its own (`answer`, `apology`) says the same. Next: that carrier.
"""

from __future__ import annotations

from telebot.call.ending import termination
from telebot.call.model import Result

SENTENCES = {
    "capacity": "All our lines are busy right now. Please call again in a few minutes. Goodbye.",
    "draining": "We are just restarting our phone system. Please call again in a minute. Goodbye.",
    "unknown_number": "This number is not in service. Goodbye.",
}
APOLOGY = "I am sorry, something went wrong on our side. Please call again. Goodbye."
AGAIN = "duplicate"  # the webhook of a call that is up: whoever reads this must not end the call
SILENT = frozenset({Result.COMPLETED, Result.TRANSFERRED})  # nothing went wrong: just hang up


def said(reason: str) -> str:
    """What the caller hears before the call ends for a termination reason; '' where nothing is the
    matter."""
    if reason in SENTENCES:
        return SENTENCES[reason]
    return "" if termination(reason).result in SILENT else APOLOGY
