"""From an offer to a call: slots, tokens, expiry, drain, one ending each."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest
from call_scene import KEY, LIFE_S, Scene, offer
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from telebot.call.errors import BadToken, Refused
from telebot.call.model import Call, CallOffer, Result, State, Termination

pytestmark = pytest.mark.unit


def test_a_call_and_its_stream(scene):
    call, token = scene.admission.admit(offer())
    assert (call.agent, call.state, call.answered_at) == ("front-desk", State.RINGING, None)
    assert scene.admission.ringing(call)
    scene.time_s = 2
    assert scene.admission.connect(token, "twilio", "CA1") is call
    assert call.answered_at - call.created_at == timedelta(seconds=2)
    assert not scene.admission.ringing(call)
    assert scene.log.answered_calls == [call]
    assert scene.admission.find("twilio", "CA1") is call
    assert scene.admission.end(call, "caller_hangup")
    assert not scene.admission.end(call, "server_error")
    assert call.state is State.ENDED
    assert scene.admission.find("twilio", "CA1") is None
    assert scene.reasons() == ["caller_hangup"]


@pytest.mark.parametrize(
    ("changes", "agent"),
    [
        ({}, "front-desk"),
        ({"agent": "echo"}, "echo"),
        ({"agent": "nobody"}, None),
        ({"agent": ""}, None),
        ({"phone_to": "+441632960009"}, None),
        ({"phone_to": "+441632960009", "agent": "echo"}, "echo"),
    ],
)
def test_the_number_or_the_url_picks_the_agent(scene, changes, agent):
    if agent:
        assert scene.admission.admit(offer(**changes))[0].agent == agent
    else:
        with pytest.raises(Refused, match="unknown_number"):
            scene.admission.admit(offer(**changes))
        assert scene.log.endings[0][1].result is Result.REFUSED


def test_any_other_number(scene):
    scene.admission.numbers = {"*": "echo"}
    assert scene.admission.admit(offer(phone_to="anything"))[0].agent == "echo"


def test_full_is_full_until_one_hangs_up(scene):
    first, _ = scene.admission.admit(offer("CA1"))
    scene.admission.admit(offer("CA2"))
    with pytest.raises(Refused, match="capacity"):
        scene.admission.admit(offer("CA3"))
    assert len(scene.admission.live) == 2
    scene.admission.end(first, "caller_hangup")
    scene.admission.admit(offer("CA4"))
    assert scene.reasons() == ["capacity", "caller_hangup"]
    assert scene.admission.refused == 1


def test_a_call_that_is_over_is_not_offered_again(scene):
    call, _ = scene.admission.admit(offer())
    scene.admission.end(call, "caller_hangup")
    with pytest.raises(Refused, match="caller_hangup"):
        scene.admission.admit(offer())
    assert scene.reasons() == ["caller_hangup"]


def test_a_refusal_delivered_again_is_the_same_refusal(scene):
    for _ in range(2):
        with pytest.raises(Refused, match="unknown_number"):
            scene.admission.admit(offer(agent="nobody"))
    assert scene.reasons() == ["unknown_number"]


def test_not_every_call_there_ever_was_is_remembered(scene, monkeypatch):
    monkeypatch.setattr("telebot.call.admission.REMEMBERED", 2)
    for sid in ("CA1", "CA2", "CA3"):
        scene.admission.end(scene.admission.admit(offer(sid))[0], "caller_hangup")
    scene.admission.admit(offer("CA1"))
    with pytest.raises(Refused, match="caller_hangup"):
        scene.admission.admit(offer("CA3"))


def test_a_webhook_delivered_again_is_one_call_with_one_good_token(scene):
    call, first = scene.admission.admit(offer())
    again, second = scene.admission.admit(offer())
    assert again is call
    with pytest.raises(BadToken):
        scene.admission.connect(first, "twilio", "CA1")
    assert scene.admission.connect(second, "twilio", "CA1") is call
    with pytest.raises(Refused, match="duplicate"):
        scene.admission.admit(offer())
    assert scene.log.opened_calls == [call]
    assert scene.log.endings == []


def test_a_token_opens_one_stream_of_one_call_of_one_carrier_for_a_while(scene):
    call, token = scene.admission.admit(offer())
    for carrier, sid in (("telnyx", "CA1"), ("twilio", "CA2"), ("", "")):
        with pytest.raises(BadToken):
            scene.admission.connect(token, carrier, sid)
    scene.time_s = LIFE_S
    with pytest.raises(BadToken, match="expired"):
        scene.admission.connect(token, "twilio", "CA1")
    scene.time_s = LIFE_S - 1
    scene.admission.connect(token, "twilio", "CA1")
    with pytest.raises(BadToken, match="used"):
        scene.admission.connect(token, "twilio", "CA1")
    assert call.answered_at is not None


def test_a_well_signed_token_of_no_call(scene):
    token = scene.tokens.issue("id99", "twilio", "id98")
    with pytest.raises(BadToken, match="used"):
        scene.admission.connect(token, "twilio", "CA1")


def test_a_token_of_a_call_that_ended(scene):
    call, token = scene.admission.admit(offer())
    scene.admission.end(call, "carrier_ended")
    with pytest.raises(BadToken):
        scene.admission.connect(token, "twilio", "CA1")


def test_a_stream_that_never_comes_ends_the_call(scene):
    call, _ = scene.admission.admit(offer("CA1"))
    late, token = scene.admission.admit(offer("CA2"))
    scene.admission.connect(token, "twilio", "CA2")
    scene.time_s = LIFE_S - 0.001
    assert scene.admission.expire() == []
    scene.time_s = LIFE_S
    assert scene.admission.expire() == [call]
    assert scene.admission.expire() == []
    assert call.termination.result is Result.NO_MEDIA
    assert late.termination is None


async def test_drain_takes_no_more_and_waits_for_the_live(scene):
    call, _ = scene.admission.admit(offer())
    drained = asyncio.create_task(scene.admission.drained(60))
    await asyncio.sleep(0)
    with pytest.raises(Refused, match="draining"):
        scene.admission.admit(offer("CA2"))
    assert not drained.done()
    scene.admission.end(call, "drained")
    assert await drained is True


async def test_drain_gives_up_in_time(scene):
    scene.admission.admit(offer())
    assert await scene.admission.drained(0) is False


async def test_an_idle_server_is_drained_at_once(scene):
    assert await scene.admission.drained(0.5) is True


def outbound(**changes) -> CallOffer:
    """A call from the number that has an agent."""
    numbers = {"phone_from": "+441632960000", "phone_to": "+441632960777"}
    return offer("", direction="outbound", **(numbers | changes))


def test_a_call_that_we_make(scene):
    call, token = scene.admission.place(outbound(), 45, {"order": "7"})
    assert (call.agent, call.metadata) == ("front-desk", {"order": "7"})
    assert scene.log.opened_calls == [call]
    assert scene.admission.unanswered() == [call]
    scene.admission.dialled(call, "CA7")
    scene.admission.dialled(call, "CA8")  # the first who names it is believed
    assert scene.log.dialled_calls == [(call, "CA7")]
    assert scene.admission.find("twilio", "CA7") is call
    again, token = scene.admission.admit(offer("CA7", direction="outbound"), call.id)
    assert again is call
    scene.time_s = 60  # no longer a matter of ringing
    assert scene.admission.expire() == []
    assert scene.admission.connect(token, "twilio", "CA7") is call
    assert scene.admission.unanswered() == []
    scene.admission.end(call, "caller_hangup")
    with pytest.raises(Refused, match="caller_hangup"):
        scene.admission.admit(offer("CA7", direction="outbound"), call.id)
    assert scene.reasons() == ["caller_hangup"]


@pytest.mark.parametrize("first", ["webhook", "status", "stream"])
def test_the_answer_may_come_before_the_carriers_word_that_it_dials(scene, first):
    call, token = scene.admission.place(outbound(), 45)
    if first == "webhook":
        _, token = scene.admission.admit(offer("CA7", direction="outbound"), call.id)
    if first == "status":
        assert scene.admission.find("twilio", "CA7", call.id) is call
    assert scene.admission.connect(token, "twilio", "CA7") is call
    scene.admission.dialled(call, "CA7")
    assert scene.log.dialled_calls == [(call, "CA7")]
    assert scene.admission.find("twilio", "CA7") is call


def test_a_request_to_dial_may_be_named_otherwise_than_the_call(scene):
    call, _ = scene.admission.place(outbound(), 45)
    scene.admission.dialled(call, "request-1")
    _, token = scene.admission.admit(offer("CA7", direction="outbound"), call.id)
    assert scene.admission.find("twilio", "request-1") is None
    assert scene.admission.connect(token, "twilio", "CA7") is call
    scene.admission.end(call, "caller_hangup")
    assert scene.admission._by_carrier == {}


def test_a_call_that_nobody_answers(scene):
    call, token = scene.admission.place(outbound(), 45)
    scene.time_s = 44.9
    assert scene.admission.expire() == []
    scene.time_s = 45
    assert scene.admission.expire() == [call]
    assert call.termination == Termination(Result.UNANSWERED, "no_answer")
    with pytest.raises(BadToken):
        scene.admission.connect(token, "twilio", "CA7")
    scene.admission.dialled(call, "CA7")  # late, and still on record
    with pytest.raises(Refused, match="no_answer"):
        scene.admission.admit(offer("CA7", direction="outbound"), call.id)


def test_the_token_of_a_call_that_rings_for_long_is_still_good(scene):
    call, token = scene.admission.place(outbound(), LIFE_S)
    scene.time_s = LIFE_S - 1
    assert scene.admission.connect(token, "twilio", "CA7") is call


@pytest.mark.parametrize("placed", ["id99", "inbound", "another carrier's"])
def test_an_offer_of_a_call_that_we_did_not_make(scene, placed):
    inbound, _ = scene.admission.admit(offer("CA1"))
    other, _ = scene.admission.place(outbound(), 45)
    other.offer = replace(other.offer, carrier="acme")
    named = {"inbound": inbound.id, "another carrier's": other.id}.get(placed, placed)
    with pytest.raises(Refused, match="unknown_call"):
        scene.admission.admit(offer("CA7", direction="outbound"), named)
    assert scene.admission.find("twilio", "CA7", named) is None


def test_no_more_calls_are_made_than_there_is_room_for(scene):
    scene.admission.max_calls = 1
    scene.admission.admit(offer())
    with pytest.raises(Refused, match="capacity"):
        scene.admission.place(outbound(), 45)
    scene.admission.draining = True
    with pytest.raises(Refused, match="draining"):
        scene.admission.place(outbound(), 45)
    assert scene.reasons() == ["capacity", "draining"]


class Moves(RuleBasedStateMachine):
    """Any sequence of what can happen: each call is opened once and ends at most once."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(max_calls=3)
        self.tokens: list[tuple[str, str]] = []

    @rule(target=calls, sid=st.sampled_from(["CA1", "CA2", "CA3", "CA4"]), known=st.booleans())
    def admit(self, sid: str, known: bool) -> Call | None:
        try:
            call, token = self.scene.admission.admit(offer(sid, agent="echo" if known else "no"))
        except Refused:
            return None
        self.tokens.append((sid, token))
        return call

    @rule(target=calls, to=st.sampled_from(["CA5", "CA6", ""]))
    def place(self, to: str) -> Call | None:
        try:
            call, token = self.scene.admission.place(outbound(), 45)
        except Refused:
            return None
        self.scene.admission.dialled(call, to)
        self.tokens.append((to or "CA7", token))
        return call

    @rule(call=calls, sid=st.sampled_from(["CA5", "CA6", "CA8"]))
    def answer(self, call: Call | None, sid: str) -> None:
        if call is not None:
            try:
                offered = offer(sid, direction="outbound")
                found, token = self.scene.admission.admit(offered, call.id)
            except Refused:
                return
            assert found.termination is None
            self.tokens.append((sid, token))

    @rule(n=st.integers(0, 9), sid=st.sampled_from(["", "CA1", "CA2"]))
    def connect(self, n: int, sid: str) -> None:
        if self.tokens:
            own, token = self.tokens[n % len(self.tokens)]
            try:
                call = self.scene.admission.connect(token, "twilio", sid or own)
            except BadToken:
                return
            assert call.termination is None
            assert call.offer.carrier_call_id == (sid or own)

    @rule(call=calls, reason=st.sampled_from(["caller_hangup", "bot_hangup", "stream_lost"]))
    def end(self, call: Call | None, reason: str) -> None:
        if call is not None:
            before = call.termination
            assert self.scene.admission.end(call, reason) == (before is None)
            assert call.termination.reason == (before.reason if before else reason)

    @rule(seconds=st.integers(0, 400))
    def wait(self, seconds: int) -> None:
        self.scene.time_s += seconds
        self.scene.admission.expire()

    @rule()
    def drain(self) -> None:
        self.scene.admission.draining = not self.scene.admission.draining

    @invariant()
    def one_ending_each(self) -> None:
        log, live = self.scene.log, self.scene.admission.live
        ended = [call.id for call, _ in log.endings]
        opened = [call.id for call in log.opened_calls]
        assert len(set(opened)) == len(opened)
        assert len(set(ended)) == len(ended)
        assert set(opened) == set(ended) | set(live)
        assert not set(ended) & set(live)
        assert len(live) <= 3
        assert all(call.termination is None for call in live.values())
        assert all(call.termination is said for call, said in log.endings)

    @invariant()
    def nothing_is_kept_of_the_dead(self) -> None:
        admission = self.scene.admission
        assert set(admission._awaited) <= set(admission.live)
        named = {id for id, call in admission.live.items() if call.offer.carrier_call_id}
        assert set(admission._by_carrier.values()) <= named


TestMoves = Moves.TestCase


def test_the_key_is_not_in_the_token(scene):
    _, token = scene.admission.admit(offer())
    assert KEY not in token
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert len("token" + token) < 500  # Twilio takes no longer parameter


def test_a_call_that_goes_on_without_the_bot_ends_when_it_is_released(scene: Scene) -> None:
    call, _ = scene.admission.admit(offer("CA1"))
    scene.admission.keep(call)
    assert not scene.admission.end(call, "transferred")
    assert call.id in scene.admission.live
    scene.admission.release(call)
    assert scene.admission.end(call, "transferred")
    assert call.termination is not None
    assert call.termination.reason == "transferred"
    assert not scene.admission.live
