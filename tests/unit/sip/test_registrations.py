"""When a registration is renewed, given up and sought elsewhere, on a clock of the test's own."""

from __future__ import annotations

import pytest

from telebot.sip.messages import Reply
from telebot.sip.registrations import Registration, granted
from telebot.sip.targets import Targets
from telebot.sip.trunks import Account, KnownTrunk, Trunk, TrunkOutbound, Trunks

pytestmark = pytest.mark.unit

FIRST, SECOND = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
OWN = "192.0.2.9:5060"


def ok(expires: int, *others: str) -> Reply:
    ours = f"<sip:bot@{OWN}>;expires={expires}"
    return Reply(200, "OK", tuple(("contact", one) for one in (*others, ours)))


class Registrars:
    """What each address answers, and what it was asked."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, int], list[Reply]] = {FIRST: [], SECOND: []}
        self.asked = []

    async def ask(self, question, address):
        self.asked.append((address, question))
        replies = self.replies[address]
        return replies.pop(0) if replies else Reply(408, "Request Timeout")

    def expires(self) -> list[str]:
        return [dict(question.headers)["Expires"] for _, question in self.asked]


class Scene:
    def __init__(self) -> None:
        self.now = 0.0
        self.there = Registrars()
        outbound = TrunkOutbound(
            hosts=(FIRST[0], SECOND[0]),
            domain="pbx.example",
            user="bot",
            password_env="X",
            registers=True,
        )
        trunk = KnownTrunk("pbx", Trunk(outbound=outbound), account=Account("bot", "secret"))
        self.trunks = Trunks([trunk])
        self.one = Registration(
            trunk,
            self.trunks,
            Targets(clock=lambda: self.now),
            self.there.ask,
            own=OWN,
            clock=lambda: self.now,
            chance=lambda: 0.5,
        )

    def from_there(self, address: str) -> list[str]:
        return [trunk.name for trunk in self.trunks.of(address)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_what_is_asked(scene: Scene):
    scene.there.replies[FIRST] = [ok(300)]
    await scene.one.register()
    address, question = scene.there.asked[0]
    assert address == FIRST
    assert (question.method, question.uri) == ("REGISTER", "sip:pbx.example")
    assert (question.sender, question.contact) == ("sip:bot@pbx.example", "bot")
    assert question.account == Account("bot", "secret")


async def test_it_is_renewed_before_it_ends_under_the_same_call_id(scene: Scene):
    scene.there.replies[FIRST] = [ok(100), ok(100)]
    wait_s = await scene.one.register()
    assert 70 <= wait_s <= 85
    scene.now = wait_s
    await scene.one.register()
    first, second = (question for _, question in scene.there.asked)
    assert first.call_id == second.call_id
    assert second.cseq > first.cseq + 2, "room for answers to challenges"
    assert scene.one.left_s == pytest.approx(100)


async def test_its_calls_are_the_trunks_while_it_lasts(scene: Scene):
    assert scene.from_there(FIRST[0]) == []
    scene.there.replies[FIRST] = [ok(100)]
    await scene.one.register()
    assert scene.from_there(FIRST[0]) == ["pbx"]
    assert scene.from_there("192.0.2.77") == []
    scene.one._lost()
    assert scene.from_there(FIRST[0]) == []


async def test_a_longer_time_is_asked_for_where_it_has_to_be(scene: Scene):
    scene.there.replies[FIRST] = [
        Reply(423, "Interval Too Brief", (("min-expires", "3600"),)),
        ok(3600),
    ]
    await scene.one.register()
    assert scene.there.expires() == ["300", "3600"]
    assert scene.one.left_s == 3600
    scene.there.replies[FIRST] = [Reply(423, "Interval Too Brief", (("min-expires", "junk"),))]
    await scene.one.register()
    assert scene.there.expires()[2:] == ["3600", "3600"], "the second one is asked then"


async def test_the_second_registrar_and_back_to_the_first(scene: Scene):
    scene.there.replies[SECOND] = [ok(60), ok(60)]
    await scene.one.register()
    assert scene.one.registrar == SECOND
    assert scene.from_there(SECOND[0]) == ["pbx"]
    scene.there.replies[FIRST] = [ok(60)]
    await scene.one.register()
    assert scene.one.registrar == FIRST


async def test_failures_wait_longer_and_longer(scene: Scene):
    waits = [await scene.one.register() for _ in range(9)]
    assert waits[:3] == [2, 4, 8]
    assert waits[-1] == 120
    assert scene.one.state == {"registered": False, "why": "408 Request Timeout"}


async def test_a_wrong_password_is_not_tried_often(scene: Scene):
    scene.there.replies[FIRST] = [Reply(403, "Forbidden"), Reply(403, "Forbidden")]
    assert [await scene.one.register() for _ in range(2)] == [60, 120]


async def test_retry_after_is_kept(scene: Scene):
    scene.there.replies[FIRST] = [Reply(503, "Busy", (("retry-after", "50 (later)"),))]
    assert await scene.one.register() == 50


async def test_chance_spreads_the_waits(scene: Scene):
    for chance, least, most in ((0.0, 1.5, 70), (1.0, 2.5, 85)):
        one = Scene()
        one.one._chance = lambda chance=chance: chance
        assert await one.one.register() == least
        one.there.replies[FIRST] = [ok(100)]
        assert await one.one.register() == pytest.approx(most)


async def test_it_ends_while_nobody_renews_it(scene: Scene):
    slept: list[float] = []

    class Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        scene.now += seconds
        if len(slept) == 12:
            raise Enough

    scene.one._sleep = sleep
    scene.there.replies[FIRST] = [ok(40)]
    with pytest.raises(Enough):
        await scene.one.run()
    assert scene.one.registrar is None
    assert scene.from_there(FIRST[0]) == []
    assert scene.now > 40


async def test_it_is_taken_back_at_the_end(scene: Scene):
    await scene.one.leave()
    assert scene.there.asked == []
    scene.there.replies[FIRST] = [ok(300), Reply(200, "OK")]
    await scene.one.register()
    await scene.one.leave()
    assert scene.there.expires() == ["300", "0"]
    assert scene.one.left_s == 0


def test_what_was_granted():
    assert granted(ok(120), OWN) == 120
    assert granted(ok(120, "<sip:bot@192.0.2.8:5060>;expires=7"), OWN) == 120
    assert granted(Reply(200, "OK", (("expires", "90"),)), OWN) == 90
    alone = Reply(200, "OK", (("contact", '"Bot" <sip:bot@nat:1>;q=1;Expires="30"'),))
    assert granted(alone, OWN) == 30
    assert granted(Reply(200, "OK"), OWN) == 0
    assert granted(Reply(200, "OK", (("contact", "<sip:x@y>;expires=soon"),)), OWN) == 0
