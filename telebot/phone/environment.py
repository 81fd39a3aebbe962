"""The secrets a carrier's switch needs, by the names that the server knows them under.

The phone is another program's side, which has no settings of ours.
"""

from __future__ import annotations

import os

from telebot.phone.destination import CannotCall


def given(name: str) -> str:
    """What a variable holds, '' where it is not set."""
    return os.environ.get(name, "")


def needed(name: str, carrier: str) -> str:
    """The same of one without which no call is possible. Raises `CannotCall`."""
    value = given(name)
    if not value:
        raise CannotCall(f"--carrier {carrier} needs {name}, which is not set")
    return value
