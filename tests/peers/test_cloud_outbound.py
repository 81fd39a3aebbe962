"""Calls that we make by way of the cloud carriers: asked for over our API, dialled over their REST,
answered on their wire; and whom they do not reach."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

import exotel_peer
import plivo_peer
import pytest
import telnyx_peer
import vonage_peer
from edge_server import edge
from vendor_rest import VendorRest, serving

from telebot.carriers import rest as bounded
from telebot.phone import plivo_exchange, telnyx_exchange, vonage_exchange

pytestmark = pytest.mark.peers

PUBLIC = "https://voice.example"
TO, FROM = "+442079460018", "+441632960000"
KEY = {"Authorization": "Bearer secret-key"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@dataclass
class Scene:
    """A server, a carrier's REST, and what the carrier then does."""

    server: Any
    http: Any
    rest: VendorRest
    made: dict[str, Any] = field(default_factory=dict)

    async def place(self) -> dict[str, Any]:
        body = {"to": TO, "from": FROM, "agent": "echo"}
        url = f"{self.server.url}/v1/calls"
        async with self.http.post(url, json=body, headers=KEY) as response:
            assert response.status == 201, await response.text()
            row = await response.json()
        self.made = self.rest.asked[-1].body
        return row

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> str:
        """The carrier asks a URL that it was given."""
        assert url.startswith(PUBLIC)
        here = self.server.url + url.removeprefix(PUBLIC)
        async with self.http.post(here, data=body, headers=headers) as response:
            assert response.status in (200, 204), (response.status, await response.text())
            return await response.text()

    def media(self, url: str) -> str:
        parts = urlsplit(url)
        return f"{self.server.url}{parts.path}" + (f"?{parts.query}" if parts.query else "")


class Telnyx:
    """By Call Control: the stream comes once somebody answers, without a webhook before."""

    rest = staticmethod(telnyx_peer.rest)
    environ: ClassVar[dict[str, str]] = {
        "TELNYX_PUBLIC_KEY": telnyx_peer.PUBLIC,
        "TELNYX_API_KEY": telnyx_peer.API_KEY,
        "TELNYX_CONNECTION_ID": "1494404757140276705",
    }
    call_id = telnyx_peer.DIALLED

    async def answered(self, scene, socket_of):
        state = scene.made["client_state"]
        assert base64.b64decode(state).count(b".") == 2
        start = {"call_control_id": self.call_id, "client_state": state}
        start["media_format"] = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
        message = {"event": "start", "stream_id": "S1", "start": start}
        return await socket_of(scene.made["stream_url"], message)

    async def busy(self, scene):
        payload = {"call_control_id": self.call_id, "hangup_cause": "user_busy"}
        body = json.dumps({"data": {"event_type": "call.hangup", "payload": payload}}).encode()
        headers = telnyx_exchange.signed(telnyx_peer.PRIVATE, body, int(time.time())) | JSON
        await scene.post(scene.made["webhook_url"], body, headers)


class Plivo:
    """Asks the answer URL; the call's id is another than the request's."""

    rest = staticmethod(plivo_peer.rest)
    environ: ClassVar[dict[str, str]] = {
        "PLIVO_AUTH_ID": plivo_peer.AUTH_ID,
        "PLIVO_AUTH_TOKEN": plivo_peer.AUTH_TOKEN,
    }
    call_id = "97ceeb52-58b6-11e1-86da-77300b68f8bb"

    def _signed(self, url, form):
        return plivo_exchange.signed(plivo_peer.AUTH_TOKEN, url, form) | FORM

    async def answered(self, scene, socket_of):
        url = scene.made["answer_url"]
        form = {"CallUUID": self.call_id, "From": FROM, "To": TO, "Direction": "outbound"}
        answer = await scene.post(url, urlencode(form).encode(), self._signed(url, form))
        token = answer.partition('extraHeaders="')[2].partition('"')[0]
        start = {"callId": self.call_id, "streamId": "S1"}
        message = {"event": "start", "start": start, "extra_headers": token}
        return await socket_of("wss://voice.example/plivo/media", message)

    async def busy(self, scene):
        url = scene.made["hangup_url"]
        form = {"CallUUID": self.call_id, "CallStatus": "busy", "HangupCause": "USER_BUSY"}
        await scene.post(url, urlencode(form).encode(), self._signed(url, form))


