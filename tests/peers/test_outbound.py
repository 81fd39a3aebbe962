"""Calls that we make, by way of Twilio: asked for over our API, dialled over its REST, answered by
its webhook; and whom it does not reach."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from edge_server import AUTH_TOKEN, edge
from twilio_peer import Twilio

from telebot.call.model import Result
from telebot.carriers import dialling, twilio_rest
from telebot.web import server as web_server

pytestmark = pytest.mark.peers

PUBLIC = "https://voice.example"
TO, FROM = "+442079460018", "+441632960000"
KEY = {"Authorization": "Bearer secret-key"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(twilio_rest, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(web_server, "EXPIRY_EVERY_S", 0.05)


class Line:
    """The API and Twilio, of one server."""

    def __init__(self, server, http, rest) -> None:
        self.server = server
        self.http = http
        self.rest = rest
        self.twilio = Twilio(http, server.url, AUTH_TOKEN)

    async def place(self, key=None, **asked):
        """(status, JSON, headers) of `POST /v1/calls`."""
        headers = KEY | ({"Idempotency-Key": key} if key else {})
        body = {"to": TO, "from": FROM} | asked
        url = f"{self.server.url}/v1/calls"
        async with self.http.post(url, json=body, headers=headers) as response:
            return response.status, await response.json(), response.headers

    async def webhook(self, url, fields):
        """Twilio asks a URL that it was given."""
        assert url.startswith(PUBLIC)
        parts = urlsplit(url)
        return await self.twilio.webhook(f"{parts.path}?{parts.query}", fields, signed_as=url)

    def call(self):
        return self.server.log.calls[-1]


@pytest.fixture
def opened(tmp_path, http, rest_peer):
    """A server with settings of the test's own."""

    def line(**overrides):
        settings = {
            "server__public_url": PUBLIC,
            "outbound__allowed_prefixes": ["+44"],
            "outbound__denied_prefixes": ["+4490"],
        }
        return edge(tmp_path, environ={"TWILIO_BASE_URL": rest_peer.url}, **settings | overrides)

    return line


@pytest.fixture
async def line(opened, http, rest_peer):
    async with opened() as server:
        yield Line(server, http, rest_peer)


async def test_a_call_is_made_answered_and_talked_on(line):
    status, row, headers = await line.place(agent="echo", metadata={"order": "7"})
    assert status == 201
    [made] = line.rest.made
    assert row["carrier_call_id"] == made.sid
    assert row | {"direction": "outbound", "from": FROM, "to": TO, "agent": "echo"} == row
    assert (row["state"], row["metadata"]) == ("ringing", {"order": "7"})
    assert headers["Location"] == f"/v1/calls/{row['id']}"
    assert made.fields == {
        "To": TO,
        "From": FROM,
        "Url": f"{PUBLIC}/twilio/voice?call={row['id']}",
        "FallbackUrl": f"{PUBLIC}/twilio/fallback?call={row['id']}",
        "StatusCallback": f"{PUBLIC}/twilio/status?call={row['id']}",
        "Timeout": "45",
    }
    reply = await line.webhook(made.fields["Url"], made.webhook("in-progress"))
    assert reply.verbs == ["Connect", "Redirect"]
    url = line.server.url.replace("http", "ws") + urlsplit(reply.stream_url).path
    async with line.twilio.socket(url) as stream:
        await stream.start(made.sid, reply.token)
        await stream.next()
        await stream.event("dtmf", {"track": "inbound_track", "digit": "#"})
        assert await stream.closed() == 1000
    assert len(line.server.log.calls) == 1
    await line.server.until(lambda: line.rest.asked)
    assert line.rest.asked == [(made.sid, {"Status": "completed"})]
    assert line.server.log.reasons() == ["bot_hangup"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"CallStatus": "busy"}, "busy"),
        ({"CallStatus": "no-answer"}, "no_answer"),
        ({"CallStatus": "failed", "SipResponseCode": "404"}, "unreachable"),
        ({"CallStatus": "busy", "SipResponseCode": "603"}, "declined"),
        ({"CallStatus": "canceled"}, "cancelled"),
    ],
)
async def test_why_nobody_took_it(line, fields, reason):
    await line.place()
    [made] = line.rest.made
    told = made.webhook("") | fields
    assert (await line.webhook(made.fields["StatusCallback"], told)).status == 200
    assert line.call().termination.result is Result.UNANSWERED
    assert line.server.log.reasons() == [reason]
    reply = await line.webhook(made.fields["Url"], made.webhook("in-progress"))  # out of order
    assert reply.verbs == ["Say", "Hangup"]
    assert line.server.log.reasons() == [reason]


