"""Kamailio and rtpengine with the configuration that ships in `docker/kamailio/`: the same files,
with ports of this test by environment and command line, and a certificate made for it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from program import HOST, START_S, Program, found, free_ports, listens
from sip_line import sip_line

SHIPPED = Path(__file__).resolve().parents[3] / "docker" / "kamailio"
MEDIA_PORTS = 200
KEY = "a key of the tests that hides names"


@dataclass(frozen=True)
class Authority:
    """A certificate for 127.0.0.1 that signed itself; `both` is it and its key in one file."""

    certificate: Path
    key: Path
    both: Path


def authority(folder: Path) -> Authority:
    """Makes one (a tenth of a second)."""
    folder.mkdir(parents=True, exist_ok=True)
    key, certificate, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    asked = ["req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={HOST}"]
    asked += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    asked += ["-addext", f"subjectAltName=IP:{HOST}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([found("openssl", "openssl"), *asked], check=True, capture_output=True)
    both.write_text(certificate.read_text() + key.read_text())
    return Authority(certificate, key, both)


@dataclass
class Front:
    """A running front. Calls from outside go to `sip` (UDP and TCP) or `tls`, workers send to
    `inside`."""

    kamailio: Program
    rtpengine: Program
    sip: int
    tls: int
    inside: int
    inside_host: str
    folder: Path
    authority: Authority

    def uri(self, user: str, transport: str = "udp") -> str:
        port = self.tls if transport == "tls" else self.sip
        return f"sip:{user}@{HOST}:{port};transport={transport}"


@asynccontextmanager
async def rtpengine(
    folder: Path, outside: str = HOST, inside: str = HOST
) -> AsyncIterator[tuple[Program, int]]:
    """It, and its control port."""
    path = found("rtpengine", "rtpengine-daemon")
    control, media = free_ports(), free_ports(MEDIA_PORTS)
    argv = [path, f"--config-file={SHIPPED / 'rtpengine.conf'}"]
    argv += [f"--interface=outside/{outside}", f"--interface=inside/{inside}"]
    argv += [f"--listen-ng={HOST}:{control}"]
    argv += [f"--port-min={media}", f"--port-max={media + MEDIA_PORTS - 1}", "--num-threads=1"]
    argv += [f"--pidfile={folder / 'rtpengine.pid'}"]
    program = Program(argv, folder, "rtpengine")
    program.start()
    try:
        await program.until(lambda: listens(control))
        yield program, control
    finally:
        await program.stop()


@asynccontextmanager
async def front(
    folder: Path,
    workers: Sequence[str],
    *,
    trunks: Sequence[str] = (f"1 {HOST} 32 0 test", f"2 {HOST} 32 0 test"),
    inside_host: str = HOST,
    authority_of_carriers: Authority | None = None,
    **environ: str,
) -> AsyncIterator[Front]:
    """Kamailio in front of `workers` (SIP URIs); `trunks` are the lines of trunks.list and
    `environ` the settings that differ from what ships. Carriers that it calls over TLS are known by
    `authority_of_carriers`."""
    kamailio_path = found("kamailio", "kamailio")
    home = folder / "front"
    shutil.copytree(SHIPPED, home)
    made = authority(home / "tls")
    shutil.copy((authority_of_carriers or made).certificate, home / "tls" / "ca.pem")
    (home / "dispatcher.list").write_text("".join(f"1 {uri}\n" for uri in workers))
    (home / "trunks.list").write_text("".join(f"{line}\n" for line in trunks))
    sip, inside = free_ports(2), free_ports(host=inside_host)
    async with rtpengine(home, inside=inside_host) as (media, control):
        ports = {
            "OUTSIDE_ADDRESS": HOST,
            "OUTSIDE_PORT": str(sip),
            "OUTSIDE_TLS_PORT": str(sip + 1),
            "INSIDE_ADDRESS": inside_host,
            "INSIDE_PORT": str(inside),
            "RTPENGINE": f"udp:{HOST}:{control}",
            "TOPOLOGY_KEY": KEY,
            "PING_S": "1",
            "WORKER_SILENT_MS": "6000",  # the tests' own workers are as slow as this machine
        }
        program = kamailio(kamailio_path, home / "kamailio.cfg", {**ports, **environ})
        program.start()
        try:
            await program.until(lambda: listens(inside))
            await _answers(sip)
            yield Front(program, media, sip, sip + 1, inside, inside_host, home, made)
        finally:
            await program.stop(signal.SIGINT)


async def _answers(port: int) -> None:
    """Until it says anything: its sockets are bound long before its processes are there."""
    async with sip_line() as line, asyncio.timeout(START_S):
        while not any(message.status >= 200 for message in line.messages):
            line.send(line.request("OPTIONS", port).text(), (HOST, port))
            await asyncio.sleep(0.1)


def kamailio(path: str, config: Path, environ: dict[str, str]) -> Program:
    """Not yet started; it stays in the foreground with little memory."""
    folder = config.parent
    argv = [path, "-f", str(config), "-DD", "-E", "-m", "32", "-M", "4"]
    argv += ["-P", str(folder / "kamailio.pid"), "-Y", str(folder), "-w", str(folder)]
    return Program(argv, folder, "kamailio", {**os.environ, **environ})
