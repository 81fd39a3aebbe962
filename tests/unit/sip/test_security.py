"""Digest, lock-out and the rate of INVITEs, on a clock that tests turn."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.sip.security import (
    ATTEMPTS,
    LOCKED_S,
    MOST_ADDRESSES,
    NONCE_LIFE_S,
    Guard,
    InviteRate,
    Verdict,
    parameters,
    response,
)
from telebot.sip.trunks import Credentials

pytestmark = pytest.mark.unit

WHO = Credentials("alice", "secret", "telebot")
THERE = "192.0.2.1"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock) -> Guard:
    return Guard(clock)


def answer(
    guard: Guard,
    algorithm: str = "SHA-256",
    password: str = "secret",
    address: str = THERE,
    challenge: str = "",
    **other: str,
) -> str:
    """An Authorization header to a challenge."""
    challenges = [challenge] if challenge else guard.challenges(address, WHO)
    asked = next(p for p in map(parameters, challenges) if p["algorithm"] == algorithm)
    given = {
        "username": "alice",
        "realm": "telebot",
        "nonce": asked["nonce"],
        "uri": "sip:100@bot",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": "0a4f113b",
        "algorithm": algorithm,
    } | other
    given["response"] = response(given, Credentials("alice", password, "telebot"), "INVITE")
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in given.items())


def judge(guard: Guard, header: str | None, address: str = THERE) -> Verdict:
    return guard.judge(header, WHO, "INVITE", address)


def test_the_example_of_rfc_7616() -> None:
    given = {
        "uri": "/dir/index.html",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
    }
    who = Credentials("Mufasa", "Circle of Life", "http-auth@example.org")
    assert response({**given, "algorithm": "MD5"}, who, "GET") == "8ca523f5e9506fed4657c9700eebdbec"
    assert response({**given, "algorithm": "SHA-256"}, who, "GET") == (
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    )


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_a_right_answer_is_good_once(guard: Guard, algorithm: str) -> None:
    header = answer(guard, algorithm)
    assert judge(guard, header) is Verdict.GOOD
    assert judge(guard, header) is Verdict.STALE, "the nonce is spent"
    assert guard.failed == 0


def test_md5_is_offered_first_for_phones_that_look_no_further(guard: Guard) -> None:
    first, second = guard.challenges(THERE, WHO)
    assert (parameters(first)["algorithm"], parameters(second)["algorithm"]) == ("MD5", "SHA-256")
    assert parameters(first)["nonce"] == parameters(second)["nonce"]
    assert "stale" not in parameters(first)
    assert parameters(guard.challenges(THERE, WHO, stale=True)[0])["stale"] == "true"


def test_who_gives_up_at_the_sight_of_sha_256_does_not_see_it(guard: Guard) -> None:
    [only] = guard.challenges(THERE, WHO, "baresip v1.0.0 (x86_64/linux)")
    assert parameters(only)["algorithm"] == "MD5"
    strict = Credentials("alice", "secret", "telebot", ("SHA-256",))
    [only] = guard.challenges(THERE, strict, "baresip v1.0.0")
    assert parameters(only)["algorithm"] == "SHA-256"
    assert len(guard.challenges(THERE, WHO, "baresip v3.1.0")) == 2


def test_an_algorithm_that_is_not_offered_is_not_taken() -> None:
    guard = Guard(lambda: 0.0)
    old = Credentials("alice", "secret", "telebot", ("MD5",))
    (only,) = guard.challenges(THERE, old)
    assert parameters(only)["algorithm"] == "MD5"
    strict = Credentials("alice", "secret", "telebot", ("SHA-256",))
    given = {
        **parameters(only), "username": "alice", "uri": "sip:100@h", "nc": "00000001",
        "cnonce": "c", "qop": "auth",
    }  # fmt: skip
    given["response"] = response(given, old, "INVITE")
    header = "Digest " + ", ".join(f'{name}="{value}"' for name, value in given.items())
    assert guard.judge(header, strict, "INVITE", THERE) is Verdict.MISSING
    assert guard.judge(header, old, "INVITE", THERE) is Verdict.GOOD


def test_no_answer_is_asked_for_one(guard: Guard) -> None:
    for header in (None, "", "Basic YTpi", "Digest", 'Digest username="alice"', "Digest ,,,"):
        assert judge(guard, header) is Verdict.MISSING


@pytest.mark.parametrize(
    "other",
    [{"realm": "elsewhere"}, {"qop": "auth-int"}, {"nonce": "0" * 60}, {"nonce": ""}],
)
def test_what_is_not_for_us_is_asked_again_and_no_failure(guard: Guard, other: dict) -> None:
    assert judge(guard, answer(guard, **other)) is Verdict.MISSING
    assert guard.failed == 0


def test_an_old_nonce_is_stale(guard: Guard, clock: Clock) -> None:
    header = answer(guard)
    clock.now += NONCE_LIFE_S
    assert judge(guard, header) is Verdict.STALE


def test_a_nonce_is_good_for_its_address_alone(guard: Guard) -> None:
    assert judge(guard, answer(guard), "203.0.113.9") is Verdict.MISSING


def test_a_count_beyond_one_is_stale(guard: Guard) -> None:
    assert judge(guard, answer(guard, nc="00000002")) is Verdict.STALE


def test_wrong_passwords_lock_the_address_out_for_longer_and_longer(
    guard: Guard, clock: Clock
) -> None:
    for locked_s in (LOCKED_S, 2 * LOCKED_S):
        for _ in range(ATTEMPTS):
            assert judge(guard, answer(guard, password="guess")) is Verdict.WRONG
        assert judge(guard, answer(guard)) is Verdict.LOCKED
        assert judge(guard, answer(guard, address="192.0.2.2"), "192.0.2.2") is Verdict.GOOD
        clock.now += locked_s - 1
        assert guard.locked_out(THERE)
        clock.now += 1
    assert judge(guard, answer(guard)) is Verdict.GOOD
    assert guard.locked == 2


def test_a_right_answer_forgets_the_wrong_ones(guard: Guard) -> None:
    for _ in range(3):
        for _ in range(ATTEMPTS - 1):
            judge(guard, answer(guard, password="guess"))
        assert judge(guard, answer(guard)) is Verdict.GOOD


def test_another_user_is_wrong_whatever_the_digest(guard: Guard) -> None:
    assert judge(guard, answer(guard, username="bob")) is Verdict.WRONG


@given(st.text(max_size=200))
def test_any_header_is_judged(header: str) -> None:
    guard = Guard(Clock())
    assert judge(guard, header) is Verdict.MISSING
    assert judge(guard, "Digest " + header) is Verdict.MISSING
    valid = answer(guard)
    assert judge(guard, valid[:40] + header + valid[40:]) in Verdict


def test_parameters_are_read_as_they_are_written() -> None:
    assert parameters('digest a="x, \\"y\\"" , B = z') == {"a": 'x, "y"', "b": "z"}
    assert parameters('Digest a="1", a="2"') == {}
    assert parameters("Digest " + ",".join(f"a{n}=1" for n in range(100))) != {}


# --- the rate ----------------------------------------------------------------------------------


def test_so_many_at_once_and_so_many_a_second(clock: Clock) -> None:
    rate = InviteRate(clock, lambda _: 5.0)
    assert [rate.allows(THERE, b"%d" % n) for n in range(12)] == [True] * 10 + [False] * 2
    assert rate.allows("192.0.2.2", b"another's"), "each address has its own"
    clock.now += 0.5
    assert [rate.allows(THERE, b"later %d" % n) for n in range(3)] == [True, True, False]
    assert rate.refused == 3


def test_a_retransmission_is_judged_as_the_first(clock: Clock) -> None:
    rate = InviteRate(clock, lambda _: 1.0)
    assert all(rate.allows(THERE, b"one") for _ in range(20))
    assert rate.allows(THERE, b"two")
    assert not any(rate.allows(THERE, b"three") for _ in range(20))
    assert rate.refused == 1


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    rate = InviteRate(clock, lambda _: 1.0)
    for n in range(MOST_ADDRESSES + 50):
        rate.allows(f"192.0.2.{n}", hashlib.md5(b"%d" % n).digest())
    assert len(rate._buckets) == len(rate._seen) == MOST_ADDRESSES
