"""The gateways that are compared, and how each is started: on one core, before one upstream.

LiteLLM's proxy lives in an environment of its own under `build/`, made from `litellm.lock` when it
is first needed; it is started as its documentation recommends for production
(https://docs.litellm.ai/docs/proxy/prod): one uvicorn worker a core, a master key, logs of errors
alone, `LITELLM_MODE=PRODUCTION`. It has no database: its keys and its spend log would need
PostgreSQL; what a request costs it works out all the same and says in `x-litellm-response-cost`.
telebot runs as it ships, with its own database: every request is written down with its cost.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench import gateway_samples as samples
from bench.gateway_upstream import KEY as UPSTREAM_KEY
from bench.processes import Server, ServerFailed, free_port, start
from bench.servers import ADMIN_KEY, kept_environment, serve_command

HOME = Path(__file__).resolve().parent.parent
LOCK = Path(__file__).with_name("litellm.lock")
ENVIRONMENT = HOME / "build" / "litellm"
MASTER_KEY = "sk-" + ADMIN_KEY
NAMES = ("telebot", "litellm")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs. `url` goes up to ``/v1``."""

    name: str
    server: Server
    url: str
    key: str


def litellm_environment() -> Path:
    """LiteLLM's own environment, made where it is missing. Raises ServerFailed."""
    program = ENVIRONMENT / "bin" / "litellm"
    done = ENVIRONMENT / ".lock"
    if program.exists() and done.exists() and done.read_bytes() == LOCK.read_bytes():
        return ENVIRONMENT
    uv = Path(sys.executable).with_name("uv")
    tool = str(uv) if uv.exists() else "uv"
    print("making LiteLLM's environment, once", flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    install = ("pip", "install", "-q", "--python", str(ENVIRONMENT / "bin" / "python"))
    for command in (
        ("venv", "-q", str(ENVIRONMENT), "--python", sys.executable),
        (*install, "--require-hashes", "-r", str(LOCK)),
    ):
        try:
            subprocess.run((tool, *command), check=True, cwd=HOME)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ServerFailed(f"LiteLLM cannot be installed: {error}") from error
    done.write_bytes(LOCK.read_bytes())
    return ENVIRONMENT


def litellm_version() -> str:
    """Of the package that runs."""
    found = next(ENVIRONMENT.glob("lib/*/site-packages/litellm-*.dist-info"), None)
    return "-" if found is None else found.name.removeprefix("litellm-").removesuffix(".dist-info")


@contextlib.contextmanager
def upstream(on: set[int]) -> Iterator[Server]:
    """The upstream, up and pinned; as the null server it stands where a gateway does."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "bench", "gateway-upstream"]
    command += ["--port", str(port)]
    with _folder() as folder:
        url = f"http://127.0.0.1:{port}"
        server = start(
            command, kept_environment(), url=url, ready_path="/stats", folder=folder, on=on
        )
        try:
            yield server
        finally:
            server.stop()


def told(server: Server, path: str) -> dict[str, Any]:
    """What the upstream answers to one of its own paths."""
    with urllib.request.urlopen(server.url + path, timeout=5) as answer:
        tree: dict[str, Any] = json.load(answer)
    return tree


@contextlib.contextmanager
def running(name: str, before: Server, on: set[int]) -> Iterator[Gateway]:
    """A gateway before the upstream `before`, up and pinned. Raises ServerFailed."""
    port, at = free_port(), f"{before.url}/v1"
    with _folder() as folder:
        if name == "telebot":
            command, environ = _telebot(folder, port), _telebot_environment(at)
            key, ready = ADMIN_KEY, "/health/ready"
        else:
            command, environ = _litellm(folder, port, at), _litellm_environment()
            key, ready = MASTER_KEY, "/health/liveliness"
        url = f"http://127.0.0.1:{port}"
        server = start(command, environ, url=url, ready_path=ready, folder=folder, on=on)
        try:
            yield Gateway(name, server, f"{url}/v1", key)
        finally:
            server.stop()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gateway-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _telebot(folder: Path, port: int) -> list[str]:
    config = folder / "telebot.yaml"
    config.write_text(yaml.safe_dump({"limits": {"requests_per_minute": 1_000_000}}))
    return serve_command(port, folder, config)


def _telebot_environment(upstream: str) -> dict[str, str]:
    return {
        **kept_environment(),
        "TELEBOT_ADMIN_KEY": ADMIN_KEY,
        "OPENAI_API_KEY": UPSTREAM_KEY,
        "OPENAI_BASE_URL": upstream,
    }


def _litellm(folder: Path, port: int, upstream: str) -> list[str]:
    def model(name: str, mode: str) -> dict[str, object]:
        asked = {"model": f"openai/{name}", "api_base": upstream, "api_key": UPSTREAM_KEY}
        return {"model_name": name, "litellm_params": asked, "model_info": {"mode": mode}}

    config = folder / "litellm.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "model_list": [
                    model(samples.HEARS, "audio_transcription"),
                    model(samples.SPEAKS, "audio_speech"),
                ],
                "general_settings": {"master_key": MASTER_KEY},
                "litellm_settings": {"request_timeout": 600, "set_verbose": False},
            }
        )
    )
    program = litellm_environment() / "bin" / "litellm"
    options = ("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    return [str(program), "--config", str(config), *options]


def _litellm_environment() -> dict[str, str]:
    kept = {k: v for k, v in kept_environment().items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {
        **kept,
        "PATH": f"{ENVIRONMENT / 'bin'}{os.pathsep}{kept.get('PATH', '')}",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        # prices as they were shipped: nothing is fetched from outside
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