async def test_what_it_rings_for_too_long_is_given_up(opened, http, rest_peer):
    async with opened() as server:
        line = Line(server, http, rest_peer)
        await line.place()
        for awaited in server.admission._awaited.values():
            awaited.until = 0.0  # the time is up
        await server.until(lambda: rest_peer.asked)
        assert rest_peer.asked == [(rest_peer.made[0].sid, {"Status": "completed"})]
        assert server.log.reasons() == ["no_answer"]


async def test_an_operator_gives_it_up(line):
    _, row, _ = await line.place()
    url = f"{line.server.url}/v1/calls/{row['id']}"
    async with line.http.post(f"{url}/transfer", json={"to": TO}, headers=KEY) as response:
        told = await response.json()
        assert (response.status, told["error"]["code"]) == (409, "not_answered")
    async with line.http.post(f"{url}/hangup", headers=KEY) as response:
        told = await response.json()
        assert (response.status, told["termination"]["reason"]) == (202, "cancelled")
    await line.server.until(lambda: line.rest.asked)
    assert line.rest.asked == [(line.rest.made[0].sid, {"Status": "completed"})]
    async with line.http.post(f"{url}/hangup", headers=KEY) as response:
        assert response.status == 404


async def test_a_server_that_goes_down_lets_nothing_ring_on(opened, http, rest_peer):
    async with opened() as server:
        await Line(server, http, rest_peer).place()
    assert rest_peer.asked == [(rest_peer.made[0].sid, {"Status": "completed"})]
    assert server.log.reasons() == ["cancelled"]


@pytest.mark.parametrize(
    ("asked", "status", "code", "message"),
    [
        ({"to": "nonsense"}, 400, "invalid_parameter", "to: write a number like"),
        ({"to": ""}, 400, "invalid_parameter", "to: "),
        ({"to": "+19005550100"}, 403, "number_not_allowed", "outbound.allowed_prefixes"),
        ({"to": "+449012345678"}, 403, "number_not_allowed", "outbound.denied_prefixes"),
        ({"to": "00442079460018"}, 403, "number_not_allowed", "outbound"),
        ({"from": None}, 400, "invalid_parameter", "outbound.caller_id"),
        ({"agent": "ecco"}, 400, "invalid_parameter", "did you mean 'echo'"),
        ({"carrier": "twillio"}, 400, "invalid_parameter", "did you mean 'twilio'"),
        ({"carrier": "local"}, 409, "unable", "local cannot make calls"),
        ({"trunk": "sipgate"}, 400, "invalid_parameter", "no such trunk"),
        ({"carrier": "twilio", "trunk": "x"}, 400, "invalid_parameter", "no such trunk"),
        ({"what": 1}, 400, "invalid_parameter", "no such parameter"),
        ({"metadata": {"a": 1}}, 400, "invalid_parameter", "metadata.a"),
        ({"metadata": {"a": "x" * 501}}, 400, "invalid_parameter", "metadata.a"),
    ],
    ids=str,
)
async def test_what_is_not_dialled(line, asked, status, code, message):
    got, body, _ = await line.place(**asked)
    assert (got, body["error"]["code"]) == (status, code)
    assert message in body["error"]["message"]
    assert line.rest.made == []
    assert line.server.log.calls == []


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"outbound__allowed_prefixes": []}, "403 number_not_allowed: No number may be dialled"),
        ({"server__public_url": ""}, "409 no_public_url: twilio has to reach this server"),
        ({"max_calls": 0}, "503 capacity: No more calls at once than server.max_calls"),
        ({"outbound__carrier": "nobody"}, "400 invalid_parameter: carrier: there is no such"),
    ],
    ids=str,
)
async def test_what_the_settings_forbid(opened, http, rest_peer, overrides, told):
    async with opened(**overrides) as server:
        status, body, _ = await Line(server, http, rest_peer).place()
        assert f"{status} {body['error']['code']}: {body['error']['message']}".startswith(told)
        assert rest_peer.made == []


