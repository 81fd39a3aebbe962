"""`telebot simulate`: every vendor on one loopback port, to rehearse a configuration offline.

The server is pointed at it by the variables that are printed; what it says and hears is done by
the models of this machine, what goes wrong by the faults asked for (`faults.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import ipaddress
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from telebot import logs
from telebot.call.errors import ConfigError, Local
from telebot.providers.local_speech import LocalSpeech
from telebot.simulate.faults import NAMES, POINTS, Fault
from telebot.simulate.registry import OWN_PORTS, VENDORS, variables
from telebot.simulate.server import Simulator

LISTEN = "127.0.0.1:8090"
STOP_S = 1.0  # what an exchange under way has left when the command ends
FAILED, USAGE_ERROR = 1, 2
FAULT = "VENDOR[.KIND]=NAME[:SECONDS][@POINT][xTIMES]"
EPILOG = f"""\
A fault is {FAULT}:
  deepgram.stt=drop@middle         every recognition is cut off in the middle
  openai.llm=latency:2.5@first x1  the next answer's first word comes 2.5 s late
  *=429                            every vendor refuses
NAME is one of {", ".join(NAMES)};
POINT one of {", ".join(POINTS)}; KIND stt, llm, tts or realtime.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument(
        "--listen", default=LISTEN, metavar="HOST:PORT", help=f"a loopback address ({LISTEN})"
    )
    parser.add_argument(
        "--vendor",
        action="append",
        choices=sorted(VENDORS),
        metavar="NAME",
        help="only this one; may be repeated. One of: " + ", ".join(sorted(VENDORS)),
    )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="TEXT", help="from the start on; see below"
    )
    parser.add_argument(
        "--env", type=Path, metavar="FILE", help="write the variables into this file for a shell"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    logs.configure("WARNING")
    try:
        host, port = loopback(args.listen)
        faults = [Fault.parse(text) for text in args.fault]
    except ConfigError as error:
        print(f"telebot simulate: {error}", file=sys.stderr)
        return USAGE_ERROR
    try:
        asyncio.run(_serve(host, port, args.vendor, faults, args.env))
    except (Local, OSError) as error:
        print(f"telebot simulate: {error}", file=sys.stderr)
        return FAILED
    return 0


def loopback(listen: str) -> tuple[str, int]:
    """Host and port of HOST:PORT. Raises ConfigError: nobody else may reach what takes any key."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        here = host == "localhost" or ipaddress.ip_address(host).is_loopback
        number = int(port)
    except ValueError:
        here, number = False, -1
    if not here or not 0 <= number <= 65535:
        raise ConfigError(f"--listen {listen}: write a loopback address, for example {LISTEN}")
    return host, number


@dataclass(frozen=True, slots=True)
class Simulation:
    """A running simulator. `environ` is what points a server at it, by vendor; `left_out` why some
    of the vendors are not there."""

    http: str
    environ: Mapping[str, Mapping[str, str]]
    left_out: Mapping[str, str]


@asynccontextmanager
async def running(
    sim: Simulator, host: str, port: int, vendors: Iterable[str]
) -> AsyncIterator[Simulation]:
    """All of `vendors` on one port, and those that want one of their own beside it."""
    there, left_out = _importable(vendors)
    async with AsyncExitStack() as stack:
        http = await _listen(stack, sim.app(there), host, port)
        urls = dict.fromkeys(there, f"http://{http}")
        for vendor in OWN_PORTS.keys() & urls.keys():
            try:
                urls[vendor] = await _on_its_own(stack, sim, host, vendor)
            except ImportError as error:
                del urls[vendor]
                left_out[vendor] = str(error)
        environ = {vendor: variables(vendor, url) for vendor, url in urls.items()}
        yield Simulation(http, environ, left_out)


async def _on_its_own(stack: AsyncExitStack, sim: Simulator, host: str, vendor: str) -> str:
    """Serve a vendor on a port of its own; its URL."""
    module, _, function = OWN_PORTS[vendor].partition(":")
    port, stop = await getattr(importlib.import_module(module), function)(sim, host)
    stack.push_async_callback(stop)
    return f"http://{_address(host, port)}"


def _importable(vendors: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Those whose packages are installed, and why the others are not there."""
    there, left_out = [], {}
    for vendor in vendors:
        try:
            importlib.import_module(VENDORS[vendor].partition(":")[0])
        except ImportError as error:
            left_out[vendor] = str(error)
        else:
            there.append(vendor)
    return there, left_out


async def _listen(stack: AsyncExitStack, app: web.Application, host: str, port: int) -> str:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        why = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ConfigError(
            f"{_address(host, port)}: {why}; name another address by --listen"
        ) from error
    return _address(host, runner.addresses[0][1])


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _serve(
    host: str,
    port: int,
    wanted: Sequence[str] | None,
    faults: Sequence[Fault],
    env: Path | None,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    local = LocalSpeech()
    try:
        await local.load()
        async with running(Simulator(local, faults), host, port, wanted or VENDORS) as simulation:
            _announce(simulation, env, wanted or ())
            await stop.wait()
    finally:
        local.close()


def _announce(simulation: Simulation, env: Path | None, wanted: Sequence[str]) -> None:
    """Say where it is, and how to use it. Raises ConfigError where a vendor that was asked for is
    not there."""
    for vendor, why in simulation.left_out.items():
        if vendor in wanted:
            raise ConfigError(f"{vendor}: {why}")
        print(f"telebot simulate: without {vendor}: {why}", file=sys.stderr)
    exports = "\n".join(_export(each) for each in simulation.environ.values())
    if env is not None:
        env.write_text(f"# vendors simulated at {simulation.http}\n{exports}\n", encoding="utf-8")
    print(f"ready http={simulation.http}", flush=False)
    print("\nIn the shell that starts the server, or doctor:\n")
    print(f"  . {shlex.quote(str(env.absolute()))}" if env else exports)  # `.` looks in no folder
    print(f"\nFaults, while it runs ({FAULT}; [] ends them):\n")
    text = """'["deepgram.stt=drop@middle", "openai.llm=latency:2.5@first x1"]'"""
    print(f"  curl http://{simulation.http}/faults -d {text}", flush=True)


def _export(variables: Mapping[str, str]) -> str:
    return "export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
