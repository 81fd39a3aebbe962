"""Who may call over SIP: trunks, digest, floods, numbers; and messages that are none."""

from __future__ import annotations

import pytest
from sip_phone import Dialog, Message, Phone, sdp, sip_line

from telebot.sip.security import ATTEMPTS, parameters, response
from telebot.sip.trunks import Credentials

pytestmark = pytest.mark.peers

STRANGER = "127.0.0.2"  # another address of this machine, by which it may not call
DIGEST = {"TELEBOT_SIP_USER": "alice", "TELEBOT_SIP_PASSWORD": "secret"}


def authorization(
    challenge: Message, *, algorithm: str = "SHA-256", password: str = "secret"
) -> str:
    """What a phone answers to a 401."""
    lines = [
        line.split(": ", 1)[1]
        for line in challenge.text.split("\r\n")
        if line.lower().startswith("www-authenticate:")
    ]
    asked = next(p for p in map(parameters, lines) if p["algorithm"] == algorithm)
    given = {
        "username": "alice",
        "realm": asked["realm"],
        "nonce": asked["nonce"],
        "uri": "sip:100@127.0.0.1",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": "abc",
        "algorithm": algorithm,
    }
    who = Credentials("alice", password, asked["realm"])
    given["response"] = response(given, who, "INVITE")
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in given.items())


async def refused(call: Dialog, phone: Phone, status: int, **headers: str) -> Message:
    call.send("INVITE", sdp(), **headers)
    answer = await phone.hear(status)
    call.send("ACK", cseq=call.cseq, branch=call.branch)
    return answer


async def test_a_stranger_gets_nothing_but_403(tmp_path):
    async with sip_line(tmp_path) as line:
        phone = await line.phone(STRANGER)
        await refused(phone.dialog(), phone, 403)
        phone.dialog().send("OPTIONS")
        await phone.hear(200)
        assert not line.log.calls


async def test_a_trunk_lets_its_numbers_in_by_its_codecs_and_limits(tmp_path):
    trunk = "trunks: {t: {peers: [127.0.0.2], numbers: ['100'], codecs: [PCMA], max_calls: 1}}"
    async with sip_line(tmp_path, trunks=trunk) as line:
        stranger, phone = await line.phone(), await line.phone(STRANGER)
        await refused(stranger.dialog(), stranger, 403)
        await refused(phone.dialog("200"), phone, 404)
        await refused(phone.dialog(), phone, 488)  # mu-law alone is offered
        answer = await phone.dialog().answered(sdp(types="0 8").replace("127.0.0.1", STRANGER))
        assert "PCMA/8000" in answer.body
        assert "PCMU" not in answer.body
        busy = await refused(phone.dialog(), phone, 486)
        assert busy.header("Retry-After")
        await line.until(lambda: "capacity" in line.log.reasons())


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
async def test_a_digest_lets_a_call_in_once(tmp_path, algorithm):
    async with sip_line(tmp_path, environ=DIGEST) as line:
        phone = await line.phone(STRANGER)
        call = phone.dialog()
        asked = await refused(call, phone, 401)
        shown = authorization(asked, algorithm=algorithm)
        body = sdp().replace("127.0.0.1", STRANGER)
        await call.answered(body, Authorization=shown)
        await line.until(lambda: line.listeners.all)
        replayed = phone.dialog()
        again = await refused(replayed, phone, 401, Authorization=shown)
        assert "stale=true" in again.header("WWW-Authenticate")
        await replayed.answered(body, Authorization=authorization(again, algorithm=algorithm))


async def test_guessing_locks_the_address_out(tmp_path):
    async with sip_line(tmp_path, environ=DIGEST) as line:
        phone = await line.phone(STRANGER)
        for _ in range(ATTEMPTS):
            call = phone.dialog()
            asked = await refused(call, phone, 401)
            wrong = authorization(asked, password="guess")
            await refused(call, phone, 401, Authorization=wrong)
        call = phone.dialog()
        await refused(call, phone, 403)
        assert not line.log.calls
        phone.dialog().send("OPTIONS")
        await phone.hear(200)


async def test_a_flood_is_told_to_come_back_and_options_are_answered(tmp_path):
    trunk = "trunks: {t: {peers: [127.0.0.1], rate: 2}}"
    async with sip_line(tmp_path, trunks=trunk, max_calls=100) as line:
        phone = await line.phone()
        held = phone.dialog()
        await held.answered()
        for _ in range(200):
            phone.dialog("999").send("INVITE", sdp())
        phone.dialog().send("OPTIONS")
        await phone.hear(lambda m: m.status == 200 and "OPTIONS" in m.header("CSeq"))
        await line.until(lambda: sum(m.status >= 400 for m in phone.heard) >= 200)
        answers = [m for m in phone.heard if m.status >= 400]
        told = {m.status for m in answers}
        assert told == {404, 503}
        assert len({m.header("Call-ID") for m in answers}) == 200, "nobody is left without"
        assert all(m.header("Retry-After") for m in answers if m.status == 503)
        held.send("INVITE", sdp(version=2))
        await phone.hear(lambda m: m.status == 200 and m.header("CSeq") == "2 INVITE")


async def test_an_answer_goes_to_where_the_request_came_from(tmp_path):
    async with sip_line(tmp_path) as line:
        phone, other = await line.phone(), await line.phone()
        text = phone.dialog().request("OPTIONS")
        lies = f"127.0.0.1:{phone.port};received=127.0.0.9;rport={other.port}"
        phone.send(
            text.replace(f"127.0.0.1:{phone.port};", lies + ";", 1).replace(";rport\r", "\r")
        )
        await phone.hear(200)
        assert not other.heard


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Require": "nothingSupportsThis, timerless"}, 420),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Accept": "text/nothing"}, 406),
        ({"kind": "application/unknown"}, 415),
    ],
)
async def test_an_invite_wants_what_we_cannot(tmp_path, changed, status):
    async with sip_line(tmp_path) as line:
        phone = await line.phone()
        phone.dialog().send("INVITE", sdp(), **changed)
        await phone.hear(status)


async def test_the_same_invite_by_another_way_is_482(tmp_path):
    async with sip_line(tmp_path) as line:
        phone = await line.phone()
        call = phone.dialog()
        await call.answered()
        call.to_tag = ""
        call.send("INVITE", sdp(), cseq=1, branch="z9hG4bKother")
        await phone.hear(482)
        assert len(line.log.calls) == 1
