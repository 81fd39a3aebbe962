"""Who called by which URL: only configured proxies are believed."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from telebot.web.public_url import PublicUrl

pytestmark = pytest.mark.unit


class _Transport:
    def __init__(self, peer: str) -> None:
        self.peer = peer

    def get_extra_info(self, name: str, default: object = None) -> object:
        return (self.peer, 4711) if name == "peername" else default


def _request(peer="198.51.100.7", target="/twilio/voice?a=%20b", **headers):
    named = {"Host": "a.example:8080", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return make_mocked_request("POST", target, named, transport=_Transport(peer))


def _seen(peer, trusted, public="", **headers):
    return PublicUrl(public, trusted).seen(_request(peer, **headers))


@pytest.mark.parametrize(
    ("peer", "headers", "base", "caller"),
    [
        ("10.0.0.1", {}, "http://a.example:8080", "10.0.0.1"),
        ("10.0.0.1", {"X_Forwarded_For": "203.0.113.9"}, "http://a.example:8080", "203.0.113.9"),
        (
            "10.0.0.1",
            {"X_Forwarded_For": "1.2.3.4, 203.0.113.9, 10.0.0.2", "X_Forwarded_Proto": "https"},
            "https://a.example:8080",
            "203.0.113.9",
        ),
        ("10.0.0.1", {"X_Forwarded_For": "10.0.0.3, 10.0.0.2"}, "http://a.example:8080",
         "10.0.0.3"),
        ("::ffff:10.0.0.1", {"X_Forwarded_Host": "b.example"}, "http://b.example", "10.0.0.1"),
        ("10.0.0.1", {"Forwarded": 'for="[2001:db8::5]:1";proto=wss'}, "https://a.example:8080",
         "2001:db8::5"),
        ("10.0.0.1", {"X_Forwarded_For": "203.0.113.9:5555"}, "http://a.example:8080",
         "203.0.113.9"),
        ("10.0.0.1", {"X_Forwarded_For": "not an address"}, "http://a.example:8080",
         "not an address"),
        ("10.0.0.1", {"X_Forwarded_Proto": "gopher"}, "http://a.example:8080", "10.0.0.1"),
        ("10.0.0.1", {"X_Forwarded_Host": "b.example/evil?"}, "http://a.example:8080", "10.0.0.1"),
        ("198.51.100.7", {"X_Forwarded_Host": "b.example", "X_Forwarded_For": "127.0.0.1",
         "X_Forwarded_Proto": "https"}, "http://a.example:8080", "198.51.100.7"),
        ("198.51.100.7", {"Forwarded": "host=b.example;for=127.0.0.1"}, "http://a.example:8080",
         "198.51.100.7"),
    ],
)  # fmt: skip
def test_seen(peer, headers, base, caller):
    seen = _seen(peer, ["10.0.0.0/8"], **headers)
    assert (seen.base, seen.peer, seen.forwarded) == (base, caller, bool(headers))


def test_the_configured_url_stands_whatever_headers_say():
    seen = _seen("10.0.0.1", ["10.0.0.0/8"], "https://v.example/base/", X_Forwarded_Host="evil")
    assert seen.base == "https://v.example/base"


def test_by_host_listens_to_no_proxy():
    urls = PublicUrl("https://v.example", ["10.0.0.0/8"])
    request = _request("10.0.0.1", X_Forwarded_For="127.0.0.1", X_Forwarded_Host="localhost")
    seen = urls.seen(request, by_host=True)
    assert (seen.base, seen.peer, seen.forwarded) == ("http://a.example:8080", "10.0.0.1", True)


def test_a_webhook_as_it_was_made():
    webhook = PublicUrl("https://v.example", []).webhook(_request(X_A="1"), b"body")
    assert webhook.url == "https://v.example/twilio/voice?a=%20b"
    assert (webhook.method, webhook.body, webhook.headers["x-a"]) == ("POST", b"body", "1")
    absolute = _request(target="http://other.example/twilio/voice?x=%2F")
    assert PublicUrl("https://v.example", []).webhook(absolute, b"").url == (
        "https://v.example/twilio/voice?x=%2F"
    )


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60))
def test_no_forwarded_header_raises(text):
    headers = {"X_Forwarded_For": text, "X_Forwarded_Host": text, "X_Forwarded_Proto": text}
    for given_headers in (headers, {"Forwarded": text}):
        seen = _seen("10.0.0.1", ["10.0.0.0/8"], **given_headers)
        assert seen.base.startswith(("http://", "https://"))
        assert not any(c in seen.base.partition("://")[2] for c in "/?#@ ")
