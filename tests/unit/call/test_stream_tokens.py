"""Stream tokens: what is forged, foreign, stale or nonsense is a `BadToken` and nothing else."""

from __future__ import annotations

import jwt
import pytest
from call_scene import KEY, LIFE_S, Scene
from hypothesis import given
from hypothesis import strategies as st

from telebot.call.errors import BadToken
from telebot.call.tokens import StreamTokens

pytestmark = pytest.mark.unit


@given(call=st.text(min_size=1, max_size=60), nonce=st.text(min_size=1, max_size=60))
def test_what_was_issued_is_read(call, nonce):
    tokens = Scene().tokens
    assert tokens.read(tokens.issue(call, "twilio", nonce), "twilio") == (call, nonce)


def test_it_dies_on_time(scene):
    token = scene.tokens.issue("call", "twilio", "nonce")
    scene.time_s = LIFE_S - 1
    scene.tokens.read(token, "twilio")
    scene.time_s = LIFE_S
    with pytest.raises(BadToken, match="expired"):
        scene.tokens.read(token, "twilio")


def _claims(**changes):
    claims = {"sub": "call", "aud": "twilio", "jti": "nonce", "exp": 2_000_000_000, **changes}
    return {name: value for name, value in claims.items() if value is not None}


@pytest.mark.parametrize(
    ("claims", "key", "algorithm"),
    [
        (_claims(), "x" * 32, "HS256"),
        (_claims(), None, "none"),
        (_claims(), KEY * 2, "HS512"),
        (_claims(aud="telnyx"), KEY, "HS256"),
        (_claims(aud=None), KEY, "HS256"),
        (_claims(aud=["telnyx"]), KEY, "HS256"),
        (_claims(sub=None), KEY, "HS256"),
        (_claims(jti=None), KEY, "HS256"),
        (_claims(exp=None), KEY, "HS256"),
        (_claims(exp=1), KEY, "HS256"),
        (_claims(exp="soon"), KEY, "HS256"),
        (_claims(exp=[1]), KEY, "HS256"),
        (_claims(nbf=2_000_000_000), KEY, "HS256"),
    ],
)
def test_forged_foreign_or_incomplete(scene, claims, key, algorithm):
    with pytest.raises(BadToken):
        scene.tokens.read(jwt.encode(claims, key, algorithm=algorithm), "twilio")


@given(st.text() | st.binary(max_size=100).map(lambda data: data.decode("latin-1")))
def test_nonsense(text):
    with pytest.raises(BadToken):
        Scene().tokens.read(text, "twilio")


@given(at=st.integers(0, 400), flip=st.characters(codec="ascii"))
def test_no_character_can_be_changed(at, flip):
    tokens = Scene().tokens
    token = tokens.issue("call", "twilio", "nonce")
    at %= len(token)
    changed = token[:at] + flip + token[at + 1 :]
    try:
        read = tokens.read(changed, "twilio")
    except BadToken:
        return
    # base64 has spare bits in its last character; nothing else may differ
    assert read == ("call", "nonce")
    assert changed[:-1] == token[:-1]


def test_a_token_too_long_is_not_even_read(scene):
    with pytest.raises(BadToken, match="too long"):
        scene.tokens.read("a" * 3000, "twilio")


def test_another_key_reads_nothing(scene):
    other = StreamTokens("y" * 32, LIFE_S, scene.now)
    with pytest.raises(BadToken):
        other.read(scene.tokens.issue("call", "twilio", "nonce"), "twilio")
