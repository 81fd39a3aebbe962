"""Warm transfers of the carriers that ask a webhook at every step: the person's leg on real
sockets, signed as the carrier signs, with a caller on the line; and that nobody is left ringing."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode

import jambonz_peer
import plivo_peer
import pytest
import telnyx_peer
import vonage_peer
from carrier_call import calling
from edge_server import edge
from vendor_rest import VendorRest, serving

from telebot.call.errors import CarrierError, NotReached, Unable
from telebot.call.ports import TransfersWarm
from telebot.carriers import rest as bounded
from telebot.carriers import rooms
from telebot.phone import jambonz_exchange, plivo_exchange, telnyx_exchange, vonage_exchange
from telebot.phone.destination import Destination

pytestmark = pytest.mark.peers

STAFF, SUMMARY = "+15550123", "A caller & a <booking>. They said: a person."
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
LEG = "v3-the-persons-leg"


@dataclass
class Vendor:
    """What differs between the carriers."""

    name: str
    secret: str
    environ: dict[str, str]
    rest: VendorRest

    def person(self) -> tuple[str, str]:
        """The URLs that the person's leg was made with: to ask, and to tell."""
        body = next(one.body for one in self.rest.asked if one.method == "POST")
        match self.name:
            case "telnyx":
                return body["Url"], body["StatusCallback"]
            case "plivo":
                return body["answer_url"], body["hangup_url"]
            case "jambonz":
                return body["call_hook"]["url"], body["call_status_hook"]["url"]
            case _:
                return body["answer_url"][0], body["event_url"][0]

    def request(self, url: str, status: str) -> tuple[bytes, dict[str, str]]:
        """What the carrier posts about the person's leg."""
        match self.name:
            case "telnyx":
                body = urlencode({"CallSid": LEG, "CallStatus": status}).encode()
                signed = telnyx_exchange.signed(self.secret, body, int(time.time()))
            case "plivo":
                form = {"CallUUID": LEG, "CallStatus": status}
                body, signed = (
                    urlencode(form).encode(),
                    plivo_exchange.signed(self.secret, url, form),
                )
            case "jambonz":
                tree = {"call_sid": LEG, "call_status": status, "trace_id": token_hex(8)}
                body = json.dumps(tree).encode()
                signed = jambonz_exchange.signed(self.secret, body, time.time())
            case _:
                body = json.dumps({"uuid": LEG, "status": status}).encode()
                signed = vonage_exchange.signed(self.secret, body)
        return body, signed | {"Content-Type": JSON if body[:1] == b"{" else FORM}

    def said(self, answer: str) -> tuple[str, str]:
        """(what is said, where it goes on) of an answer to the person's leg."""
        if self.name == "vonage":
            talk, notify = json.loads(answer)
            return talk["text"], notify["eventUrl"][0]
        if self.name == "jambonz":
            say, redirect = json.loads(answer)
            return say["text"], redirect["actionHook"]
        root = _xml(answer)
        return str(root[0].text), str(root.findtext("Redirect"))

    def room(self, answer: Any) -> str:
        """The room that a leg is sent into."""
        if self.name == "vonage":
            [action] = json.loads(answer) if isinstance(answer, str) else answer
            assert action["action"] == "conversation"
            return str(action["name"])
        if self.name == "jambonz":
            meeting, hangup = json.loads(answer)
            assert (meeting["verb"], hangup["verb"]) == ("conference", "hangup")
            assert meeting["endConferenceOnExit"]
            return str(meeting["name"])
        [room] = _xml(answer).iter("Conference")
        assert room.attrib["endConferenceOnExit"] == "true"
        return str(room.text)


def _xml(answer: str) -> Any:
    from xml.etree import ElementTree

    return ElementTree.fromstring(answer)


def _vendor(name: str) -> Vendor:
    match name:
        case "telnyx":
            environ = {
                "TELNYX_PUBLIC_KEY": telnyx_peer.PUBLIC,
                "TELNYX_API_KEY": telnyx_peer.API_KEY,
                "TELNYX_APPLICATION_ID": "1494404757140276705",
            }
            return Vendor(name, telnyx_peer.PRIVATE, environ, telnyx_peer.rest())
        case "plivo":
            environ = {
                "PLIVO_AUTH_ID": plivo_peer.AUTH_ID,
                "PLIVO_AUTH_TOKEN": plivo_peer.AUTH_TOKEN,
            }
            return Vendor(name, plivo_peer.AUTH_TOKEN, environ, plivo_peer.rest())
        case "jambonz":
            environ = {
                "JAMBONZ_WEBHOOK_SECRET": jambonz_peer.SECRET,
                "JAMBONZ_ACCOUNT_SID": jambonz_peer.ACCOUNT,
                "JAMBONZ_API_KEY": jambonz_peer.API_KEY,
            }
            return Vendor(name, jambonz_peer.SECRET, environ, jambonz_peer.rest())
        case _:
            environ = {
                "VONAGE_SIGNATURE_SECRET": vonage_peer.SECRET,
                "VONAGE_APPLICATION_ID": vonage_peer.APPLICATION,
                "VONAGE_PRIVATE_KEY": vonage_peer.PRIVATE_KEY,
            }
            return Vendor(name, vonage_peer.SECRET, environ, vonage_peer.rest())


