"""A real PostgreSQL on a free port, as a user that is not root, with its data in a folder of its
own that goes when it stops."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

START_S = 60


def programs() -> Path | None:
    """The folder of initdb and postgres; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


class Postgres:
    """One server. `stop` and `start` may alternate; `remove` ends it all."""

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder
        self._user = _other_user() if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="telebot-pg-"))
        if self._user:
            shutil.chown(self._folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._server: subprocess.Popen[bytes] | None = None
        options = ("-A", "trust", "-U", "telebot", "-E", "UTF8", "--no-sync")
        self._run("initdb", "-D", str(self._folder / "db"), *options)

    def url(self, database: str = "postgres", driver: str = "+asyncpg") -> str:
        return f"postgresql{driver}://telebot@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off")
        told = [part for setting in settings for part in ("-c", setting)]
        self._server = subprocess.Popen(
            [self._bin / "postgres", "-D", self._folder / "db", "-p", str(self.port), *told],
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + START_S
        ready = [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self._server.poll() is not None or time.monotonic() > until:
                raise RuntimeError("PostgreSQL does not start")
            time.sleep(0.1)

    def stop(self) -> None:
        """At once: connections are cut."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(START_S)
            self._server = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments],
            user=self._user,
            cwd=self._folder,
            check=True,
            capture_output=True,
        )


def _other_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
