"""What a start imports: nothing that no call needs, and all that a call needs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from serving import RECORD_TIMEOUT_S, Dial, Server

pytestmark = pytest.mark.e2e

# what is for one page, one vendor or one command; the SDKs are what takes longest
LATER = {
    "alembic", "anthropic", "azure", "boto3", "botocore", "cartesia", "deepgram", "elevenlabs",
    "faster_whisper", "google.genai", "groq", "jinja2", "openai", "py3langid", "telebot.doctor",
    "telebot.phone", "telebot.records.commands", "telebot.simulate", "twilio.rest",
}  # fmt: skip
PROGRAM = """
import sys
from telebot import cli

def noted(when):
    print(f"{when}:", *sorted(sys.modules), flush=True)

def main():
    from telebot import app
    serve = app.serve

    async def told(settings, ready):
        def both(server):
            ready(server)
            noted("at the start")
        await serve(settings, both)

    app.serve = told
    try:
        cli.main()
    finally:
        noted("in the end")

main()
"""


class Told(Server):
    """Tells what it has imported when it is ready, and when it ends."""

    command = (sys.executable, "-c", PROGRAM)

    async def modules(self, when: str) -> set[str]:
        async with asyncio.timeout(RECORD_TIMEOUT_S):
            while True:  # its last line may come after its end
                for line in self.log:
                    if line.startswith(f"{when}: "):
                        return set(line.partition(": ")[2].split())
                await asyncio.sleep(0.05)


async def test_a_start_imports_what_calls_need_and_a_call_nothing_more(
    config: Path, tmp_path: Path, dial: Dial
) -> None:
    with Told(tmp_path / "data", config) as server:
        async with dial(server) as phone:
            await phone.heard()
            turn = await phone.say("Are you open on Mondays?")
            assert "closed" in turn.heard.lower()
        assert server.stop() == 0
    at_start = await server.modules("at the start")
    assert at_start & LATER == set()
    since = await server.modules("in the end") - at_start
    ours = {name for name in since if not name.startswith(("encodings.", "asyncio."))}
    assert ours == set(), "the first caller waits for none of it"
