"""Warm transfers over Twilio's REST: the person's leg, the room where both meet, and that nobody is
left ringing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from telebot.call.errors import CarrierError, NotReached
from telebot.call.model import Call, CallOffer
from telebot.carriers import twilio_rest, twilio_warm
from telebot.carriers.twilio import TwilioCarrier, TwilioSettings

pytestmark = pytest.mark.peers

OFFER = CallOffer("twilio", "CA1", "+441632960001", "+441632960000")
CALL = Call("call-1", OFFER, "front-desk", datetime.now(UTC))
STAFF = "+442079460018"
SUMMARY = "A caller & a <booking>. They said: a person."
LET_GO = {"Status": "completed"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(twilio_rest, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(twilio_warm, "POLL_S", 0.02)


@pytest.fixture
async def carrier(rest_peer):
    settings = TwilioSettings(account_sid="AC1", auth_token="token", base_url=rest_peer.url)
    made = TwilioCarrier(settings)
    yield made
    await made.close()


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # any condition, of either side
            await asyncio.sleep(0.005)


async def asked_twice(rest_peer, status):
    """Once more after the first answer was read."""
    await until(lambda: [told for _, told in rest_peer.told].count(status) >= 2)


class Transfer:
    """One under way, and what it has said."""

    def __init__(self, carrier, within_s=30.0) -> None:
        self.answered = 0
        self.task = asyncio.create_task(
            carrier.transfer_warm(CALL, STAFF, SUMMARY, within_s, self._answered)
        )

    def _answered(self) -> None:
        self.answered += 1


def conference(twiml):
    """What is said first, and the room a leg goes into."""
    root = ElementTree.fromstring(twiml)
    [room] = root.findall("Dial/Conference")
    assert room.attrib == {
        "beep": "false",
        "startConferenceOnEnter": "true",
        "endConferenceOnExit": "true",
        "waitUrl": "",
    }
    assert [verb.tag for verb in root] in (["Say", "Dial"], ["Dial"])
    return root.findtext("Say"), room.text


async def test_the_person_is_told_and_then_the_caller_comes(carrier, rest_peer):
    transfer = Transfer(carrier)
    await until(lambda: rest_peer.made)
    [made] = rest_peer.made
    assert (made.fields["To"], made.fields["From"]) == (STAFF, OFFER.phone_to)
    assert made.fields["Timeout"] == "30"
    said, room = conference(made.fields["Twiml"])
    assert said == SUMMARY
    assert not {"441632960001", "442079460018"} & set(room.split("-"))
    rest_peer.statuses[made.sid] = "ringing"
    await asked_twice(rest_peer, "ringing")
    assert transfer.answered == 0
    rest_peer.statuses[made.sid] = "in-progress"
    await until(lambda: transfer.answered)
    await asyncio.sleep(0.1)
    assert rest_peer.asked == [], "the caller stays until the person has heard everything"
    rest_peer.rooms[room] = "init"
    await transfer.task
    [(call, fields)] = rest_peer.asked
    assert call == "CA1"
    assert conference(fields["Twiml"]) == (None, room)
    assert transfer.answered == 1


@pytest.mark.parametrize(
    ("statuses", "reason", "answered"),
    [
        (["busy"], "busy", 0),
        (["ringing", "no-answer"], "no_answer", 0),
        (["failed"], "unreachable", 0),
        (["canceled"], "no_answer", 0),
        (["in-progress", "completed"], "hung_up", 1),
    ],
    ids=str,
)
async def test_why_the_person_did_not_come(carrier, rest_peer, statuses, reason, answered):
    transfer = Transfer(carrier)
    await until(lambda: rest_peer.made)
    [made] = rest_peer.made
    for status in statuses:
        rest_peer.statuses[made.sid] = status
        await until(lambda status=status: (made.sid, status) in rest_peer.told)
    with pytest.raises(NotReached) as error:
        await transfer.task
    assert error.value.reason == reason
    assert transfer.answered == answered
    assert all(call != "CA1" for call, _ in rest_peer.asked), "the caller has noticed nothing"


async def test_who_does_not_answer_rings_no_more(carrier, rest_peer):
    transfer = Transfer(carrier, within_s=0.2)
    with pytest.raises(NotReached, match="no_answer"):
        await transfer.task
    await until(lambda: rest_peer.asked)
    assert rest_peer.asked == [(rest_peer.made[0].sid, LET_GO)]


async def test_who_never_comes_into_the_room_is_let_go(carrier, rest_peer, monkeypatch):
    monkeypatch.setattr(twilio_warm, "TOLD_WITHIN_S", 0.2)
    transfer = Transfer(carrier)
    await until(lambda: rest_peer.made)
    rest_peer.statuses[rest_peer.made[0].sid] = "in-progress"
    with pytest.raises(NotReached, match="never came"):
        await transfer.task
    await until(lambda: rest_peer.asked)
    assert rest_peer.asked == [(rest_peer.made[0].sid, LET_GO)]


async def test_the_caller_hangs_up_while_the_person_rings(carrier, rest_peer):
    transfer = Transfer(carrier)
    await until(lambda: rest_peer.made)
    await asyncio.sleep(0.05)
    transfer.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await transfer.task
    await until(lambda: rest_peer.asked)
    assert rest_peer.asked == [(rest_peer.made[0].sid, LET_GO)]


async def test_the_caller_hangs_up_while_twilio_is_still_being_asked(carrier, rest_peer):
    """Nobody knows the leg's sid yet; it is let go as soon as it is known."""
    transfer = Transfer(carrier)
    await asyncio.sleep(0)
    transfer.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await transfer.task
    await carrier.close()
    assert rest_peer.asked == [(made.sid, LET_GO) for made in rest_peer.made]