class Scene:
    """A caller on the line, and a warm transfer under way."""

    def __init__(self, vendor, server, http) -> None:
        self.vendor, self.server, self.http = vendor, server, http
        self.carrier = server.carriers.get(vendor.name)
        self.answered = 0

    def transfer(self, within_s=30.0):
        assert isinstance(self.carrier, TransfersWarm)
        call = self.server.listeners.all[-1].call
        self.task = asyncio.create_task(
            self.carrier.transfer_warm(call, STAFF, SUMMARY, within_s, self._answered)
        )

    async def person(self):
        await self.server.until(lambda: self.vendor.rest.asked)
        return self.vendor.person()

    async def ask(self, url, status="in-progress"):
        body, headers = self.vendor.request(url, status)
        async with self.http.post(url, data=body, headers=headers) as response:
            assert response.status in (200, 204)
            return await response.text()

    def _answered(self):
        self.answered += 1


@pytest.fixture(params=["telnyx", "plivo", "vonage", "jambonz"])
async def scene(request, tmp_path, http, monkeypatch):
    monkeypatch.setattr(bounded, "FIRST_PAUSE_S", 0.01)
    vendor = _vendor(request.param)
    async with serving(vendor.rest):
        base_url = {f"{vendor.name.upper()}_BASE_URL": vendor.rest.url}
        async with (
            edge(tmp_path, environ=vendor.environ | base_url) as server,
            calling(Destination(server.url, vendor.secret, carrier=vendor.name)) as call,
        ):
            await call.until("played", "greeting")
            yield Scene(vendor, server, http)


async def test_the_person_is_told_and_then_the_caller_comes(scene):
    scene.transfer()
    url, status_url = await scene.person()
    assert url.startswith(f"{scene.server.url}/{scene.vendor.name}/fallback?room=telebot")
    for status in ("initiated", "ringing"):
        await scene.ask(status_url, status)
    assert scene.answered == 0
    said, then = scene.vendor.said(await scene.ask(url))
    assert said == SUMMARY
    await scene.server.until(lambda: scene.answered)
    await asyncio.sleep(0.05)
    assert len(scene.vendor.rest.asked) == 1, "the caller stays until the person was told"
    room = scene.vendor.room(await scene.ask(then))
    await scene.task
    brought = scene.vendor.rest.asked[-1].body
    match scene.vendor.name:
        case "telnyx":
            assert scene.vendor.room(brought["Texml"]) == room
        case "plivo":
            assert scene.vendor.room(await scene.ask(brought["aleg_url"])) == room
        case "jambonz":
            assert scene.vendor.room(await scene.ask(brought["call_hook"]["url"])) == room
        case _:
            assert scene.vendor.room(brought["destination"]["ncco"]) == room
    assert (scene.answered, scene.vendor.rest.refused) == (1, [])
    assert scene.server.log.endings == []


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [(["busy"], "busy"), (["ringing", "failed"], "unreachable"), (["completed"], "no_answer")],
    ids=str,
)
async def test_why_the_person_did_not_come(scene, statuses, reason):
    scene.transfer()
    _, status_url = await scene.person()
    for status in statuses:
        await scene.ask(status_url, status)
    with pytest.raises(NotReached) as error:
        await scene.task
    assert (error.value.reason, scene.answered) == (reason, 0)
    assert scene.server.log.endings == [], "the caller has noticed nothing"


async def test_the_person_hangs_up_while_they_are_told(scene):
    scene.transfer()
    url, status_url = await scene.person()
    await scene.ask(url)
    await scene.ask(status_url, "completed")
    with pytest.raises(NotReached) as error:
        await scene.task
    assert (error.value.reason, scene.answered) == ("hung_up", 1)


@pytest.mark.parametrize("why", ["nobody answers", "the caller hangs up"])
async def test_nobody_is_left_ringing(scene, why):
    scene.transfer(0.3 if why == "nobody answers" else 30.0)
    url, status_url = await scene.person()
    await scene.ask(status_url, "ringing")
    if why == "nobody answers":
        with pytest.raises(NotReached, match="no_answer"):
            await scene.task
    else:
        scene.task.cancel()
    rest = scene.vendor.rest
    await scene.server.until(lambda: len(rest.asked) >= 2)
    last = rest.asked[-1]
    told = last.path + str(last.body)
    assert last.method == "DELETE" or "hangup" in told or "call_status" in told
    late = await scene.ask(url)  # they pick up all the same: the caller has gone
    assert SUMMARY not in late
    assert "hangup" in late.lower() or late == "[]"


async def test_a_person_who_is_never_told_is_let_go(scene, monkeypatch):
    monkeypatch.setattr(rooms, "TOLD_WITHIN_S", 0.2)
    scene.transfer()
    url, _ = await scene.person()
    await scene.ask(url)
    with pytest.raises(NotReached) as error:
        await scene.task
    assert error.value.reason == "hung_up"
    await scene.server.until(lambda: len(scene.vendor.rest.asked) >= 2)


async def test_a_carrier_that_does_not_ring_them_up_is_an_error(scene):
    scene.vendor.rest.answers = [400]
    scene.transfer()
    with pytest.raises(CarrierError):
        await scene.task
    assert len(scene.vendor.rest.asked) == 1


async def test_before_any_call_nobody_knows_the_way_to_us(tmp_path):
    vendor = _vendor("plivo")
    async with edge(tmp_path, environ=vendor.environ) as server:
        carrier = server.carriers.get("plivo")
        with pytest.raises(Unable, match="no webhook"):
            await carrier.transfer_warm(None, STAFF, SUMMARY, 1.0, lambda: None)
