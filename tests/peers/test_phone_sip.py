"""`telebot call sip:…` against a server of ours: G.711 in either law, and keys."""

from __future__ import annotations

import aiohttp
import pytest
from sip_phone import sip_line

from telebot.phone.destination import CallRefused, Destination
from telebot.phone.line import Line
from telebot.phone.microphone import Microphone
from telebot.phone.sip_exchange import SipExchange

pytestmark = pytest.mark.peers

TRUNKS = "trunks:\n  here: {{peers: [127.0.0.1], codecs: [{codec}]}}\n"


async def dialled(port: int, codec: str) -> Line:
    to = Destination(f"sip:100@127.0.0.1:{port}", "", carrier="sip", codec=codec)
    async with aiohttp.ClientSession() as session:
        return Line(await SipExchange(to).dial(session, Microphone(None)))


@pytest.mark.parametrize(("codec", "other"), [("PCMU", "PCMA"), ("PCMA", "PCMU")])
async def test_a_call_in_either_law(tmp_path, codec: str, other: str):
    async with sip_line(tmp_path, trunks=TRUNKS.format(codec=codec)) as line:
        with pytest.raises(CallRefused, match="488"):
            await dialled(line.port, other)
        phone = await dialled(line.port, codec)
        await phone.open()
        await line.until(lambda: line.listeners.all and line.listeners.all[0].frames)
        bot = line.listeners.all[0]
        bot.wire.send_audio(b"\x10" * 1600)
        assert await phone.until(lambda: bool(phone.stream.playout.voice), 10.0)
        assert not phone.stream.faults
        await phone.press("5")
        await line.until(lambda: bot.digits)
        assert bot.digits == ["5"]
        await phone.hang_up()
        await line.until(lambda: "caller_hangup" in line.log.reasons())
