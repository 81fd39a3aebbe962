"""The SIP peers of these tests against each other: what they find in telebot is telebot's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from baresip import Baresip, baresip, strength, tone
from faulty_network import Faults, faulty_network
from rtp_line import RtpLine, rtp_line
from sip_line import respond, sdp, sip_line
from sipp import sipp

pytestmark = pytest.mark.peers

ALICE_HZ, BOB_HZ = 440, 1000
PURE = 0.95  # of a tone that nothing happened to
SPOILT = 0.4  # of one with holes


async def hears(phone: Baresip, hz: float, share: float = PURE) -> None:
    """Within a while, the tone is most of what it hears."""
    async with asyncio.timeout(20):
        while strength(phone.heard(), hz) < share:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_two_telephones_hear_each_other_through_a_bad_network(tmp_path: Path) -> None:
    bad = Faults(loss=0.03, jitter_ms=40, reorder=0.1, duplicates=0.02)
    async with (
        baresip(tmp_path, "bob", tone(BOB_HZ, 30), account=";answermode=auto") as bob,
        faulty_network(bob.sip, sip=Faults(jitter_ms=20, duplicates=0.3), rtp=bad) as network,
        baresip(tmp_path, "alice", tone(ALICE_HZ, 30)) as alice,
    ):
        await alice.dial(f"sip:bob@127.0.0.1:{network.port}")
        await hears(alice, BOB_HZ, SPOILT)
        await hears(bob, ALICE_HZ, SPOILT)
        async with asyncio.timeout(20):
            seen, fates = network.seen["rtp"], ("lost", "overtook", "doubled")
            while not all(seen[fate] for fate in fates):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await alice.press("5")
        await bob.event("CALL_DTMF_START")
        await bob.hang_up()
        await alice.event("CALL_CLOSED")
        assert network.seen["sip"]["doubled"], network.seen


@pytest.mark.parametrize("scenario", ["call", "early_bye", "hold", "late_offer", "info_digits"])
async def test_a_scenario_passes_with_a_telephone(tmp_path: Path, scenario: str) -> None:
    async with baresip(tmp_path, "bob", tone(BOB_HZ, 5), account=";answermode=auto") as bob:
        outcome = await sipp(tmp_path, scenario, bob.sip, to="bob", pause_ms=50)
        assert outcome.passed, str(outcome)


async def test_a_scenario_fails_where_the_other_side_does_otherwise(tmp_path: Path) -> None:
    async with baresip(tmp_path, "bob", tone(BOB_HZ, 5), account=";answermode=auto") as bob:
        outcome = await sipp(tmp_path, "update", bob.sip, to="bob", pause_ms=50)
        assert not outcome.passed
        assert "501 Not Implemented" in outcome.errors


async def test_sip_and_rtp_by_hand(tmp_path: Path) -> None:
    """A call of our own making, its audio in 60 ms of A-law and its key as an event."""
    line: RtpLine
    async with (
        baresip(tmp_path, "bob", tone(BOB_HZ, 30), account=";answermode=auto") as bob,
        sip_line() as caller,
        rtp_line() as line,
    ):
        invite = caller.request("INVITE", bob.sip, "bob", body=sdp(line.port, "8 101", 60))
        caller.answer = lambda message: respond(message, 200, "OK")
        answer = await caller.ask(invite, bob.sip)
        assert answer.status == 200, answer.text
        caller.send(caller.ack(invite, answer), answer.source)
        line.peer = ("127.0.0.1", answer.media_port)
        await line.speak(b"\xd5" * 8 * 300, 8, 60)
        await line.press("7")
        event = await bob.event("CALL_DTMF_START")
        assert event["param"] == "7"
        assert len(line.packets) > 5
        assert {packet.payload_type for packet in line.packets} == {8}
        await bob.hang_up()
        await bob.event("CALL_CLOSED")
