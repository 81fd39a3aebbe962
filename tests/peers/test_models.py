"""What every vendor of language models shows a call, through its service, against its simulated
wire; what only one of them has is in its own file."""

from __future__ import annotations

import pytest
from llm_line import ANSWER, asked, failure, reply
from pipecat.frames.frames import LLMTextFrame
from pipecat.utils.errors import ErrorCategory
from simulated import POINTS, simulated

from telebot.providers import registry

pytestmark = pytest.mark.peers


@pytest.fixture(params=["anthropic", "gemini"])
async def vendor(speech, request):
    async with simulated(speech, [request.param]) as server:
        server.name = request.param
        yield server


@pytest.fixture
def llm(vendor):
    """Builds the service of the vendor."""
    return lambda: registry.build_llm(vendor.name, vendor.resources)


async def test_a_model_answers_a_caller(llm):
    assert await reply(llm()) == ANSWER


@pytest.mark.parametrize("point", POINTS)
async def test_a_lost_connection_is_an_error(vendor, llm, point):
    vendor.fault(f"{vendor.name}=drop@{point}")
    error, _ = await failure(llm())
    assert error.category is ErrorCategory.CONNECTIVITY


async def test_nobody_there_is_an_error(vendor, llm, unused_tcp_port):
    vendor.environ[f"{vendor.name.upper()}_BASE_URL"] = f"http://127.0.0.1:{unused_tcp_port}"
    error, _ = await failure(llm())
    assert error.category is ErrorCategory.CONNECTIVITY


async def test_garbage_is_an_error(vendor, llm):
    vendor.fault(f"{vendor.name}=garbage@middle")
    error, said = await failure(llm())
    assert error.category is ErrorCategory.SERVER
    assert ANSWER.startswith(said)


@pytest.mark.parametrize(
    ("fault", "point"), [("stall", "connect"), ("stall", "middle"), ("silence", "first")]
)
async def test_a_silent_vendor_holds_nobody_up(vendor, llm, fault, point):
    vendor.fault(f"{vendor.name}={fault}@{point}")
    async with asked(llm()) as run:
        if point == "middle":
            await run.line.sink.wait_for(LLMTextFrame, 12)
