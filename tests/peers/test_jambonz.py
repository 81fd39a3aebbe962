"""jambonz on real sockets: a call from its hook to its end, transfers, and its REST."""

from __future__ import annotations

import pytest
from carrier_call import calling
from edge_server import GREETING, edge
from jambonz_peer import DIALLED, SECRET, environ, rest
from vendor_rest import serving

from telebot.call.errors import CarrierError
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Way
from telebot.carriers import rest as rests
from telebot.carriers.rooms import Room
from telebot.phone.destination import CallRefused, CannotCall, Destination

pytestmark = pytest.mark.peers

SID = "ba01d74c-397e-4c80-9c8f-d57515ca8e86"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(rests, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
async def peer():
    async with serving(rest()) as running:
        yield running


@pytest.fixture
async def hooked(tmp_path, peer):
    """The edge, for a jambonz whose REST is there."""
    async with edge(tmp_path, environ=environ(peer)) as running:
        yield running


def to(server, secret: str = SECRET, **fields) -> Destination:
    return Destination(server.url, secret, carrier="jambonz", **fields)


async def test_a_call_from_the_hook_to_the_record(hooked, peer):
    async with calling(to(hooked, agent="echo", phone_to="+15083728299")) as call:
        await call.until("media")
        await hooked.until(lambda: GREETING[:600] in call.stream.playout.heard())
        [listener] = hooked.listeners.all
        await hooked.until(lambda: listener.marks)
        await call.line.press("5")
        await call.line.press("*")
        await call.until("clear")
        assert listener.digits == ["5", "*"]
        assert {len(ulaw) for ulaw, _ in listener.frames} == {160}
    await hooked.until(lambda: hooked.log.endings)
    [(record, ending)] = hooked.log.endings
    assert (record.agent, ending.reason) == ("echo", "caller_hangup")
    assert record.offer.phone_to == "+15083728299"
    assert (call.stream.faults, hooked.junk(), peer.asked) == ([], {}, [])


async def test_the_bot_hangs_up_and_jambonz_asks_what_now(hooked, peer):
    async with calling(to(hooked)) as call:
        await call.until("media")
        await call.line.press("#")
        assert await call.over() == ""  # no apology
        await hooked.until(lambda: peer.asked)
    [(record, ending)] = hooked.log.endings
    assert ending.reason == "bot_hangup"
    [asked] = peer.asked
    assert asked.path.endswith(record.offer.carrier_call_id)
    assert asked.body == {"call_status": "completed"}


async def test_a_fault_of_ours_is_apologised_for(hooked):
    hooked.listeners.fails = "start"
    async with calling(to(hooked)) as call:
        assert "sorry" in await call.over()


async def test_a_caller_is_put_through(hooked, peer):
    carrier = hooked.carriers.get("jambonz")
    async with calling(to(hooked)) as call:
        await call.until("media")
        await hooked.until(lambda: hooked.listeners.all)
        [listener] = hooked.listeners.all
        await carrier.transfer(listener.call, "+441632960003")
        hooked.admission.end(listener.call, "transferred")
        await listener.wire.close()
        assert await call.over() == ""
        assert call.exchange.dialled == "+441632960003"
    assert peer.asked == []


async def test_what_a_stream_asks_when_it_ends_does_not_undo_where_the_caller_was_brought(hooked):
    carrier = hooked.carriers.get("jambonz")
    async with calling(to(hooked)) as call:
        await call.until("media")
        await hooked.until(lambda: hooked.listeners.all)
        [listener] = hooked.listeners.all
        await carrier.bring(listener.call, Room("a summary"))
        await call.line._wire.close()  # as jambonz does with a `listen` that other verbs replace
        await hooked.until(call.line.over.is_set)
        url = f"{hooked.url}/jambonz/fallback?after=stream"
        assert await call.exchange._post(call.session, url, "in-progress") == []


async def test_another_secret_is_refused(hooked):
    with pytest.raises(CannotCall, match="403"):
        async with calling(to(hooked, "guess")):
            pass
    assert hooked.log.calls == []


async def test_no_token_no_audio(hooked, http):
    url = hooked.url.replace("http", "ws") + "/jambonz/media"
    async with http.ws_connect(url, protocols=("audio.jambonz.org",)) as socket:
        assert socket.protocol == "audio.jambonz.org"
        await socket.send_json({"callSid": SID, "sampleRate": 8000, "mixType": "mono"})
        assert (await socket.receive(timeout=30)).data == '{"type":"disconnect"}'
        await socket.receive(timeout=30)
        assert socket.close_code == 1008


async def test_a_full_house_says_so(tmp_path):
    async with edge(tmp_path, environ={"JAMBONZ_WEBHOOK_SECRET": SECRET}, max_calls=0) as server:
        with pytest.raises(CallRefused, match="lines are busy"):
            async with calling(to(server)):
                pass


# --- its REST ------------------------------------------------------------------------------------


def a_call(number: str = "+15083728299") -> Call:
    return Call("id1", CallOffer("jambonz", SID, "+441632960000", number), "echo", None)


async def test_the_rest(hooked, peer):
    carrier = hooked.carriers.get("jambonz")
    await carrier.hang_up(a_call())
    await carrier.send_digits(a_call(), "1w#")
    status = "https://bot.example/jambonz/status?call=id1"
    way = Way("https://bot.example/jambonz/voice?call=id1", "", status, "", "a.b.c", 45.0)
    assert await carrier.dial(a_call(), way) == DIALLED
    assert [asked.body for asked in peer.asked] == [
        {"call_status": "completed"},
        {"dtmf": {"digit": "1", "duration": 250}},
        {"dtmf": {"digit": "#", "duration": 250}},
        {
            "call_hook": {"url": way.answer_url, "method": "POST"},
            "call_status_hook": {"url": status, "method": "POST"},
            "from": "+441632960000",
            "to": {"type": "phone", "number": "+15083728299"},
            "timeout": 45,
        },
    ]
    assert peer.refused == []


@pytest.mark.parametrize(
    ("answers", "works"), [([404], True), (["drop"], True), ([500] * 3, False), ([403], False)]
)
async def test_a_rest_in_trouble(hooked, peer, answers, works):
    peer.answers = answers
    carrier = hooked.carriers.get("jambonz")
    if works:
        await carrier.hang_up(a_call())
    else:
        with pytest.raises(CarrierError):
            await carrier.hang_up(a_call())


async def test_without_our_address_nobody_is_rung_up(hooked, peer):
    with pytest.raises(CarrierError, match="TELEBOT_PUBLIC_URL"):
        await hooked.carriers.get("jambonz").dial(a_call(), Way("", "", "", "", "a.b.c", 45.0))
    assert peer.asked == []
