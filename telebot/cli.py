"""`telebot serve | call | simulate | doctor | keys | db | bench`; the work lives in the rooms."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from telebot import logs
from telebot.config_file import SettingsError
from telebot.settings import Settings, load

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> None:
    """The command's entry; exits with its status."""
    logs.quiet_imports()
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        status = args.run(args)
    except SettingsError as error:
        print(f"telebot: {error}", file=sys.stderr)
        status = USAGE_ERROR
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="telebot", description="A server that answers the phone.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="take calls")
    _add_server_arguments(serve)
    serve.set_defaults(run=_serve)
    doctor = commands.add_parser("doctor", help="check the configuration and this machine")
    _add_server_arguments(doctor)
    doctor.set_defaults(run=_doctor)
    call = commands.add_parser("call", help="ring a server up and talk with its bot")
    _add_call(call)
    _add_simulate(commands.add_parser("simulate", help="be every vendor, offline"))
    bench = commands.add_parser("bench", help="measure capacity and latency on this machine")
    bench.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="[WHAT] …",
        help="run (the default), ramp, noise, offline, failover, sip, sip-media, profile, load or "
        "gateway; `telebot bench run --help` tells what one of them takes",
    )
    bench.set_defaults(run=_bench)
    for name, about in (("keys", "API keys"), ("db", "the database's migrations")):
        command = commands.add_parser(name, help=about)
        _add_server_arguments(command)
        _add_records(name, command)
    return parser


def _add_server_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of telebot.yaml")
    parser.add_argument("--http", metavar="HOST:PORT", help="HTTP and media sockets")
    parser.add_argument("--sip", metavar="HOST:PORT", help="SIP trunk")
    parser.add_argument("--audiosocket", metavar="HOST:PORT", help="AudioSocket")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of everything kept")


def _add_call(parser: argparse.ArgumentParser) -> None:
    from telebot.phone import cli as phone

    phone.add_arguments(parser)
    parser.set_defaults(run=phone.run)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    from telebot.simulate import cli as simulate

    simulate.add_arguments(parser)
    parser.set_defaults(run=simulate.run)


def _add_records(name: str, parser: argparse.ArgumentParser) -> None:
    from telebot.records import commands

    commands.add_arguments(name, parser)
    parser.set_defaults(run=lambda args: commands.run(name, args, settings_of(args)))


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings that a command's arguments name. Raises `SettingsError`."""
    overrides = {
        "server.http": args.http,
        "server.sip": args.sip,
        "server.audiosocket": args.audiosocket,
        "server.data": args.data,
    }
    return load(args.config, overrides=overrides)


def _serve(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    logs.configure(settings.server.log_level, private=settings.server.log_private)
    import uvloop

    from telebot import app
    from telebot.call.errors import Local

    def ready(server: app.Server) -> None:
        print(_welcome(server), flush=True)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(app.serve(settings, ready))
    except (Local, OSError) as error:
        print(f"telebot: {error}", file=sys.stderr)
        return 1
    return 0


def _welcome(server: object) -> str:
    from telebot.welcome import welcome

    return welcome(server)  # type: ignore[arg-type]


def _doctor(args: argparse.Namespace) -> int:
    settings = settings_of(args)
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
