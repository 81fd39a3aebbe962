"""How a media socket ends from our side: what is said last, who closes, that nobody holds it up."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import WSMessage, WSMsgType

from telebot.call.events import Ignored, MediaEvent, Reply
from telebot.carriers.codec import PlainCodec
from telebot.web import farewell
from telebot.web.farewell import Farewell

pytestmark = pytest.mark.unit


class Socket:
    """Closes when its peer lets it; `unread` is what the peer has not taken."""

    def __init__(self, *, lets: bool = True) -> None:
        self.lets = lets
        self.unread = 0
        self.sent: list[bytes] = []
        self.codes: list[int] = []
        self.aborted = asyncio.Event()

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None:
        self.sent.append(message)

    async def close(self, *, code: int) -> bool:
        self.codes.append(code)
        if not self.lets:
            await asyncio.Event().wait()
        return True

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.aborted.set()


class Wire:
    open = True

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def send(self, messages) -> None:
        if self.open:
            self.said.extend(messages)


class Codec(PlainCodec):
    close_codes = {"drained": 1012}  # noqa: RUF012

    def goodbye(self, reason):
        return (f"bye: {reason}".encode(),)

    def decode(self, message: bytes) -> MediaEvent:
        return Reply(b"pong") if message == b"ping" else Ignored("anything")


class Ended:
    """A socket that is to end."""

    def __init__(self, *, lets: bool = True, farewell_s: float = 0.0, says: bool = False) -> None:
        self.socket, self.wire, codec = Socket(lets=lets), Wire(), Codec()
        codec.farewell_s, codec.says_every_end = farewell_s, says
        decoders = {WSMsgType.TEXT: codec.decode}
        self.farewell = Farewell(self.socket, self.socket, codec, self.wire, decoders)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "says", "said"),
    [
        ("bot_hangup", False, [b"bye: bot_hangup"]),
        ("caller_hangup", False, []),
        ("caller_hangup", True, [b"bye: caller_hangup"]),
    ],
    ids=["ours", "theirs", "theirs, on a wire that says every end"],
)
async def test_the_last_is_said_once(reason, says, said):
    ended = Ended(says=says)
    ended.farewell.say(reason)
    ended.farewell.say(reason)
    assert ended.wire.said == said
    assert not ended.wire.open


@pytest.mark.parametrize(("reason", "code"), [("bot_hangup", 1000), ("drained", 1012)])
async def test_it_is_closed_once_with_the_code_its_codec_knows(reason, code):
    ended = Ended()
    closing = ended.farewell.close(reason, 1000)
    assert ended.farewell.close("server_error", 1001) is closing
    await closing
    assert ended.socket.codes == [code]
    assert not ended.socket.aborted.is_set()


async def test_a_peer_that_reads_nothing_is_cut_off(monkeypatch):
    monkeypatch.setattr(farewell, "CUT_AFTER_S", 0.01)
    ended = Ended(lets=False)
    ended.socket.unread = 1
    await ended.farewell.close("bot_hangup", 1000)
    await ended.socket.aborted.wait()


async def test_a_peer_that_is_to_close_may_do_so_first():
    ended = Ended(farewell_s=60.0)
    closing = ended.farewell.close("bot_hangup", 1000)
    await asyncio.sleep(0)
    assert ended.socket.codes == []
    ended.farewell.left.set()
    await closing
    assert ended.socket.codes == [1000]


async def test_one_that_does_not_is_closed_by_us():
    ended = Ended(farewell_s=0.01)
    await ended.farewell.close("bot_hangup", 1000)
    assert ended.socket.codes == [1000]


@pytest.mark.parametrize(
    ("reason", "farewell_s", "kind", "goes_on", "sent"),
    [
        ("bot_hangup", 1.0, WSMsgType.TEXT, True, [b"pong"]),
        ("bot_hangup", 0.0, WSMsgType.TEXT, False, []),
        ("caller_hangup", 1.0, WSMsgType.TEXT, False, []),
        ("bot_hangup", 1.0, WSMsgType.CLOSED, False, []),
    ],
    ids=["answered", "a wire without farewells", "the peer has gone", "closed"],
)
async def test_what_comes_behind_our_goodbye(reason, farewell_s, kind, goes_on, sent):
    ended = Ended(farewell_s=farewell_s)
    message = WSMessage(kind, b"ping", None)
    assert await ended.farewell.answer(message, reason) is goes_on
    assert ended.socket.sent == sent
