"""Genesys's signatures: the published examples, and everything that is not one."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from telebot.call.errors import BadRequest, CarrierError, NotAuthentic
from telebot.call.events import Reply, Started
from telebot.call.model import Call, CallOffer
from telebot.carriers import http_signature
from telebot.carriers.genesys import GenesysCarrier, GenesysSettings
from telebot.carriers.port import Webhook
from telebot.phone.genesys_exchange import signed
from telebot.settings import SettingsError, load

pytestmark = pytest.mark.unit

API_KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
SECRET = "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
SESSION = "e160e428-53e2-487c-977d-96989bf5c99d"
NOW = 1_700_000_000
URL = "https://bot.example/genesys/media?agent=echo"
HEADERS = {
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-session-id": SESSION,
    "audiohook-correlation-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "x-api-key": API_KEY,
}


def test_the_example_of_the_drafts_appendix():
    """https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-message-signatures-11#appendix-B.2.5"""
    key = b64decode(
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    )
    headers = {
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "content-type": "application/json",
        "signature-input": 'sig-b25=("date" "@authority" "content-type")'
        ';created=1618884473;keyid="test-shared-secret"',
        "signature": "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
    }
    request = Webhook("POST", "https://example.com/foo?param=Value", headers, b"", "")
    read = http_signature.read(request)
    assert read.components == ("date", "@authority", "content-type")
    assert read.parameters == {"created": "1618884473", "keyid": "test-shared-secret"}
    http_signature.check(request, read, key)
    with pytest.raises(NotAuthentic):
        http_signature.check(request, read, key[1:])


def test_the_example_of_genesyss_documentation():
    """https://developer.genesys.cloud/devapps/audiohook/security , also in the tests of
    https://github.com/purecloudlabs/audiohook-reference-implementation ."""
    headers = {
        "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
        "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
        "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
        "x-api-key": API_KEY,
        "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
        "signature-input": 'sig1=("@request-target" "@authority" "audiohook-organization-id" '
        '"audiohook-session-id" "audiohook-correlation-id" "x-api-key");'
        f'keyid="{API_KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";'
        "created=1641013200;expires=3282026430",
    }
    url = "wss://audiohook.example.com/api/v1/voicebiometrics/ws"
    request = Webhook("GET", url, headers, b"", "")
    http_signature.check(request, http_signature.read(request), b64decode(SECRET))
    carrier = GenesysCarrier(
        GenesysSettings(api_key=API_KEY, client_secret=SECRET), clock=lambda: 1641013205
    )
    started = Started(headers["audiohook-session-id"], headers["audiohook-session-id"], {})
    assert carrier.offer(request, started).carrier == "genesys"


@pytest.fixture
def carrier():
    settings = GenesysSettings(api_key=API_KEY, client_secret=SECRET)
    return GenesysCarrier(settings, clock=lambda: NOW)


def upgrade(*, at: int = NOW, secret: str = SECRET, url: str = URL, asked: str = URL, **changed):
    headers = HEADERS | signed(url, HEADERS, secret, at)
    headers = {name.lower(): value for name, value in headers.items()} | changed
    return Webhook("GET", asked, headers, b"", "192.0.2.1")


def started(session: str = SESSION, **told: str) -> Started:
    return Started(session, session, told)


def test_an_offer(carrier):
    told = {"from": "+15551234567", "to": "+18005551234"}
    offer = carrier.offer(upgrade(), started(**told))
    assert offer == CallOffer("genesys", SESSION, "+15551234567", "+18005551234", "echo")
    assert carrier.offer(upgrade(), started(agent="front-desk")).agent == "front-desk"


def test_a_port_that_goes_without_saying(carrier):
    carrier.offer(upgrade(asked=URL.replace("bot.example", "bot.example:443")), started())
    carrier.offer(upgrade(asked=URL.replace("bot.example", "BOT.example")), started())


