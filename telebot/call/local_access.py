"""The secret by which programs of the same user on this machine may call the server.

It lives in the data folder; a running server also publishes it for its port in a folder only its
user can read, so that `telebot call` finds it whatever data folder the server has. Used by
`carriers/local.py` (server) and `phone/` (caller); `environ` names the session's runtime folder.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telebot.call.errors import ConfigError

SECRET_FILE = "local.key"
TEMPORARY = Path("/tmp")
MAX_FILE_BYTES = 4096


def load_secret(data: Path, name: str = SECRET_FILE) -> str:
    """A secret of the data folder, made when first asked for. Raises `ConfigError`."""
    path = data / name
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path, secrets.token_urlsafe(32))
        path.chmod(0o600)
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be used: {error}") from error
    if not secret:
        raise ConfigError(f"{path}: is empty; delete it and start again")
    return secret


def publish(port: int, secret: str, environ: Mapping[str, str], data: Path | None = None) -> Path:
    """Let this user's programs find the server on `port`. Raises `ConfigError`."""
    folders = _folders(environ)
    if not folders:
        raise ConfigError(f"neither XDG_RUNTIME_DIR nor {TEMPORARY} is a folder")
    folder = folders[0]
    path = folder / f"{port}.json"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _private(folder.lstat()):
            raise ConfigError(f"{folder}: belongs to someone else or is open to others")
        path.unlink(missing_ok=True)  # of a server that crashed
        _create(path, json.dumps({"secret": secret, "data": str(data.resolve()) if data else ""}))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error}") from error
    return path


def withdraw(path: Path) -> None:
    """Take back what `publish` wrote."""
    path.unlink(missing_ok=True)


def discover(port: int, environ: Mapping[str, str]) -> str | None:
    """The secret of this user's server on `port`, or None where there is none to be trusted."""
    for folder in _folders(environ):
        secret = _read(folder, port).get("secret")
        if isinstance(secret, str) and secret:
            return secret
    return None


def _folders(environ: Mapping[str, str]) -> list[Path]:
    """Where the run files may be: the session's runtime folder first, else /tmp."""
    bases = [Path(environ.get("XDG_RUNTIME_DIR", "")), TEMPORARY]
    name = f"telebot-{os.getuid()}"
    return [base / name for base in bases if base.is_absolute() and base.is_dir()]


def _private(info: os.stat_result) -> bool:
    mine = info.st_uid == os.getuid() and not info.st_mode & 0o077
    return mine and (stat.S_ISDIR(info.st_mode) or stat.S_ISREG(info.st_mode))


def _read(folder: Path, port: int) -> dict[str, Any]:
    try:
        if not _private(folder.lstat()):
            return {}
        descriptor = os.open(folder / f"{port}.json", os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            if not _private(os.fstat(descriptor)):
                return {}
            tree = json.loads(file.read(MAX_FILE_BYTES))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _create(path: Path, text: str) -> None:
    """Write a file of ours at once: whoever reads it sees all of it; one that came first stays."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink()
