"""Registering at Kamailio, calls that come through it and calls that go out by it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from baresip import baresip, tone
from registrar import pbx
from sip_callee import Callee
from sip_phone import Phone, sdp, sip_line
from test_sip_outgoing import Dialled

pytestmark = pytest.mark.peers

TRUNKS = """\
trunks:
  office:
    prefixes: ["+44*"]
    numbers: ["100"]
    outbound:
      hosts: [{hosts}]
      domain: pbx
      user: bot
      password_env: SECRET
      registers: true
      register_s: 60
"""


def registering(folder: Path, *ports: int, secret: str = "s3cret"):
    hosts = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    return sip_line(folder, trunks=TRUNKS.format(hosts=hosts), environ={"SECRET": secret})


@pytest.fixture
async def gateway():
    phone = await Phone.open(("127.0.0.1", 1))
    yield phone
    phone.close()


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_registered_bot_is_called_and_calls(tmp_path, gateway: Phone, algorithm: str):
    async with (
        pbx(tmp_path, gateway=gateway.port, algorithm=algorithm) as office,
        registering(tmp_path, office.port) as line,
    ):
        await line.until(lambda: line.server.registrations.registered()["office"])
        ok, known = line.server.check()
        assert ok
        state = known["registrations"]["office"]
        assert state["registrar"] == f"127.0.0.1:{office.port}"
        assert 50 <= state["left_s"] <= 60
        async with baresip(tmp_path, "alice", tone(440, 30)) as alice:
            await alice.dial(f"sip:100@127.0.0.1:{office.port}")
            await line.until(lambda: line.listeners.all and line.listeners.all[0].frames)
            offer = line.listeners.all[0].call.offer
            assert offer.phone_to == "100", "the number in To: the Request-URI is our Contact"
            await alice.hang_up()
            await line.until(line.log.reasons)

        out = Dialled(line, gateway)
        out.dial("+442079460018")
        callee = Callee(gateway, await gateway.hear("INVITE"))
        assert office.challenges() >= 1
        assert "Proxy-Authorization" not in callee.invite.text
        callee.respond(
            200,
            sdp(),
            Record_Route=re.findall(r"^Record-Route: (.*?)\r$", callee.invite.text, re.M),
            routes=False,
        )
        ack = await gateway.hear("ACK")
        assert ack.source[1] == office.port, "through the proxy that recorded its route"
        await line.until(lambda: len(line.listeners.all) == 2)
        await line.listeners.all[1].wire.close()
        bye = await gateway.hear("BYE")
        assert bye.source[1] == office.port
        callee.respond(200, request=bye)
        await line.server.registrations.close()
        await line.until(lambda: office.registers()[-1] == "0")


async def test_a_longer_time_is_asked_for(tmp_path, gateway: Phone):
    async with (
        pbx(tmp_path, gateway=gateway.port, least_s=120) as office,
        registering(tmp_path, office.port) as line,
    ):
        await line.until(lambda: line.server.registrations.registered()["office"])
        assert "120" in office.registers()
        assert line.server.registrations.states()["office"]["left_s"] > 100


async def test_a_second_registrar_and_a_wrong_password(tmp_path, gateway: Phone):
    async with (
        pbx(tmp_path, gateway=gateway.port, password="another") as wrong,
        pbx(tmp_path, gateway=gateway.port) as right,
        registering(tmp_path, wrong.port, right.port) as line,
    ):
        await line.until(lambda: line.server.registrations.registered()["office"])
        state = line.server.registrations.states()["office"]
        assert state["registrar"] == f"127.0.0.1:{right.port}"
        assert len(wrong.registers()) == 2, "a wrong password is shown once"


async def test_nobody_else_is_let_in(tmp_path, gateway: Phone):
    async with (
        pbx(tmp_path, gateway=gateway.port) as office,
        registering(tmp_path, office.port, secret="wrong") as line,
    ):
        await line.until(lambda: "401" in line.server.registrations.states()["office"]["why"])
        stranger = await line.phone()
        stranger.dialog("100").send("INVITE", sdp())
        await stranger.hear(403)
