"""What the server prints once it takes calls: the `ready` line for programs, and how to call it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from telebot.app import Server
from telebot.carriers.port import AnswersWebhooks, Carrier, OffersOnMedia, OnThisMachine


def welcome(server: Server) -> str:
    """The lines; the first begins with ``ready`` and holds every address."""
    settings = server.settings.server
    sip, audiosocket = server.sip or "off", server.audiosocket or "off"
    ready = f"ready http={server.http} sip={sip} audiosocket={audiosocket}"
    url = f"http://{server.http}"
    lines = [ready, ""]
    given = server.settings.security.admin_key.get_secret_value()
    key = "TELEBOT_ADMIN_KEY" if given else settings.data / "admin-key"
    lines.append(f"  talk to it    {url}/console/talk   (key: {key})")
    lines.append(f'  or by shell   {_command()} call {url} --say "Are you open on Mondays?"')
    lines.append(f"  read calls    {url}/console/")
    off = [carrier.name for carrier in server.carriers if carrier.off()]
    if off:
        lines.append(f"  off           {', '.join(off)}   (why: {_command()} doctor)")
    for carrier in server.carriers:
        if carrier.name not in off and settings.public_url and _has_webhooks(carrier):
            lines.append(f"  {carrier.name:12}  {settings.public_url}/{carrier.name}/voice")
    return "\n".join(lines)


def _has_webhooks(carrier: Carrier) -> bool:
    """A PBX's dialplan needs none, and knows the server by another URL."""
    asks = isinstance(carrier, AnswersWebhooks)
    return asks and not isinstance(carrier, OnThisMachine | OffersOnMedia)


def _command() -> str:
    """How this very command is typed here."""
    script = Path(sys.argv[0])
    if script.name != "telebot" or shutil.which("telebot") == str(script):
        return "telebot"
    here = Path.cwd()
    return str(script.relative_to(here)) if script.is_relative_to(here) else str(script)
