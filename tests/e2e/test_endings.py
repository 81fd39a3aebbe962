"""However a call ends, there is one record of it with one termination, and the next is served."""

from __future__ import annotations

import asyncio

import pytest
from serving import Dial, Server, Start

from telebot.phone.destination import CannotCall

pytestmark = pytest.mark.e2e


async def check_served(server: Server, dial: Dial) -> None:
    """The next call is answered."""
    async with dial(server) as phone:
        assert await phone.heard()


async def test_silence_is_asked_twice_and_then_ended(server: Server, dial: Dial) -> None:
    async with dial(server, agent="impatient") as phone:
        assert await phone.until_over(40)
        words = (await phone.words()).lower()
    assert phone.line.ended_by == "bot"
    assert phone.line.cut_samples == 0
    assert phone.apology == ""
    assert "still there" in words
    assert "goodbye" in words
    record = await server.record(phone.to.call_sid)
    assert record["termination"] == {"result": "completed", "reason": "silence"}
    # greeting, two reprompts, goodbye
    assert len(record["turns"]) == 4
    assert all(turn["caller_text"] is None for turn in record["turns"])


async def test_a_call_has_a_longest_duration(server: Server, dial: Dial) -> None:
    async with dial(server, agent="brief") as phone:
        await phone.heard()
        assert await phone.until_over(20)
    assert phone.line.ended_by == "bot"
    record = await server.record(phone.to.call_sid)
    assert record["termination"] == {"result": "completed", "reason": "max_duration"}
    assert 9.0 <= record["duration_s"] <= 16.0


async def test_a_caller_who_hangs_up_while_the_bot_thinks(server: Server, dial: Dial) -> None:
    async with dial(server) as phone:
        await phone.heard()
        await phone.speak("What are your opening hours?")
        await phone.wait(0.2)
    record = await server.record(phone.to.call_sid)
    assert record["termination"] == {"result": "completed", "reason": "caller_hangup"}
    assert all(turn["bot_text_heard"] == "" for turn in record["turns"][1:])
    await check_served(server, dial)


async def test_a_caller_who_hangs_up_while_the_bot_speaks(server: Server, dial: Dial) -> None:
    async with dial(server) as phone:
        await phone.heard()
        await phone.speak("What are your opening hours?")
        assert await phone.into_reply(1.0)
    record = await server.record(phone.to.call_sid)
    assert record["termination"]["reason"] == "caller_hangup"
    reply = record["turns"][-1]
    assert reply["bot_text"].startswith(reply["bot_text_heard"])
    assert len(reply["bot_text_heard"]) < len(reply["bot_text"])


async def test_a_line_that_drops_without_a_stop(server: Server, dial: Dial) -> None:
    async with dial(server) as phone:
        await phone.heard()
        await phone.drop()
    record = await server.record(phone.to.call_sid)
    assert record["termination"] == {"result": "failed", "reason": "stream_lost"}
    await check_served(server, dial)


async def test_sigterm_lets_a_live_call_finish_and_ends_one_that_does_not(
    start: Start, dial: Dial
) -> None:
    server = start()
    async with dial(server) as phone, dial(server) as stays:
        await asyncio.gather(phone.heard(), stays.heard())
        server.terminate()
        await asyncio.sleep(0.3)
        with pytest.raises(CannotCall):  # refused aloud, or nobody listens any more
            async with dial(server):
                pass
        turn = await phone.say("Goodbye")
        assert "goodbye" in turn.heard.lower()
        assert await phone.until_over(10)
        assert await stays.until_over(25)  # drain_s is 10
    assert stays.line.ended_by == "bot"
    assert stays.line.close_code not in (1006, 1011)
    assert await asyncio.to_thread(server.process.wait, 20) == 0, server.tail()
    again = start()
    for one, reason in ((phone, "bot_hangup"), (stays, "drained")):
        record = await again.record(one.to.call_sid)
        assert record["termination"] == {"result": "completed", "reason": reason}


async def test_a_crash_leaves_one_closed_record(start: Start, dial: Dial) -> None:
    server = start()
    async with dial(server) as phone:
        await phone.heard()
        await asyncio.sleep(1.5)  # what is written behind is written within a second
        await asyncio.to_thread(server.kill)
        assert await phone.until_over(5)
    again = start()
    record = await again.record(phone.to.call_sid)
    assert record["termination"] == {"result": "failed", "reason": "server_crashed"}
    assert record["ended_at"] is not None
    await check_served(again, dial)
