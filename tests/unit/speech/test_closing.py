"""How a call ends from our side: goodbyes, taken back or firm; the hang-up; the transfer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from virtual_time import run

from telebot.call.errors import CarrierError, NotReached, Unable
from telebot.call.session import Move
from telebot.dialog.actions import EndCall, Transfer
from telebot.speech.closing import CONFIRM_S, FIRM, GOODBYES, Closing
from telebot.speech.mailbox import Mailbox
from telebot.speech.timers import Timers
from telebot.speech.transfers import SETTLE_S, Transfers, Ways

pytestmark = pytest.mark.unit

STAFF = "+442079460018"
TOLD = {"transfer_begun": ("warm",), "transfer_failed": ("reason",)}
DEAR = "+19005550100"
EVERY_PHRASE = frozenset(
    {*GOODBYES.values(), "transfer_failed", "apology_transfer", "leave_message"}
)


@dataclass
class Scene:
    """A conversation as an ending sees it. Effects wait until `work` does them, in order."""

    phrases: frozenset[str] = EVERY_PHRASE
    refuses: str = ""  # why the carrier does not put through
    transfers: bool = True
    answer_s: float = 0.0
    warm: bool = False
    told_s: float = 1.0  # from the answer of a warm transfer until both are together
    done: list[str] = field(default_factory=list)  # what happened, in order
    effects: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    playing: bool = False
    message_s: float = 0.0
    confirm: Callable[[], None] = lambda: None  # while the last mark is awaited

    def __post_init__(self) -> None:
        blind = self._put_through if self.transfers else None
        warm = self._put_through_warm if self.warm else None
        ways = Ways(blind, warm, lambda number: number != DEAR, 30.0)
        transfers = Transfers(ways, self, lambda: "A caller.", self.note_event)
        self.mailbox = Mailbox(
            Timers(lambda *_: self),
            self.message_s,
            say=self.say,
            keep=lambda message: self.done.append("message kept"),
            goodbye=self._goodbye,
            now_s=lambda: 0.0,
        )
        self.closing = Closing(
            self, transfers, self.mailbox, confirmed=self._confirmed, hang_up=self._hang_up
        )

    def _goodbye(self, reason: str) -> None:
        self.closing.goodbye(reason)

    def cancel(self) -> None:
        """As a timer, which none of these scenes waits for."""

    def say(self, name: str) -> bool:
        self.done.append(f"say {name}")
        return name in self.phrases

    def listen(self) -> None:
        self.done.append("listen")

    def move(self, move: Move) -> None:
        self.done.append(move.value)

    def do(self, effect: Callable[[], Awaitable[None]]) -> None:
        self.effects.append(effect)

    def note_event(self, name: str, **fields: object) -> None:
        told = {key: value for key, value in fields.items() if key in TOLD.get(name, ())}
        self.done.append(" ".join(["note", name, *map(str, told.values())]))

    async def _confirmed(self, within_s: float) -> None:
        assert within_s == CONFIRM_S
        self.done.append("confirmed")
        self.confirm()

    async def _hang_up(self) -> None:
        self.done.append("hang up")

    async def _put_through(self, to: str) -> None:
        self.done.append(f"put through to {to}")
        await asyncio.sleep(self.answer_s)
        if self.refuses:
            raise CarrierError(self.refuses)

    async def _put_through_warm(
        self, to: str, summary: str, within_s: float, answered: Callable[[], None]
    ) -> None:
        self.done.append(f"ring up {to}: {summary}")
        try:
            async with asyncio.timeout(within_s):
                await asyncio.sleep(self.answer_s)
            if self.refuses:
                raise NotReached(self.refuses)
            answered()
            await asyncio.sleep(self.told_s)
        except TimeoutError:
            raise NotReached("no_answer") from None
        except asyncio.CancelledError:
            self.done.append("nobody rings")
            raise

    def play(self) -> None:
        self.playing = True
        self.done.append("music")

    def stop(self) -> None:
        if self.playing:
            self.playing = False
            self.done.append("silence")

    async def _work(self) -> None:
        while self.effects:
            await self.effects.pop(0)()

    def work(self) -> list[str]:
        """Do what waits to be done; everything that has happened until then."""
        run(self._work())
        return self.done


# --- goodbyes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "phrase"), [*GOODBYES.items(), ("bot_hangup", "closing"), ("unheard_of", "closing")]
)
def test_a_goodbye_is_said_and_heard_before_the_hang_up(reason: str, phrase: str) -> None:
    scene = Scene()
    scene.closing.goodbye(reason)
    assert scene.done == [f"say {phrase}"]
    assert scene.work() == [f"say {phrase}"], "nothing before it was heard"
    assert scene.closing.reason is None
    assert scene.closing.reply_was_heard()
    assert scene.work()[1:] == ["confirmed", "note hang_up", "hang up"]
    assert scene.closing.reason == reason


def test_without_a_phrase_the_call_ends_all_the_same() -> None:
    scene = Scene(phrases=frozenset())
    scene.closing.goodbye("silence")
    assert scene.work() == ["say silence_goodbye", "confirmed", "note hang_up", "hang up"]
    assert scene.closing.reason == "silence"


def test_one_reason_is_said_once() -> None:
    scene = Scene()
    scene.closing.goodbye("silence")
    scene.closing.goodbye("silence")
    assert scene.done == ["say silence_goodbye"]


def test_a_firm_reason_takes_the_place_of_one_that_is_not() -> None:
    scene = Scene()
    scene.closing.goodbye("silence")
    scene.closing.goodbye("drained")
    assert scene.done == ["say silence_goodbye", "say closing"]
    assert scene.closing.reply_was_heard()
    scene.work()
    assert scene.closing.reason == "drained"


@pytest.mark.parametrize("first", sorted(FIRM))
@pytest.mark.parametrize("second", ["silence", "drained", "server_error", "max_duration"])
def test_a_firm_goodbye_is_not_begun_again(first: str, second: str) -> None:
    scene = Scene()
    scene.closing.goodbye(first)
    scene.closing.goodbye(second)
    assert len(scene.done) == 1
    assert scene.closing.reply_was_heard()
    scene.work()
    assert scene.closing.reason == first


@pytest.mark.parametrize("reason", ["silence", "max_duration", "server_error", "drained", "other"])
def test_the_caller_has_no_say_in_a_firm_ending(reason: str) -> None:
    scene = Scene()
    assert not scene.closing.firm
    scene.closing.goodbye(reason)
    assert scene.closing.firm is (reason in FIRM)


def test_a_goodbye_that_is_interrupted_is_taken_back() -> None:
    scene = Scene()
    scene.closing.goodbye("silence")
    scene.closing.take_back()
    assert not scene.closing.reply_was_heard()
    assert scene.work() == ["say silence_goodbye"]
    assert scene.closing.reason is None
    scene.closing.goodbye("silence")
    assert scene.done == ["say silence_goodbye"] * 2, "and said again when it is due again"


def test_an_interruption_while_the_last_mark_is_awaited_takes_the_hang_up_back() -> None:
    scene = Scene()
    scene.closing.goodbye("silence")
    assert scene.closing.reply_was_heard()
    scene.confirm = scene.closing.take_back
    assert scene.work() == ["say silence_goodbye", "confirmed"]
    assert scene.closing.reason is None


def test_a_call_that_fails_is_hung_up_without_a_word() -> None:
    scene = Scene()
    scene.closing.fail()
    assert scene.work() == ["hang up"]
    assert scene.closing.reason == "server_error"


def test_a_fault_in_the_hang_up_does_not_change_why_we_hung_up() -> None:
    scene = Scene()
    scene.closing.goodbye("max_duration")
    assert scene.closing.reply_was_heard()
    scene.work()
    scene.closing.fail()
    assert scene.closing.reason == "max_duration"


# --- what a reply asks for ---------------------------------------------------------------------


def test_a_reply_that_asks_for_nothing_ends_nothing() -> None:
    scene = Scene()
    scene.closing.after_reply([])
    assert not scene.closing.reply_was_heard()
    assert scene.work() == []


def test_the_brains_own_goodbye_was_said_already() -> None:
    scene = Scene()
    scene.closing.after_reply([EndCall("goodbye")])
    assert scene.work() == [], "nothing before it was heard"
    assert scene.closing.reply_was_heard()
    assert scene.work() == ["confirmed", "note hang_up", "hang up"]
    assert scene.closing.reason == "bot_hangup"


def test_what_an_interrupted_reply_asked_for_does_not_happen() -> None:
    scene = Scene()
    scene.closing.after_reply([Transfer(STAFF), EndCall("goodbye")])
    scene.closing.take_back()
    assert not scene.closing.reply_was_heard()
    assert scene.work() == []


def test_what_a_reply_asked_for_happens_once() -> None:
    scene = Scene()
    scene.closing.after_reply([Transfer(STAFF)])
    assert scene.closing.reply_was_heard()
    assert not scene.closing.reply_was_heard()
    assert scene.work().count(f"put through to {STAFF}") == 1


# --- transfers ---------------------------------------------------------------------------------


def transferred(scene: Scene) -> list[str]:
    scene.closing.after_reply([Transfer(STAFF)])
    assert scene.closing.reply_was_heard()
    return scene.work()


def test_a_caller_is_put_through_and_our_leg_ends() -> None:
    scene = Scene()
    begun = ["transfer", "note transfer_begun False"]
    assert transferred(scene) == [*begun, f"put through to {STAFF}", "hang up"]
    assert scene.closing.reason == "transferred"


@pytest.mark.parametrize(
    ("carrier", "tried", "reason"),
    [
        ({"refuses": "HTTP 503"}, [f"put through to {STAFF}"], "carrier_error"),
        ({"transfers": False}, [], "unable"),
    ],
    ids=["refused", "a carrier that cannot"],
)
def test_a_transfer_that_fails_is_told_and_the_call_goes_on(
    carrier: dict[str, Any], tried: list[str], reason: str
) -> None:
    scene = Scene(**carrier)
    assert transferred(scene) == [
        "transfer",
        "note transfer_begun False",
        *tried,
        f"note transfer_failed {reason}",
        "transfer_failed",
        "say transfer_failed",
    ]
    assert scene.closing.reason is None


def test_a_transfer_that_fails_without_a_phrase_for_it_listens_again() -> None:
    assert transferred(Scene(frozenset(), refuses="no"))[-2:] == ["say transfer_failed", "listen"]


def test_a_stream_that_ends_first_waits_for_the_carriers_word() -> None:
    """A carrier takes the stream away as soon as it puts the caller through."""
    scene = Scene(answer_s=1.0)

    async def call() -> str | None:
        putting_through = asyncio.create_task(scene.closing._put_through(Transfer(STAFF)))
        await asyncio.sleep(0.5)
        await scene.closing.settled()
        reason = scene.closing.reason
        await putting_through
        return reason

    assert run(call()) == "transferred"


def test_a_carrier_that_says_nothing_is_not_waited_for_for_ever() -> None:
    scene = Scene(answer_s=3600.0)

    async def call() -> float:
        loop = asyncio.get_running_loop()
        putting_through = asyncio.create_task(scene.closing._put_through(Transfer(STAFF)))
        await asyncio.sleep(0)
        began = loop.time()
        await scene.closing.settled()
        waited_s = loop.time() - began
        putting_through.cancel()
        return waited_s

    assert run(call()) == pytest.approx(SETTLE_S)
    assert scene.closing.reason is None


def test_a_transfer_that_fails_after_the_stream_ended_says_nothing_more() -> None:
    scene = Scene(answer_s=1.0, refuses="HTTP 404")

    async def call() -> None:
        putting_through = asyncio.create_task(scene.closing._put_through(Transfer(STAFF)))
        await asyncio.sleep(0.5)
        await scene.closing.settled()
        await putting_through

    run(call())
    assert scene.done[-1] == "note transfer_failed carrier_error"
    assert scene.closing.reason is None


def test_a_call_without_a_transfer_settles_at_once() -> None:
    scene = Scene()

    async def call() -> float:
        began = asyncio.get_running_loop().time()
        await scene.closing.settled()
        return asyncio.get_running_loop().time() - began

    assert run(call()) == 0.0


# --- warm transfers ----------------------------------------------------------------------------

WARM = Transfer(STAFF, warm=True)
BEGUN = ["transfer", "note transfer_begun True", "music", f"ring up {STAFF}: A caller."]


def test_a_person_is_rung_up_while_the_caller_hears_music() -> None:
    scene = Scene(warm=True, answer_s=5.0)
    scene.closing.put_through(WARM)
    assert scene.work() == [*BEGUN, "note transfer_answered", "silence", "hang up"]
    assert scene.closing.reason == "transferred"


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        (Scene(warm=True, answer_s=31.0), "no_answer"),
        (Scene(warm=True, refuses="busy"), "busy"),
        (Scene(warm=True, refuses="declined"), "declined"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_a_person_who_does_not_come(scene: Scene, reason: str) -> None:
    scene.closing.put_through(WARM)
    done = [step for step in scene.work() if step != "nobody rings"]
    failed = ["silence", f"note transfer_failed {reason}", "transfer_failed"]
    assert done == [*BEGUN, *failed, "say transfer_failed"]
    assert scene.closing.reason is None
    assert not scene.closing.firm, "the caller is listened to again"


def test_a_carrier_that_cannot_ring_up_first_puts_through_at_once() -> None:
    scene = Scene()
    scene.closing.put_through(WARM)
    begun = ["transfer", "note transfer_begun False"]
    assert scene.work() == [*begun, f"put through to {STAFF}", "hang up"]


def test_a_carrier_that_finds_out_that_it_cannot_ring_up_first() -> None:
    scene = Scene(warm=True)

    async def unable(*_: object) -> None:
        raise Unable("not over this trunk")

    ways = Ways(scene._put_through, unable, lambda _: True, 30.0)
    scene.closing._transfers = Transfers(ways, scene, lambda: "", scene.note_event)
    scene.closing.put_through(WARM)
    assert scene.work()[-3:] == ["silence", f"put through to {STAFF}", "hang up"]
    assert scene.closing.reason == "transferred"


@pytest.mark.parametrize("warm", [False, True])
def test_a_number_that_nobody_allowed_is_not_called(warm: bool) -> None:
    scene = Scene(warm=warm)
    scene.closing.put_through(Transfer(DEAR, warm))
    assert scene.work()[2:] == [
        "note transfer_failed number_not_allowed",
        "transfer_failed",
        "say transfer_failed",
    ]


def test_the_caller_is_not_listened_to_while_the_music_plays() -> None:
    scene = Scene(warm=True, answer_s=5.0)

    async def call() -> tuple[bool, bool]:
        putting_through = asyncio.create_task(scene.closing._put_through(WARM))
        await asyncio.sleep(1.0)
        meanwhile = scene.closing.firm, scene.closing.ending
        await putting_through
        return meanwhile

    assert run(call()) == (True, True)
    assert not scene.closing.firm


def test_a_caller_who_hangs_up_while_it_rings_is_not_waited_for() -> None:
    scene = Scene(warm=True, answer_s=20.0)

    async def call() -> float:
        loop = asyncio.get_running_loop()
        putting_through = asyncio.create_task(scene.closing._put_through(WARM))
        await asyncio.sleep(3.0)
        began = loop.time()
        await scene.closing.settled()
        took = loop.time() - began
        await putting_through
        return took

    assert run(call()) == 0.0
    assert scene.done == [*BEGUN, "nobody rings", "silence", "note transfer_failed given_up"]
    assert scene.closing.reason is None


def test_a_stream_that_ends_once_a_person_has_answered_has_been_put_through() -> None:
    scene = Scene(warm=True, answer_s=3.0, told_s=3.0)

    async def call() -> str | None:
        putting_through = asyncio.create_task(scene.closing._put_through(WARM))
        await asyncio.sleep(5.0)
        await scene.closing.settled()
        reason = scene.closing.reason
        await putting_through
        return reason

    assert run(call()) == "transferred"


@pytest.mark.parametrize(("after_s", "steps"), [(2.0, ["nobody rings"]), (4.0, [])])
def test_a_goodbye_that_is_due_meanwhile(after_s: float, steps: list[str]) -> None:
    """While it rings it is said at once; once a person is there it has no matter any more."""
    scene = Scene(warm=True, answer_s=3.0, told_s=3.0)

    async def call() -> None:
        putting_through = asyncio.create_task(scene.closing._put_through(WARM))
        await asyncio.sleep(after_s)
        scene.closing.goodbye("max_duration")
        await putting_through

    run(call())
    assert [step for step in scene.done if step == "nobody rings"] == steps
    assert ("say max_duration" in scene.done) is bool(steps)
    assert ("hang up" in scene.done) is not bool(steps)


def test_a_goodbye_that_was_due_is_said_where_the_person_hung_up() -> None:
    scene = Scene(warm=True, answer_s=3.0, told_s=3.0)

    async def hangs_up(_to: str, _: str, _within_s: float, answered: Callable[[], None]) -> None:
        answered()
        await asyncio.sleep(2.0)
        raise NotReached("hung_up")

    ways = Ways(None, hangs_up, lambda _: True, 30.0)
    scene.closing._transfers = Transfers(ways, scene, lambda: "", scene.note_event)

    async def call() -> None:
        putting_through = asyncio.create_task(scene.closing._put_through(WARM))
        await asyncio.sleep(1.0)
        scene.closing.goodbye("max_duration")
        await putting_through

    run(call())
    assert scene.done[-3:] == [
        "note transfer_failed hung_up",
        "transfer_failed",
        "say max_duration",
    ]


def test_an_operator_who_hangs_up_ends_it_without_a_word() -> None:
    scene = Scene(warm=True, answer_s=20.0)

    async def call() -> None:
        putting_through = asyncio.create_task(scene.closing._put_through(WARM))
        await asyncio.sleep(1.0)
        scene.closing.hang_up("operator_hangup")
        await putting_through
        await scene._work()

    run(call())
    assert scene.done[-1] == "hang up"
    assert "say transfer_failed" not in scene.done
    assert scene.closing.reason == "operator_hangup"


# --- when nothing of ours works any more -------------------------------------------------------


def test_a_caller_whom_nobody_can_hear_or_answer_is_put_through() -> None:
    scene = Scene()
    scene.closing.give_up(Transfer(STAFF))
    scene.closing.give_up(Transfer(STAFF))  # the recogniser, then the model: said once
    assert scene.work() == ["say apology_transfer"], "nothing before it was heard"
    assert scene.closing.reply_was_heard()
    assert scene.work()[-2:] == [f"put through to {STAFF}", "hang up"]
    assert scene.closing.reason == "transferred"


def test_where_the_person_does_not_answer_either_the_call_ends() -> None:
    scene = Scene(refuses="busy")
    scene.closing.give_up(Transfer(STAFF))
    assert scene.closing.reply_was_heard()
    assert scene.work()[-1] == "say apology"
    assert scene.closing.reply_was_heard()
    assert scene.work()[-1] == "hang up"
    assert scene.closing.reason == "server_error"


@pytest.mark.parametrize(("person", "transfers"), [(None, True), (Transfer(STAFF), False)])
def test_without_a_person_to_turn_to_it_ends_with_the_apology(
    person: Transfer | None, transfers: bool
) -> None:
    scene = Scene(transfers=transfers)
    scene.closing.give_up(person)
    assert scene.closing.reply_was_heard()
    assert scene.work() == ["say apology", "confirmed", "note hang_up", "hang up"]
    assert scene.closing.reason == "server_error"


def test_a_caller_who_interrupts_the_apology_may_be_given_up_again() -> None:
    scene = Scene()
    scene.closing.give_up(Transfer(STAFF))
    scene.closing.take_back()
    assert not scene.closing.reply_was_heard()
    scene.closing.give_up(Transfer(STAFF))
    assert scene.done == ["say apology_transfer", "say apology_transfer"]


def test_without_a_person_a_message_is_taken() -> None:
    scene = Scene(message_s=60.0)
    scene.closing.give_up(None)
    scene.closing.give_up(None)
    assert scene.work() == ["say leave_message"]
    assert scene.closing.firm
    scene.mailbox.asked()
    scene.mailbox.speech_started(1.0)
    scene.mailbox.speech_stopped(2.0)
    scene.mailbox.finish()
    assert scene.work()[-2:] == ["message kept", "say message_thanks"]
    assert scene.closing.reply_was_heard()
    assert scene.work()[-1] == "hang up"
    assert scene.closing.reason == "message_taken"


def test_a_message_is_taken_where_the_person_does_not_answer() -> None:
    scene = Scene(refuses="busy", message_s=60.0)
    scene.closing.give_up(Transfer(STAFF))
    assert scene.closing.reply_was_heard()
    assert scene.work()[-1] == "say leave_message"


def test_a_call_that_has_to_end_keeps_the_message_so_far() -> None:
    scene = Scene(message_s=60.0)
    scene.closing.give_up(None)
    scene.mailbox.speech_started(1.0)
    scene.closing.goodbye("max_duration")
    assert scene.work()[-2:] == ["message kept", "say max_duration"]
