"""jambonz's webhooks: signed, in time, once; what they say of a call."""

from __future__ import annotations

import json

import pytest

from telebot.call.errors import BadRequest, NotAuthentic
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Dials, HangsUp, SendsDigits, Transfers, TransfersWarm
from telebot.carriers.jambonz import JambonzCarrier, JambonzSettings
from telebot.carriers.port import Webhook
from telebot.phone.jambonz_exchange import signed
from telebot.settings import load

pytestmark = pytest.mark.unit

SECRET = "wh_secret_8kA4n1TbDXgDcSzTrMWsHw"
NOW = 1_700_000_000
CALL = {
    "call_sid": "ba01d74c-397e-4c80-9c8f-d57515ca8e86",
    "direction": "inbound",
    "from": "+15083084809",
    "to": "+15083728299",
    "call_status": "trying",
}
URL = "https://bot.example/jambonz/voice"


@pytest.fixture
def carrier():
    return JambonzCarrier(JambonzSettings(webhook_secret=SECRET), clock=lambda: NOW)


def webhook(body: object = CALL, *, at: int = NOW, secret: str = SECRET, url: str = URL, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    header = signed(secret, data, at)["Jambonz-Signature"]
    return Webhook("POST", url, {"jambonz-signature": header, **headers}, data, "192.0.2.1")


def test_the_signature_is_the_one_that_the_feature_server_makes():
    """By node's `createHmac` as in its `lib/utils/base-requestor.js`, of ``{a: 1}``."""
    digest = "49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
    made = signed("secret", b'{"a":1}', 1_700_000_000)
    assert made == {"Jambonz-Signature": f"t=1700000000,v1={digest}"}


def test_an_offer(carrier):
    offer = carrier.parse_offer(webhook(url=URL + "?agent=echo"))
    assert offer == CallOffer(
        "jambonz", CALL["call_sid"], "+15083084809", "+15083728299", "echo", "inbound"
    )
    out = carrier.parse_offer(webhook(CALL | {"direction": "outbound"}))
    assert out.direction == "outbound"


def test_one_of_several_signatures_is_enough(carrier):
    good = webhook().headers["jambonz-signature"]
    two = good.replace(",v1=", f",v1={'0' * 64},v1=")
    carrier.parse_offer(webhook(**{"jambonz-signature": two}))


@pytest.mark.parametrize(
    "bad",
    [
        webhook(secret="another"),
        webhook(at=NOW - 301),
        webhook(at=NOW + 301),
        webhook(**{"jambonz-signature": ""}),
        webhook(**{"jambonz-signature": "t=1,v1=zz"}),
        webhook(**{"jambonz-signature": f"t={NOW},v0={'0' * 64}"}),
        Webhook("POST", URL, webhook().headers, b"{}", "192.0.2.1"),
    ],
    ids=["secret", "stale", "early", "none", "malformed", "scheme", "body"],
)
def test_what_is_not_signed_right_is_refused(carrier, bad):
    with pytest.raises(NotAuthentic):
        carrier.parse_offer(bad)


def test_a_request_is_believed_once(carrier):
    carrier.parse_offer(webhook())
    with pytest.raises(NotAuthentic, match="before"):
        carrier.parse_offer(webhook())


@pytest.mark.parametrize(
    "body", [b"{", b"[]", {}, CALL | {"call_sid": "a/b"}, CALL | {"from": 7}], ids=str
)
def test_what_is_signed_and_cannot_be_read(carrier, body):
    with pytest.raises(BadRequest):
        carrier.parse_offer(webhook(body))


@pytest.mark.parametrize(
    ("status", "sip_status", "ended", "reason"),
    [
        ("ringing", 180, False, ""),
        ("completed", 200, True, ""),
        ("busy", 486, True, "busy"),
        ("no-answer", 480, True, "no_answer"),
        ("failed", 603, True, "declined"),
        ("failed", 503, True, "unreachable"),
        ("failed", None, True, "unreachable"),
    ],
)
def test_what_became_of_a_call(carrier, status, sip_status, ended, reason):
    told = carrier.parse_status(webhook(CALL | {"call_status": status, "sip_status": sip_status}))
    assert (told.status, told.ended, told.reason, told.answer) == (status, ended, reason, None)


async def test_a_caller_is_put_through_when_the_stream_is_over(carrier):
    call = Call("id1", CallOffer("jambonz", CALL["call_sid"], "", ""), "echo", None)
    await carrier.transfer(call, "+441632960003")
    after = URL.replace("voice", "fallback?after=stream")
    told = carrier.parse_status(webhook(CALL | {"call_status": "in-progress"}, url=after))
    assert json.loads(told.answer.body) == [
        {"verb": "dial", "target": [{"type": "phone", "number": "+441632960003"}]},
        {"verb": "hangup"},
    ]
    again = webhook(CALL | {"call_status": "in-progress"}, url=after, at=NOW + 1)
    assert carrier.parse_status(again).answer is None


def test_what_it_can_do_depends_on_the_rest():
    keys = {"JAMBONZ_ACCOUNT_SID": "a", "JAMBONZ_API_KEY": "k"}
    for environ, able in (({}, False), (keys, True)):
        carrier = JambonzCarrier.from_settings(load(environ=environ))
        assert carrier.off() == "JAMBONZ_WEBHOOK_SECRET is not set"
        assert isinstance(carrier, Transfers)
        for ability in (HangsUp, TransfersWarm, Dials, SendsDigits):
            assert isinstance(carrier, ability) is able