def _input(old: str, new: str):
    """A request whose signature names something else than it covers."""
    return upgrade(**{"signature-input": upgrade().headers["signature-input"].replace(old, new)})


BAD = {
    "secret": upgrade(secret=b64encode(b"another").decode()),
    "stale": upgrade(at=NOW - 11),
    "early": upgrade(at=NOW + 4),
    "unsigned": Webhook("GET", URL, HEADERS, b"", ""),
    "empty": upgrade(signature=""),
    "malformed": upgrade(signature="sig1=:***:"),
    "two": upgrade(**{"signature-input": "sig1=();a=1, sig2=();a=1"}),
    "label": upgrade(signature=upgrade().headers["signature"].replace("sig1", "sig2")),
    "path": upgrade(asked=URL.replace("genesys", "twilio")),
    "query": upgrade(asked=URL.replace("echo", "front-desk")),
    "host": upgrade(asked=URL.replace("bot.", "evil.")),
    "header": upgrade(**{"audiohook-organization-id": "another"}),
    "key": upgrade(**{"x-api-key": "another"}),
    "too little": _input(' "x-api-key"', ""),
    "twice": _input('"x-api-key"', '"x-api-key" "x-api-key"'),
    "not there": _input('"x-api-key"', '"x-api-key" "x-other"'),
    "derived": _input('"x-api-key"', '"x-api-key" "@query-params"'),
    "algorithm": _input("hmac-sha256", "none"),
    "no time": _input(f";created={NOW}", ""),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_is_not_signed_right_is_refused(carrier, bad):
    with pytest.raises(NotAuthentic):
        carrier.offer(bad, started())


def test_another_session_than_the_signed_one(carrier):
    with pytest.raises(NotAuthentic, match="session"):
        carrier.offer(upgrade(), started("another"))


def test_a_request_is_believed_once(carrier):
    request = upgrade()
    carrier.offer(request, started())
    with pytest.raises(NotAuthentic, match="before"):
        carrier.offer(request, started())


def test_a_name_that_is_too_long(carrier):
    with pytest.raises(BadRequest):
        carrier.offer(upgrade(), started(agent="a" * 257))


def test_what_switches_it_off():
    assert GenesysCarrier(GenesysSettings()).off() == "GENESYS_API_KEY is not set"
    alone = GenesysCarrier(GenesysSettings(api_key="k"))
    assert alone.off() == "GENESYS_CLIENT_SECRET is not set"
    with pytest.raises(NotAuthentic):
        alone.offer(upgrade(), started())
    with pytest.raises(SettingsError, match="base64"):
        load(environ={"GENESYS_CLIENT_SECRET": "no base64!"}).carrier("genesys", GenesysSettings)


async def test_a_transfer_is_told_to_the_flow(carrier):
    call = Call("id1", CallOffer("genesys", SESSION, "", ""), "echo", None)
    with pytest.raises(CarrierError):
        await carrier.transfer(call, "+441632960003")
    codec = carrier.codec(upgrade())
    good = Path(__file__).parents[2] / "wire" / "genesys" / "good"
    assert isinstance(codec.decode((good / "start.json").read_bytes()), Started)
    codec.accepted()
    await carrier.transfer(call, "+441632960003")
    [told] = codec.goodbye("transferred")
    parameters = json.loads(told)["parameters"]
    assert parameters["reason"] == "completed"
    assert parameters["outputVariables"] == {
        "action": "transfer",
        "transfer_to": "+441632960003",
    }


def test_the_try_out_of_a_connection_is_answered_and_is_no_call(carrier):
    good = Path(__file__).parents[2] / "wire" / "genesys" / "good"
    tree = json.loads((good / "start.json").read_text())
    tree["parameters"]["conversationId"] = "00000000-0000-0000-0000-000000000000"
    codec = carrier.codec(upgrade())
    answer = codec.decode(json.dumps(tree).encode())
    assert isinstance(answer, Reply)
    assert json.loads(answer.message)["type"] == "opened"
