"""An agent that masks its waits and asks its model once: whole calls with `telebot simulate`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from serving import Server
from test_simulate import LANE, PARKING, VENDORS, Simulator, call, exported, last_call

pytestmark = pytest.mark.peers

FILLER = "One moment please, I will look that up for you."  # longer than the wait
AGENT = {
    "speech": {
        "stt": ["deepgram", "local"],
        "llm": [{"service": "openai", "first_s": 10}, "dialog"],
        "tts": ["elevenlabs", "local"],
        "prompt": "You answer the phone of a restaurant, in one or two short sentences.",
        "filler_s": 0.5,
        "reuse_replies": True,
    },
    "phrases": {
        "greeting": "Hello, this is the restaurant. You can park here.",
        "fillers": [FILLER],
    },
}


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    words = [word for vendor in VENDORS for word in ("--vendor", vendor)]
    running = Simulator(*words, "--env", str(tmp_path / "vendors.env"))
    try:
        yield running
        assert running.stop() == 0
    finally:
        running.process.kill()


@pytest.fixture
def server(simulator: Simulator, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "test.yaml").write_text(yaml.safe_dump(AGENT))
    (tmp_path / "numbers.yaml").write_text('numbers:\n  "*": test\n')
    file = tmp_path / "telebot.yaml"
    file.write_text("server:\n  drain_s: 0\n")
    with Server(tmp_path / "data", file, **exported(tmp_path / "vendors.env")) as running:
        yield running


async def test_a_slow_answer_is_masked_and_given_again(
    simulator: Simulator, server: Server
) -> None:
    await simulator.fault("openai.llm=latency:1.5@first x1")
    call(server, "Where can I park?")
    record = await last_call(server)
    turn = record["turns"][1]
    assert turn["bot_text_heard"] == f"{FILLER} {PARKING}{LANE}"
    assert turn["providers"]["llm"].startswith("openai")

    await simulator.fault("openai.llm=500")  # nobody asks it
    call(server, "Where can I park?")
    record = await last_call(server)
    turn = record["turns"][1]
    assert turn["bot_text_heard"] == PARKING + LANE
    assert turn["providers"]["llm"].startswith("openai")
    spent = [item for item in record["cost"]["items"] if item["kind"] == "llm"]
    assert [(item["quantity"], item["unit"]) for item in spent] == [(0.0, "tokens_out")]
