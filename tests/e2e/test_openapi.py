"""Everything under `/v1` answers as `/openapi.json` says, to good requests and to bad ones."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from serving import FOREIGN, REPOSITORY, Server

pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent
SETTINGS = """
limits: {requests_per_minute: 1000000, failures_per_minute: 1000000}
voice: {max_characters: 200}
"""
WITHIN_S = 300  # hung; it takes 20 s


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("described")
    shutil.copytree(REPOSITORY / "config" / "agents", folder / "agents")
    (folder / "numbers.yaml").write_text('numbers:\n  "*": bench\n')
    (folder / "telebot.yaml").write_text(SETTINGS)
    data, config = folder / "data", folder / "telebot.yaml"
    with Server(data, config) as one:
        yield one


async def test_every_endpoint_answers_as_it_is_described(server, dial, tmp_path):
    async with dial(server, agent="bench") as phone:
        await phone.wait(0.3)
    call = (await server.record(phone.to.call_sid))["id"]
    for name in ("schemathesis.toml", "document_hooks.py"):
        shutil.copy(HERE / name, tmp_path)
    environ = {key: value for key, value in os.environ.items() if not FOREIGN.search(key)}
    key = server.key
    spare = await spare_key(server, key)  # whose secrets and end do not matter
    command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    command += [f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {key}"]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=tmp_path,
        env={
            **environ,
            "CALL_ID": call,
            "API_KEY_ID": spare,
            "PYTHONPATH": str(REPOSITORY),
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:] + server.tail()
    assert "request_failed" not in server.tail()


async def spare_key(server: Server, admin: str) -> str:
    headers = {"Authorization": f"Bearer {admin}"}
    asked = {"name": "spare", "scope": "operator"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{server.url}/v1/keys", json=asked) as answer,
    ):
        return str((await answer.json())["id"])


async def test_the_document_is_one(server):
    url = f"{server.url}/openapi.json"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        document = await answer.json()
    OpenAPIV31SpecValidator(document).validate()
    assert len(document["paths"]) > 20
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))
