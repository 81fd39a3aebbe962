"""Callers put through to a person: REFER and what is told of it, and both legs connected here."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest
from baresip import Baresip, baresip, strength, tone
from sip_callee import Callee
from sip_phone import Dialog, Line, Message, Phone, sip_line

from telebot.audio import g711
from telebot.call.errors import CarrierError, NotReached, Unable
from telebot.sip import referring
from telebot.sip.live import LiveCall

pytestmark = pytest.mark.peers

ALICE_HZ, BOB_HZ, BOT_HZ = 440, 1000, 1500
PURE = 0.9
PERSON = "+442079460018"
TRUNKS = """\
trunks:
  office:
    peers: [127.0.0.1]
    prefixes: ["+4420*"{more}]
    transfer: {transfer}
    outbound: {{hosts: ["127.0.0.1:{port}"]}}
"""


async def speak(text: str) -> bytes:
    return g711.encode(tone(BOT_HZ, 1.2))


@asynccontextmanager
async def office(folder: Path, port: int, transfer: str = "refer", more: str = ""):
    trunks = TRUNKS.format(port=port, transfer=transfer, more=more)
    async with sip_line(folder, trunks=trunks, speak=speak) as line:
        yield line


@pytest.fixture
async def person():
    phone = await Phone.open(("127.0.0.1", 1))
    yield phone
    phone.close()


@pytest.fixture
async def line(tmp_path, person: Phone):
    async with office(tmp_path, person.port) as one:
        yield one


class Caller:
    """Somebody who talks with the bot."""

    def __init__(self, line: Line, phone: Phone, call: Dialog, live: LiveCall) -> None:
        self.line, self.phone, self.call, self.live = line, phone, call, live
        self.handover = line.server.handover

    @classmethod
    async def of(cls, line: Line) -> Caller:
        phone = await line.phone()
        call = phone.dialog()
        await call.answered()
        await line.until(lambda: line.listeners.all)
        live = line.server.calls.find(line.listeners.all[-1].call)
        assert live is not None
        return cls(line, phone, call, live)

    def blind(self, to: str = PERSON) -> asyncio.Task[None]:
        return asyncio.create_task(self.handover.blind(self.live, to))

    def warm(self, within_s: float = 20.0) -> asyncio.Task[None]:
        answered = lambda: self.live.note("person_answered")  # noqa: E731
        return asyncio.create_task(
            self.handover.warm(self.live, PERSON, "It is about a table.", within_s, answered)
        )

    async def refer(self) -> Message:
        return await self.phone.hear("REFER")

    def notify(self, status: str, state: str = "active", event: str = "refer") -> None:
        self.call.send(
            "NOTIFY",
            f"SIP/2.0 {status}\r\n",
            kind="message/sipfrag;version=2.0",
            Event=event,
            Subscription_State=state,
        )

    async def bot_leaves(self) -> None:
        """What the conversation does when it was transferred."""
        await self.line.listeners.all[-1].wire.close()


async def test_a_caller_is_put_through_by_refer(line: Line, person: Phone):
    caller = await Caller.of(line)
    work = caller.blind()
    refer = await caller.refer()
    assert refer.header("Refer-To") == f"<sip:{PERSON}@127.0.0.1:{person.port}>"
    assert refer.header("Referred-By") == "<sip:100@127.0.0.1>"
    assert f";tag={caller.call.to_tag}" in refer.header("From")
    caller.call.reply(refer, 202)
    caller.notify("100 Trying")
    await caller.phone.hear(200)
    caller.notify("180 Ringing")
    await caller.phone.hear(200)
    assert not work.done()
    caller.notify("200 OK", "terminated;reason=noresource")
    await caller.phone.hear(200)
    await work
    await caller.bot_leaves()
    bye = await caller.phone.hear("BYE")
    caller.call.reply(bye)
    await line.until(line.log.reasons)


@pytest.mark.parametrize(
    ("told", "reason"),
    [("486 Busy Here", "busy"), ("603 Decline", "declined"), ("503 Oh", "unreachable")],
)
async def test_a_person_who_is_not_there_leaves_the_caller_here(line: Line, told, reason):
    caller = await Caller.of(line)
    work = caller.blind()
    caller.call.reply(await caller.refer(), 202)
    caller.notify(told, "terminated")
    with pytest.raises(NotReached) as failed:
        await work
    assert failed.value.reason == reason
    assert not line.log.reasons()


async def test_nothing_is_told_of_it(line: Line, monkeypatch):
    monkeypatch.setattr("telebot.sip.transfers.BLIND_WITHIN_S", 0.3)
    caller = await Caller.of(line)
    work = caller.blind()
    caller.call.reply(await caller.refer(), 202)
    with pytest.raises(NotReached, match="has not said"):
        await work
    assert not line.log.reasons()


@pytest.mark.parametrize("last", ["bye", "terminated"])
async def test_some_peers_hang_up_instead_of_a_last_word(line: Line, last: str):
    caller = await Caller.of(line)
    work = caller.blind()
    caller.call.reply(await caller.refer(), 202)
    if last == "bye":
        caller.call.send("BYE")
    else:
        caller.notify("100 Trying", "terminated;reason=timeout")
    await work


async def test_events_that_are_none_of_ours(line: Line):
    caller = await Caller.of(line)
    caller.notify("200 OK", event="message-summary")
    assert "refer" in (await caller.phone.hear(489)).header("Allow-Events")
    caller.call.send("SUBSCRIBE", Event="presence")
    await caller.phone.hear(489)
    caller.call.send("NOTIFY")
    await caller.phone.hear(400)
    caller.call.send("REFER", Refer_To="<sip:+881234@premium.example>")
    await caller.phone.hear(603)
    assert not line.log.reasons()
    stranger = await line.phone()
    stranger.dialog().send("NOTIFY", Event="message-summary")
    await stranger.hear(489)


@pytest.mark.parametrize("status", [405, 501, 603])
async def test_a_peer_that_takes_no_refer_has_both_connected_here(
    line: Line, person: Phone, status: int
):
    caller = await Caller.of(line)
    work = caller.blind()
    caller.call.reply(await caller.refer(), status)
    callee = Callee(person, await person.hear("INVITE"))
    assert callee.invite.header("From").startswith("<sip:100@127.0.0.1>")
    callee.respond(180)
    await callee.answer(41_000)
    await work
    await caller.bot_leaves()
    await line.until(lambda: line.listeners.all[0].over == "transferred")
    call = line.listeners.all[0].call
    assert call.id in line.admission.live, "the call goes on, and keeps its place"
    assert not line.log.reasons()
    callee.request("BYE")
    await person.hear(200)
    bye = await caller.phone.hear("BYE")
    caller.call.reply(bye)
    await line.until(line.log.reasons)
    assert line.log.reasons() == ["transferred"]
    ended = next(event for event in line.log.events if event.name == "bridge_ended")
    assert ended.fields["seconds"] >= 0


async def test_the_caller_hangs_up_on_a_person(tmp_path, person: Phone):
    async with office(tmp_path, person.port, "bridge") as line:
        caller = await Caller.of(line)
        work = caller.blind()
        callee = Callee(person, await person.hear("INVITE"))
        await callee.answer(41_000)
        await work
        await caller.bot_leaves()
        caller.call.send("BYE")
        bye = await person.hear("BYE")
        callee.respond(200, request=bye)
        await line.until(line.log.reasons)
        assert line.log.reasons() == ["transferred"]


async def test_a_person_on_another_leg_who_is_busy(tmp_path, person: Phone):
    async with office(tmp_path, person.port, "bridge") as line:
        caller = await Caller.of(line)
        work = caller.blind()
        Callee(person, await person.hear("INVITE")).respond(486)
        with pytest.raises(NotReached) as failed:
            await work
        assert failed.value.reason == "busy"
        with pytest.raises(Unable, match="dial this number"):
            await caller.handover.blind(caller.live, "+4915112345")
        assert not line.log.reasons()


async def test_a_caller_hears_it_ring(tmp_path: Path):
    async with (
        baresip(tmp_path, "bob", tone(BOB_HZ, 30)) as bob,
        baresip(tmp_path, "alice", tone(ALICE_HZ, 30)) as alice,
        office(tmp_path, bob.sip, "bridge", more=f', "{bob.uri}"') as line,
    ):
        live = await talking(line, alice)
        work = asyncio.create_task(line.server.handover.blind(live, bob.uri))
        await bob.event("CALL_INCOMING")
        await hears(alice, 440, share=0.4)
        await bob.command("accept")
        await work
        await hears(alice, BOB_HZ)


async def test_a_person_is_told_first_and_then_takes_the_callers_place(line: Line, person: Phone):
    caller = await Caller.of(line)
    work = caller.warm()
    callee = Callee(person, await person.hear("INVITE"))
    await callee.answer(41_000)
    refer = await caller.refer()
    assert "person_answered" in line.events()
    to = refer.header("Refer-To")
    named = unquote(re.search(r"Replaces=([^>]+)>", to).group(1))  # type: ignore[union-attr]
    ours = re.search(r"tag=(\w+)", callee.invite.header("From")).group(1)  # type: ignore[union-attr]
    call_id = callee.invite.header("Call-ID")
    assert named == f"{call_id};to-tag={callee.tag};from-tag={ours}"
    assert to.startswith(f"<sip:me@127.0.0.1:{person.port}?")
    caller.call.reply(refer, 202)
    caller.notify("200 OK", "terminated")
    bye = await person.hear("BYE")
    callee.respond(200, request=bye)
    await work


async def test_a_person_who_hangs_up_while_being_told(line: Line, person: Phone):
    caller = await Caller.of(line)
    work = caller.warm()
    callee = Callee(person, await person.hear("INVITE"))
    await callee.answer(41_000)
    callee.request("BYE")
    with pytest.raises(NotReached) as failed:
        await work
    assert failed.value.reason == "hung_up"
    assert not line.log.reasons()


async def test_a_caller_who_does_not_wait(line: Line, person: Phone):
    caller = await Caller.of(line)
    work = caller.warm()
    callee = Callee(person, await person.hear("INVITE"))
    callee.respond(180)
    await asyncio.sleep(0)
    work.cancel()
    cancel = await person.hear("CANCEL")
    callee.respond(200, request=cancel)
    callee.respond(487)
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_nobody_answers_a_warm_transfer(line: Line, person: Phone):
    caller = await Caller.of(line)
    work = caller.warm(within_s=0.3)
    callee = Callee(person, await person.hear("INVITE"))
    callee.respond(180)
    with pytest.raises(NotReached) as failed:
        await work
    assert failed.value.reason == "no_answer"
    await person.hear("CANCEL")


async def test_the_server_goes_down_under_a_bridge(tmp_path, person: Phone):
    async with office(tmp_path, person.port, "bridge") as line:
        caller = await Caller.of(line)
        work = caller.blind()
        callee = Callee(person, await person.hear("INVITE"))
        await callee.answer(41_000)
        await work
        await caller.bot_leaves()
        closing = asyncio.create_task(line.server.close())
        callee.respond(200, request=await person.hear("BYE"))
        caller.call.reply(await caller.phone.hear("BYE"))
        await closing
        assert line.log.reasons() == ["transferred"]


@pytest.mark.parametrize("answer", [200, 415])
async def test_keys_by_info(tmp_path, person: Phone, answer: int):
    from telebot.sip.digits import send_digits

    trunks = "trunks:\n  pbx: {peers: [127.0.0.1], digits: info}\n"
    async with sip_line(tmp_path, trunks=trunks) as line:
        caller = await Caller.of(line)
        work = asyncio.create_task(send_digits(caller.live, "5#"))
        info = await caller.phone.hear("INFO")
        assert info.header("Content-Type") == "application/dtmf-relay"
        assert info.body == "Signal=5\r\nDuration=160\r\n"
        caller.call.reply(info, answer)
        if answer == 200:
            caller.call.reply(await caller.phone.hear("INFO"))
            await work
        else:
            with pytest.raises(CarrierError, match="INFO: 415"):
                await work
        with pytest.raises(CarrierError, match="write 0-9"):
            await send_digits(caller.live, "5x")


# --- real telephones ---------------------------------------------------------------------------


async def hears(phone: Baresip, hz: float, share: float = PURE) -> None:
    """Within a while the tone is nearly all it hears."""
    async with asyncio.timeout(20):
        while strength(phone.heard()[-16_000:], hz) < share:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def talking(line: Line, alice: Baresip) -> LiveCall:
    await alice.dial(f"sip:100@127.0.0.1:{line.port}")
    await line.until(lambda: line.listeners.all and line.listeners.all[-1].frames)
    live = line.server.calls.find(line.listeners.all[-1].call)
    assert live is not None
    return live


async def test_telephones_blind_by_refer(tmp_path: Path):
    async with (
        baresip(tmp_path, "bob", tone(BOB_HZ, 30), account=";answermode=auto") as bob,
        baresip(tmp_path, "alice", tone(ALICE_HZ, 30)) as alice,
        office(tmp_path, bob.sip) as line,
    ):
        live = await talking(line, alice)
        await line.server.handover.blind(live, bob.uri)
        await line.listeners.all[-1].wire.close()
        await line.until(line.log.reasons)
        await bob.event("CALL_ESTABLISHED")
        await hears(bob, ALICE_HZ)
        await hears(alice, BOB_HZ)


@pytest.mark.parametrize("who", ["alice", "bob"])
async def test_telephones_connected_here(tmp_path: Path, who: str):
    async with (
        baresip(tmp_path, "bob", tone(BOB_HZ, 30), account=";answermode=auto") as bob,
        baresip(tmp_path, "alice", tone(ALICE_HZ, 30)) as alice,
        office(tmp_path, bob.sip, "bridge", more=f', "{bob.uri}"') as line,
    ):
        live = await talking(line, alice)
        await line.server.handover.blind(live, bob.uri)
        await line.listeners.all[-1].wire.close()
        await hears(bob, ALICE_HZ)
        await hears(alice, BOB_HZ)
        await alice.press("7")
        await bob.event("CALL_DTMF_START")
        await (alice if who == "alice" else bob).hang_up()
        await (bob if who == "alice" else alice).event("CALL_CLOSED")
        await line.until(line.log.reasons)
        assert line.log.reasons() == ["transferred"]


async def test_telephones_warm(tmp_path: Path):
    async with (
        baresip(tmp_path, "bob", tone(BOB_HZ, 30), account=";answermode=auto") as bob,
        baresip(tmp_path, "alice", tone(ALICE_HZ, 30)) as alice,
        office(tmp_path, bob.sip, more=f', "{bob.uri}"') as line,
    ):
        live = await talking(line, alice)
        await line.server.handover.warm(live, bob.uri, "A table.", 20.0, lambda: None)
        await line.listeners.all[-1].wire.close()
        assert strength(bob.heard(), BOT_HZ) > PURE, "the summary"
        await hears(bob, ALICE_HZ)
        await hears(alice, BOB_HZ)


def test_a_refer_to_is_written() -> None:
    from telebot.sip.messages import Identity

    known = Identity("a b@c", "ours", "theirs", "sip:bob@192.0.2.1:5070")
    assert referring.refer_to("sip:x@y") == "<sip:x@y>"
    assert referring.refer_to(known.target, known) == (
        "<sip:bob@192.0.2.1:5070?Replaces=a%20b%40c%3Bto-tag%3Dtheirs%3Bfrom-tag%3Dours>"
    )
