"""Writes `docs/carriers/README.md` from what the carriers' code can do:
`python -m telebot.abilities_page`.

A test compares the page with this output; a new carrier needs no word here.
"""

from __future__ import annotations

import sys
import tempfile

from telebot.carriers.abilities import table
from telebot.carriers.registry import Carriers
from telebot.settings import load

INTRODUCTION = """\
# Carriers, and what each can do

*Made by `.venv/bin/python -m telebot.abilities_page > docs/carriers/README.md`; a test compares
the two.*

Every carrier brings calls in, with audio both ways, barge-in and keys. What telebot can do to a
call beside that depends on the carrier:

"""
REST = """
`local` is this machine's own (`telebot call`); closing the stream hangs up there.

- **hang up**: the call is ended at the carrier too, not only its audio.
- **transfer**: the caller is put through to a number at once; what comes of it telebot does not
  learn.
- **warm transfer**: a person is rung up first and told what it is about, while the caller hears
  music; where nobody comes the conversation goes on (`warm: true`, [agents.md](../agents.md)).
  Elsewhere a warm transfer is an ordinary one.
- **make calls**: `POST /v1/calls`.
- **send digits**: `POST /v1/calls/{id}/digits`.

Some need something set up for it (an account's REST key, a PBX's manager interface); the carrier's
page says what. Where an agent wants something of a carrier that cannot do it, `telebot doctor` and
the log at the start name the agent, the carrier and the ability.

## Who may be rung up

Calls cost money, so telebot rings up nobody whom nobody has allowed:

- calls that it makes: numbers that begin as `outbound.allowed_prefixes` says and not as
  `outbound.denied_prefixes` says, at most `outbound.max_per_minute` of them;
- transfers: numbers in agents' files, and those that begin as `transfer.allowed_prefixes` says.

A SIP address (`sip:someone@example.com`) has to be allowed as a whole.
"""


def page() -> str:
    """The whole page."""
    with tempfile.TemporaryDirectory() as data:  # the carrier of this machine makes its secret
        settings = load(environ={}, overrides={"server.data": data})
        return INTRODUCTION + table(Carriers(settings)) + REST


if __name__ == "__main__":
    sys.stdout.write(page())
