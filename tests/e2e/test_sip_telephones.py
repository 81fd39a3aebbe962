"""baresip talks with the bot, its words out of a file and the bot's into one: over UDP, and over
TLS and SRTP by way of Kamailio and rtpengine as they ship."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from baresip import RATE_HZ, Baresip, baresip, write_wav
from front import authority, front
from serving import Server

from telebot.audio import g711
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

HOST = "127.0.0.1"
QUESTION = "Are you open on Mondays?"
VOICE = 300  # of a sample of int16: no noise is so loud here
QUIET_S = 1.0
REPLY_S = 30.0


async def reply(phone: Baresip, since: int) -> bytes:
    """What the bot says next, from the byte `since` of all that was heard on to where it is silent
    for a second."""
    quiet = round(QUIET_S * RATE_HZ)
    async with asyncio.timeout(REPLY_S):
        while True:
            sound = np.frombuffer(phone.heard()[since:], "<i2")
            loud = np.flatnonzero(np.abs(sound.astype(int)) > VOICE)
            if len(loud) and len(sound) - loud[-1] > quiet:
                return sound.tobytes()
            assert phone.program.running, phone.program.said()[-2000:]
            await asyncio.sleep(0.1)


async def ask_and_listen(phone: Baresip, speech: LocalSpeech, folder: Path) -> str:
    """The greeting is heard, the question asked; the words of the answer."""
    greeting = await reply(phone, 0)
    assert "help" in (await speech.hear(g711.encode(greeting))).lower()
    said = await speech.speak(QUESTION)
    since = len(phone.heard())
    await phone.speak(write_wav(folder / "question.wav", said.pcm16))
    return (await speech.hear(g711.encode(await reply(phone, since)))).lower()


async def newest(server: Server) -> dict[str, object]:
    """The record of the call that was last."""
    (row, *_) = (await server.get("/v1/calls?limit=1"))["data"]
    return await server.record(row["carrier_call_id"])


@pytest.mark.parametrize("way", ["udp", "tls"])
async def test_a_telephone_asks_and_is_answered(
    server: Server, speech: LocalSpeech, tmp_path: Path, way: str
) -> None:
    own = authority(tmp_path / "own")
    async with front(tmp_path, [f"sip:{HOST}:{server.sip_port}"]) as kamailio:
        secure = way == "tls"
        async with baresip(
            tmp_path, "caller", bytes(2),
            account=";mediaenc=srtp-mand" if secure else "",
            uri=f"sip:caller@{HOST};transport={way}",
            certificate=own.both, authority=kamailio.authority.certificate,
        ) as caller:  # fmt: skip
            direct = f"sip:+441632960000@{HOST}:{server.sip_port}"
            await caller.dial(kamailio.uri("+441632960000", way) if secure else direct)
            answer = await ask_and_listen(caller, speech, tmp_path)
            await caller.hang_up()
            assert "closed" in answer, answer
            assert ("RTP/SAVP" in caller.program.said()) == secure
    record = await newest(server)
    assert record["carrier"] == "sip"
    assert record["termination"] == {"result": "completed", "reason": "caller_hangup"}
    turns = record["turns"]
    assert isinstance(turns, list)
    assert "monday" in turns[1]["caller_text"].lower()
    assert "closed" in turns[1]["bot_text_heard"].lower()