async def test_a_server_that_drains_makes_no_calls(line):
    line.server.admission.draining = True
    status, body, _ = await line.place()
    assert (status, body["error"]["code"]) == (503, "draining")


async def test_so_many_a_minute(opened, http, rest_peer):
    async with opened(outbound__max_per_minute=2) as server:
        line = Line(server, http, rest_peer)
        codes = [(await line.place())[0] for _ in range(3)]
        assert codes == [201, 201, 429]
        assert len(rest_peer.made) == 2


@pytest.mark.parametrize("answer", [400, 500, "drop", "junk", "hang"])
async def test_a_carrier_that_does_not_take_it_is_asked_once(line, monkeypatch, answer):
    monkeypatch.setattr(twilio_rest, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(dialling, "WITHIN_S", 5.0)
    line.rest.then = answer
    status, body, _ = await line.place()
    assert (status, body["error"]["code"]) == (502, "dial_failed")
    assert line.call().id in body["error"]["message"]
    assert line.server.log.reasons() == ["dial_failed"]
    assert line.call().termination.result is Result.UNANSWERED
    assert len(line.rest.made) == 1  # nobody is rung up twice
    assert line.server.admission.live == {}


async def test_what_was_certainly_not_done_is_asked_again(line):
    line.rest.answers = [429]
    status, _, _ = await line.place()
    assert status == 201


async def test_the_same_idempotency_key_dials_once(line):
    first, *others = await asyncio.gather(*(line.place("order-7") for _ in range(4)))
    assert first[0] == 201
    assert all(other[:2] == first[:2] for other in others)
    assert (await line.place("order-7"))[2]["Idempotent-Replayed"] == "true"
    status, body, _ = await line.place("order-7", agent="echo")
    assert (status, body["error"]["code"]) == (422, "idempotency_key_reused")
    assert len(line.rest.made) == 1
    await line.place("order-8")
    assert len(line.rest.made) == 2
    assert (await line.place("x" * 256))[0] == 400


async def test_a_failure_is_answered_again_and_a_refusal_is_tried_again(line):
    line.rest.answers = [400]
    assert [(await line.place("a"))[0] for _ in range(2)] == [502, 502]
    assert len(line.rest.made) == 1
    assert (await line.place("b", to="+19005550100"))[0] == 403
    line.server.admission.draining = True
    assert (await line.place("c"))[0] == 503
    line.server.admission.draining = False
    assert (await line.place("c"))[0] == 201


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 400), (b'"a"', 400), (b"x" * 70_000, 413)],
)
async def test_bodies_that_are_none(line, body, status):
    url = f"{line.server.url}/v1/calls"
    async with line.http.post(url, data=body, headers=KEY) as response:
        assert response.status == status


async def test_a_call_of_ours_is_answered_under_its_own_name_alone(line):
    await line.place()
    [made] = line.rest.made
    forged = made.fields["Url"].replace("call=", "call=0")
    reply = await line.webhook(forged, made.webhook("in-progress"))
    assert reply.verbs == ["Say", "Hangup"]
    assert line.server.admission.unanswered() == [line.call()]
