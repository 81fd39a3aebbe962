"""`telebot serve | call | simulate | doctor | keys | db | bench`; the work lives in the rooms.

Only what the command that was typed needs is imported: `telebot call` knows nothing of the server.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telebot.app import Server
    from telebot.settings import Settings

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> None:
    """The command's entry; exits with its status."""
    args = _parser().parse_args(argv)
    try:
        status = args.run(args)
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


class _Command(argparse.ArgumentParser):
    """A command that gets its arguments, and imports what they need, once it is the one typed."""

    fill: Callable[[argparse.ArgumentParser], None] | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        fill, self.fill = self.fill, None
        if fill is not None:
            fill(self)
        return super().parse_known_args(args, namespace)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="telebot", description="A server that answers the phone.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Command)
    for name, about, fill in (
        ("serve", "take calls", _fill_serve),
        ("doctor", "check the configuration and this machine", _fill_doctor),
        ("call", "ring a server up and talk with its bot", _fill_call),
        ("simulate", "be every vendor, offline", _fill_simulate),
        ("bench", "measure capacity and latency on this machine", _fill_bench),
        ("keys", "API keys", _fill_keys),
        ("db", "the database's migrations", _fill_db),
    ):
        commands.add_parser(name, help=about).fill = fill
    return parser


def _fill_serve(parser: argparse.ArgumentParser) -> None:
    _add_server_arguments(parser)
    parser.set_defaults(run=lambda args: _with_settings(args, _serve))


def _fill_doctor(parser: argparse.ArgumentParser) -> None:
    _add_server_arguments(parser)
    parser.set_defaults(run=lambda args: _with_settings(args, _doctor))


def _fill_call(parser: argparse.ArgumentParser) -> None:
    from telebot.phone import cli as phone

    phone.add_arguments(parser)
    parser.set_defaults(run=phone.run)


def _fill_simulate(parser: argparse.ArgumentParser) -> None:
    from telebot.simulate import cli as simulate

    simulate.add_arguments(parser)
    parser.set_defaults(run=simulate.run)


def _fill_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="[WHAT] …",
        help="run (the default), ramp, noise, offline, failover, sip, sip-media, profile, load, "
        "gateway or wide; `telebot bench run --help` tells what one of them takes",
    )
    parser.set_defaults(run=_bench)


def _fill_keys(parser: argparse.ArgumentParser) -> None:
    _add_records("keys", parser)


def _fill_db(parser: argparse.ArgumentParser) -> None:
    _add_records("db", parser)


def _add_records(name: str, parser: argparse.ArgumentParser) -> None:
    from telebot.records import commands

    _add_server_arguments(parser)
    commands.add_arguments(name, parser)
    parser.set_defaults(
        run=lambda args: _with_settings(args, lambda settings: commands.run(name, args, settings))
    )


def _add_server_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of telebot.yaml")
    parser.add_argument("--http", metavar="HOST:PORT", help="HTTP and media sockets")
    parser.add_argument("--sip", metavar="HOST:PORT", help="SIP trunk")
    parser.add_argument("--audiosocket", metavar="HOST:PORT", help="AudioSocket")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of everything kept")


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings that a command's arguments name. Raises `SettingsError`."""
    from telebot.settings import load

    overrides = {
        "server.http": args.http,
        "server.sip": args.sip,
        "server.audiosocket": args.audiosocket,
        "server.data": args.data,
    }
    return load(args.config, overrides=overrides)


def _with_settings(args: argparse.Namespace, run: Callable[[Settings], int]) -> int:
    """Do it with the settings; a fault in them is told in a line."""
    from telebot import logs
    from telebot.config_file import SettingsError

    logs.quiet_imports()
    try:
        return run(settings_of(args))
    except SettingsError as error:
        print(f"telebot: {error}", file=sys.stderr)
        return USAGE_ERROR


def _serve(settings: Settings) -> int:
    from telebot import logs

    gc.disable()  # what a start makes stays; `app.py` enables it when all is there

    logs.configure(settings.server.log_level, private=settings.server.log_private)
    import uvloop

    from telebot import app
    from telebot.call.errors import Local
    from telebot.welcome import welcome

    def ready(server: Server) -> None:
        print(welcome(server), flush=True)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(app.serve(settings, ready))
    except (Local, OSError) as error:
        print(f"telebot: {error}", file=sys.stderr)
        return 1
    return 0


def _doctor(settings: Settings) -> int:
    from telebot import logs

    logs.configure("ERROR")
    from telebot import doctor

    return doctor.run(settings)


def _bench(args: argparse.Namespace) -> int:
    """The benchmark lives beside the package, in the checkout."""
    home = Path(__file__).resolve().parent.parent
    if not (home / "bench" / "__main__.py").is_file():
        print("telebot: the benchmark needs a checkout of the project", file=sys.stderr)
        return USAGE_ERROR
    command = [sys.executable, "-m", "bench", *args.arguments]
    return subprocess.run(command, cwd=home, env=dict(os.environ), check=False).returncode
