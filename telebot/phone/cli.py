"""`telebot call`: rings a server up, talks with its bot and says how that went."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from telebot.phone import report, script
from telebot.phone.destination import CallRefused, CannotCall, Destination, port_of
from telebot.phone.exchange import EXCHANGES, secret_for
from telebot.phone.phone import NOISE_DBFS, Phone
from telebot.phone.script import BadItem, Item, Script
from telebot.phone.sound import BadSound
from telebot.phone.turns import Turn
from telebot.phone.voices import LocalSpeech

TIMEOUT_S = 300.0
ANSWERED, NOT_ANSWERED, NO_CALL = 0, 1, 2

EPILOG = """\
The caller does what --say, --interrupt, --wav, --dtmf and --wait tell, in the order given, and
waits for the end of the bot's answer before each. Silence inside a sentence is written
[pause SECONDS]: --say "I'd like to book a table for [pause 1.0] six people".
Exit status: 0 every item was answered, 1 the bot did not answer, 2 there was no call.
"""


class _AddItem(argparse.Action):
    """Puts every flag that makes the caller do something into one list, in order."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        try:
            item = _item(str(option_string), values)
        except BadItem as error:
            parser.error(f"{option_string}: {error}")
        # a list of this parse alone: argparse would share a default one
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), item])


def _item(flag: str, values: str | Sequence[Any] | None) -> Item:
    if flag == "--interrupt" and values is not None:
        return script.interrupt(str(values[0]), str(values[1]))
    text = str(values)
    match flag:
        case "--wav":
            return Item("wav", text)
        case "--dtmf":
            return script.dtmf(text)
        case "--wait":
            return script.wait(text)
        case _:
            return script.say(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument(
        "url",
        metavar="URL",
        help="the server, e.g. http://127.0.0.1:8080, or sip:100@127.0.0.1:5060",
    )
    say = parser.add_argument_group("what the caller does")
    for flag, metavar, text in (
        ("--say", "TEXT", "say this and wait for the answer"),
        ("--wav", "FILE", "play this WAV file (PCM of any rate) as if it were said"),
        ("--dtmf", "KEYS", "press these keys"),
        ("--wait", "SECONDS", "be silent for so long"),
    ):
        say.add_argument(flag, dest="items", action=_AddItem, metavar=metavar, help=text)
    say.add_argument(
        "--interrupt",
        dest="items",
        action=_AddItem,
        nargs=2,
        metavar=("SECONDS", "TEXT"),
        help="say this over the bot, so long after its answer to the item before began",
    )
    _add_call_arguments(parser)


def _add_call_arguments(parser: argparse.ArgumentParser) -> None:
    call = parser.add_argument_group("the call")
    call.add_argument("--agent", metavar="NAME", help="the agent that is to answer")
    call.add_argument("--to", metavar="NUMBER", default="+441632960000", help="the number called")
    call.add_argument("--from", dest="caller", metavar="NUMBER", default="+441632960961")
    call.add_argument(
        "--carrier",
        choices=tuple(EXCHANGES),
        default="local",
        help="over whose wire; local: this machine's server, nothing to set up; the others sign "
        "with their carrier's own variables against TELEBOT_PUBLIC_URL (or URL)",
    )
    call.add_argument(
        "--codec",
        choices=("PCMU", "PCMA"),
        default="PCMU",
        type=str.upper,
        help="of a call by a sip: address: G.711 in mu-law (PCMU) or A-law (PCMA)",
    )
    call.add_argument(
        "--noise", metavar="DBFS", type=_level, default=NOISE_DBFS, help="noise of the line"
    )
    call.add_argument("--timeout", metavar="S", type=_timeout, default=TIMEOUT_S)
    call.add_argument("--json", action="store_true", help="print one JSON object instead")
    call.add_argument("--record", metavar="FILE.wav", type=Path, help="keep the call in stereo")


def _level(text: str) -> float:
    level = float(text)
    if not -96 <= level <= -20:
        raise argparse.ArgumentTypeError("write -96 to -20 (dB against full scale)")
    return level


def _timeout(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError("write 1 to 3600 seconds")
    return seconds


def run(args: argparse.Namespace) -> int:
    """Make the call; returns the exit status."""
    try:
        if args.url.startswith("sip:"):
            args.carrier = "sip"
        else:
            port_of(args.url)  # before anything is loaded
        if args.record and not args.record.absolute().parent.is_dir():
            raise CannotCall(f"{args.record}: there is no folder {args.record.parent}")
        return asyncio.run(_call(args))
    except CallRefused as error:
        print(f"telebot call: {error}", file=sys.stderr)
        return NOT_ANSWERED
    except (CannotCall, BadSound) as error:
        print(f"telebot call: {error}", file=sys.stderr)
        return NO_CALL
    except KeyboardInterrupt:
        return NO_CALL


async def _call(args: argparse.Namespace) -> int:
    to = Destination(
        args.url,
        secret_for(args.url, args.carrier),
        carrier=args.carrier,
        agent=args.agent,
        phone_to=args.to,
        phone_from=args.caller,
        codec=args.codec,
        public_url=os.environ.get("TELEBOT_PUBLIC_URL") if args.carrier != "local" else None,
    )
    speech = LocalSpeech()
    try:
        todo = Script(args.items or [])
        await todo.prepare(speech)
        await speech.load()
        return await _talk(args, Phone(to, speech, noise_dbfs=args.noise), todo)
    finally:
        speech.close()


async def _talk(args: argparse.Namespace, phone: Phone, todo: Script) -> int:
    timed_out = False
    async with phone:
        try:
            async with asyncio.timeout(args.timeout):
                await script.perform(phone, todo, _quiet if args.json else _print)
        except TimeoutError:
            timed_out = True
        await phone.hang_up()
        await phone.understand()
    if args.record:
        _keep(phone, args.record)
    ended_by = "timeout" if timed_out else str(phone.line.ended_by)
    if args.json:
        print(json.dumps(report.as_json(phone, len(todo.items), ended_by), ensure_ascii=False))
    else:
        print(report.summary(phone, ended_by, phone.turns))
    good = not timed_out and not phone.apology and report.answered(phone, len(todo.items))
    return ANSWERED if good else NOT_ANSWERED


def _keep(phone: Phone, path: Path) -> None:
    try:
        phone.record(path)
    except OSError as error:
        raise CannotCall(f"{path}: cannot be written: {error}") from None


def _print(turn: Turn) -> None:
    for line in report.lines(turn):
        print(line, flush=True)


def _quiet(turn: Turn) -> None:
    """With --json nothing is said until the end."""