class Vonage:
    """Asks the answer URL by JSON."""

    rest = staticmethod(vonage_peer.rest)
    environ: ClassVar[dict[str, str]] = {
        "VONAGE_SIGNATURE_SECRET": vonage_peer.SECRET,
        "VONAGE_APPLICATION_ID": vonage_peer.APPLICATION,
        "VONAGE_PRIVATE_KEY": vonage_peer.PRIVATE_KEY,
    }
    call_id = vonage_peer.DIALLED

    async def _tell(self, scene, url, tree):
        body = json.dumps(tree).encode()
        return await scene.post(url, body, vonage_exchange.signed(vonage_peer.SECRET, body) | JSON)

    async def answered(self, scene, socket_of):
        tree = {"uuid": self.call_id, "from": FROM[1:], "to": TO[1:]}
        [connect] = json.loads(await self._tell(scene, scene.made["answer_url"][0], tree))
        [endpoint] = connect["endpoint"]
        message = {"event": "websocket:connected", **endpoint["headers"]}
        return await socket_of(endpoint["uri"], message)

    async def busy(self, scene):
        tree = {"uuid": self.call_id, "status": "busy"}
        await self._tell(scene, scene.made["event_url"][0], tree)


class Exotel:
    """Opens the stream once somebody answers, by the address it was given."""

    rest = staticmethod(exotel_peer.rest)
    environ: ClassVar[dict[str, str]] = {
        "EXOTEL_ACCOUNT_SID": exotel_peer.ACCOUNT,
        "EXOTEL_API_KEY": exotel_peer.API_KEY,
        "EXOTEL_API_TOKEN": exotel_peer.API_TOKEN,
    }
    call_id = exotel_peer.DIALLED

    async def answered(self, scene, socket_of):
        start = {"call_sid": self.call_id, "from": FROM, "to": TO}
        message = {"event": "start", "stream_sid": "S1", "start": start}
        return await socket_of(scene.made["StreamUrl"], message)

    async def busy(self, scene):
        body = json.dumps({"CallSid": self.call_id, "Status": "busy"}).encode()
        await scene.post(scene.made["StatusCallback"], body, JSON)


CARRIERS = [Telnyx(), Plivo(), Vonage(), Exotel()]


@pytest.fixture(params=CARRIERS, ids=lambda one: type(one).__name__.lower())
def carrier(request):
    return request.param


@pytest.fixture
async def scene(carrier, tmp_path, http, monkeypatch):
    monkeypatch.setattr(bounded, "FIRST_PAUSE_S", 0.01)
    name = type(carrier).__name__.lower()
    async with serving(carrier.rest()) as rest:
        environ: ClassVar[dict[str, str]] = {
            **carrier.environ,
            f"{name.upper()}_BASE_URL": rest.url,
        }
        settings = {
            "server__public_url": PUBLIC,
            "outbound__allowed_prefixes": ["+44"],
            "outbound__carrier": name,
        }
        async with edge(tmp_path, environ=environ, **settings) as server:
            yield Scene(server, http, rest)


async def test_somebody_answers_and_is_talked_with(carrier, scene):
    row = await scene.place()
    assert (row["direction"], row["to"], row["from"]) == ("outbound", TO, FROM)

    async def socket_of(url, message):
        socket = await scene.http.ws_connect(scene.media(url))
        await socket.send_json(message)
        return socket

    async with await carrier.answered(scene, socket_of) as socket:
        await scene.server.until(lambda: scene.server.listeners.all)
        [heard] = scene.server.listeners.all
        assert heard.call.id == row["id"]
        assert (heard.call.agent, heard.call.offer.carrier_call_id) == ("echo", carrier.call_id)
        await heard.wire.close()
        while not socket.closed:
            await socket.receive(timeout=20)
    await scene.server.until(lambda: scene.server.log.endings)
    assert scene.server.log.reasons() == ["bot_hangup"]
    assert len(scene.server.log.calls) == 1
    assert scene.rest.refused == []


async def test_the_line_is_busy(carrier, scene):
    await scene.place()
    await carrier.busy(scene)
    assert scene.server.log.reasons() == ["busy"]
    assert scene.server.listeners.all == []


async def test_the_carrier_does_not_take_it(carrier, scene):
    scene.rest.answers = [400]
    body = {"to": TO, "from": FROM, "agent": "echo"}
    async with scene.http.post(f"{scene.server.url}/v1/calls", json=body, headers=KEY) as response:
        assert response.status == 502
    assert scene.server.log.reasons() == ["dial_failed"]
    assert len(scene.rest.asked) == 1