async def test_a_caller_who_cannot_be_sent_after_the_person(carrier, rest_peer):
    transfer = Transfer(carrier)
    await until(lambda: rest_peer.made)
    [made] = rest_peer.made
    rest_peer.statuses[made.sid] = "in-progress"
    rest_peer.refuses = {"CA1"}
    rest_peer.rooms[conference(made.fields["Twiml"])[1]] = "in-progress"
    with pytest.raises(CarrierError, match="21220"):
        await transfer.task
    await until(lambda: len(rest_peer.asked) == 2)
    assert rest_peer.asked[1] == (made.sid, LET_GO)


async def test_a_caller_who_comes_into_an_empty_room_hears_an_apology(carrier, rest_peer):
    transfer = Transfer(carrier)
    await until(lambda: rest_peer.made)
    [made] = rest_peer.made
    rest_peer.statuses[made.sid] = "in-progress"
    rest_peer.rooms[conference(made.fields["Twiml"])[1]] = "init"
    await transfer.task
    rest_peer.statuses[made.sid] = "completed"
    await until(lambda: len(rest_peer.asked) == 2)
    call, fields = rest_peer.asked[1]
    assert call == "CA1"
    assert [verb.tag for verb in ElementTree.fromstring(fields["Twiml"])] == ["Say", "Hangup"]


@pytest.mark.parametrize(("refuses", "let_go"), [(set(), False), ({"CA1"}, True)])
async def test_a_stream_that_ends_while_the_caller_is_sent_along(
    carrier, rest_peer, refuses, let_go
):
    """Whether the caller came is Twilio's word, however late it is."""
    transfer = Transfer(carrier)
    await until(lambda: rest_peer.made)
    [made] = rest_peer.made
    rest_peer.refuses = refuses
    rest_peer.slow_s = 0.3
    rest_peer.statuses[made.sid] = "in-progress"
    rest_peer.rooms[conference(made.fields["Twiml"])[1]] = "init"
    await until(lambda: rest_peer.asked)
    transfer.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await transfer.task
    rest_peer.slow_s = 0.0
    await carrier.close()
    assert ((made.sid, LET_GO) in rest_peer.asked) is let_go


@pytest.mark.parametrize("answer", [400, 500, "drop", "junk"])
async def test_a_rest_in_trouble(carrier, rest_peer, answer):
    rest_peer.then = answer
    transfer = Transfer(carrier)
    with pytest.raises(CarrierError):
        await transfer.task
    assert transfer.answered == 0
