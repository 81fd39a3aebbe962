"""Digest credentials that we show, by the published examples."""

import pytest

from telebot.sip.proof import is_stale, proof
from telebot.sip.security import parameters
from telebot.sip.trunks import Account

pytestmark = pytest.mark.unit

# RFC 7616 section 3.9.1
MUFASA = Account("Mufasa", "Circle of Life")
ASKED = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    asked = ASKED.format(algorithm=algorithm)
    value = proof([asked], MUFASA, "GET", "/dir/index.html", cnonce=CNONCE)
    given = parameters(value or "")
    assert given["response"] == response
    assert given["opaque"] == "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
    assert (given["qop"], given["nc"], given["algorithm"]) == ("auth", "00000001", algorithm)


def test_the_example_of_rfc_2069_without_qop() -> None:
    # RFC 2069 section 2.4 with its erratum 749
    asked = (
        'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    account = Account("Mufasa", "CircleOfLife")
    given = parameters(proof([asked], account, "GET", "/dir/index.html") or "")
    assert given["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert "qop" not in given
    assert "cnonce" not in given


def test_the_first_challenge_that_can_be_answered() -> None:
    challenges = [
        'Digest realm="a", nonce="1", algorithm=SHA-512-256, qop="auth"',
        'Bearer realm="a"',
        'Digest realm="a", algorithm=MD5',
        'Digest realm="a", nonce="2", qop="auth-conf"',
        'Digest realm="a", nonce="3", algorithm=SHA-256, qop="auth"',
        'Digest realm="a", nonce="4", algorithm=MD5, qop="auth"',
    ]
    given = parameters(proof(challenges, MUFASA, "INVITE", "sip:a@b") or "")
    assert given["nonce"] == "3"
    assert proof(challenges[:4], MUFASA, "INVITE", "sip:a@b") is None


def test_a_body_and_a_session_are_counted_in() -> None:
    asked = 'Digest realm="a", nonce="1", algorithm=MD5-sess, qop="auth-int"'

    def response(body: bytes, cnonce: str) -> str:
        value = proof([asked], MUFASA, "INVITE", "sip:a@b", body=body, cnonce=cnonce)
        return parameters(value or "")["response"]

    assert len({response(b"one", "x"), response(b"two", "x"), response(b"one", "y")}) == 3


def test_quotes_in_names_are_written_as_such() -> None:
    asked = r'Digest realm="a \"b\" \\", nonce="1", qop="auth"'
    value = proof([asked], Account('al"ice', "x"), "INVITE", "sip:a@b") or ""
    given = parameters(value)
    assert (given["realm"], given["username"]) == ('a "b" \\', 'al"ice')


def test_a_password_is_not_shown() -> None:
    assert "Circle" not in repr(MUFASA)


def test_stale() -> None:
    assert is_stale(['Digest realm="a", nonce="1", stale=TRUE'])
    assert not is_stale(['Digest realm="a", nonce="1", stale=false', "junk"])
