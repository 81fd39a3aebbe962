"""Tokens of an issuer on loopback: what opens, what does not, and what its failing does to us."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from edge_server import OneKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from issuer_peer import IssuerPeer, issuer, private_key, public_jwk

from telebot import doctor
from telebot.auth_settings import AuthSettings
from telebot.call.errors import ApiError
from telebot.records.keys import ApiKey, NoKey, Scope, Tier, WrongScope
from telebot.settings import load
from telebot.web import issuers
from telebot.web.bearers import GOOD_S, Askers, Bearers, owner_id

pytestmark = pytest.mark.peers

MAPPED = {"telebot-viewer": "viewer", "telebot-operator": "operator", "telebot-admin": "admin"}


class OneApiKey(OneKey):
    async def by_id(self, key_id: str) -> ApiKey | None:
        return None


@dataclass
class Door:
    """Who may come in, on clocks that are turned by hand."""

    peer: IssuerPeer
    bearers: Bearers
    askers: Askers
    clock: list[float]

    async def opens(self, token: str) -> ApiKey:
        return await self.askers.check(token, Scope.VIEWER)

    async def shut(self, token: str) -> str:
        with pytest.raises(NoKey) as raised:
            await self.opens(token)
        return str(raised.value)


@asynccontextmanager
async def door(**rows: Any) -> AsyncIterator[Door]:
    async with issuer() as peer:
        settled = {"issuer": peer.url, "audience": "telebot", "scopes": MAPPED, **rows}
        auth = AuthSettings.model_validate({"oidc": {"id": settled}})
        clock, began = [0.0], datetime.now(UTC).timestamp()
        bearers = Bearers(
            auth, lambda: datetime.fromtimestamp(began + clock[0], UTC), lambda: clock[0]
        )
        askers = Askers(OneApiKey("tb_secret"), bearers)
        try:
            yield Door(peer, bearers, askers, clock)
        finally:
            await askers.close()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_good_token_is_a_key_like_any_other(algorithm):
    async with door(requests_per_minute=7, monthly_budget=3, models=["local"], tier="high") as it:
        it.peer.keys = [public_jwk(algorithm, "first")]
        key = await it.opens(it.peer.token(algorithm))
        assert (key.scope, key.source, key.name) == (Scope.OPERATOR, "oidc", "id:anna")
        assert (key.requests_per_minute, key.monthly_budget) == (7, 3)
        assert (key.models, key.tier) == (("local",), Tier.HIGH)
        assert key.id == owner_id(it.peer.url, "", "anna")
        again = await it.opens(it.peer.token(algorithm, jti="another"))
        assert again.id == key.id
        assert (await it.opens(it.peer.token(algorithm, sub="bob"))).id != key.id
        assert await it.askers.by_id(key.id) == again
        assert it.peer.asked == 1
        assert (await it.opens("tb_secret")).id == "id"  # API keys stay what they are


async def test_a_token_is_checked_anew_now_and_then():
    async with door() as it:
        token = it.peer.token()
        assert await it.opens(token)
        it.bearers._keys.clear()
        it.peer.status = 500
        assert await it.opens(token)
        assert it.peer.asked == 1
        it.clock[0] = GOOD_S
        with pytest.raises(ApiError):
            await it.opens(token)


async def test_the_scope_is_what_the_claim_says():
    async with door(scope_claim="realm_access.roles") as it:
        for roles, scope in (
            (["telebot-viewer"], Scope.VIEWER),
            (["x", "telebot-admin", "telebot-viewer"], Scope.ADMIN),
        ):
            token = it.peer.token(realm_access={"roles": roles})
            assert (await it.opens(token)).scope is scope
        for realm in ({}, {"roles": ["root"]}, {"roles": [1, None]}, "telebot-admin", None):
            with pytest.raises(WrongScope):
                await it.opens(it.peer.token(realm_access=realm))
    async with door(scope_claim="https://example.com/role", default_scope="viewer") as it:
        token = it.peer.token(**{"https://example.com/role": "telebot-admin"})
        assert (await it.opens(token)).scope is Scope.ADMIN
        viewer = await it.opens(it.peer.token())
        with pytest.raises(WrongScope):
            viewer.require(Scope.OPERATOR)


async def test_a_tenant_tells_owners_apart():
    async with door(tenant_claim="org", tenants=["a", "b"]) as it:
        one, other = [await it.opens(it.peer.token(org=org)) for org in "ab"]
        assert one.id != other.id
        for org in ("c", None, "", ["a"], {"a": 1}):
            await it.shut(it.peer.token(org=org))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 300},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": 1},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": True},
        {"exp": 10**30},
        {"nbf": 2**40},
        {"nbf": "now"},
        {"iat": 2**40},
        {"cnf": {"jkt": "a"}},
    ],
)
async def test_claims_that_do_not_count_open_nothing(claims):
    async with door() as it:
        await it.shut(it.peer.token(**claims))
        assert await it.opens(it.peer.token(aud=["x", "telebot"]))


async def test_times_are_taken_with_the_skew_of_clocks_and_no_more():
    async with door() as it:
        token = it.peer.token()
        it.clock[0] = 355.0
        assert await it.opens(token)
        it.clock[0] = 365.0
        assert "expired" in await it.shut(token)
        early = it.peer.token(nbf=it.peer.claims()["iat"] + 500, exp=it.peer.claims()["iat"] + 900)
        it.clock[0] = 430.0
        await it.shut(early)
        it.clock[0] = 445.0
        assert await it.opens(early)


def forged(header: dict[str, Any], claims: dict[str, Any], secret: bytes = b"") -> str:
    """Signed by HMAC, or not at all."""
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in (header, claims)]
    signing = b".".join(part.rstrip(b"=") for part in parts)
    signature = hmac.digest(secret, signing, "sha256") if secret else b""
    return (signing + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


async def test_the_algorithm_is_ours_to_choose():
    """RFC 8725 sections 2.1 and 3.1: no signature, and the public key as a shared secret."""
    async with door() as it:
        claims = it.peer.claims(scope="telebot-admin")
        for name in ("none", "None", "nOnE", "", None, ["RS256"]):
            await it.shut(forged({"alg": name, "typ": "JWT", "kid": "first"}, claims))
        public = private_key("RS256").public_key()
        for encoding in (Encoding.PEM, Encoding.DER):
            secret = public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
            await it.shut(forged({"alg": "HS256", "kid": "first"}, claims, secret))
        it.peer.keys = [{"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}]
        it.clock[0] = issuers.FRESH_S + 1
        await it.shut(forged({"alg": "HS256", "kid": "shared"}, claims, b"secret"))
        await it.shut(it.peer.token("ES384", kid="first"))  # not in the list
    async with door(algorithms=["PS256"]) as it:
        await it.shut(it.peer.token("RS256"))
        assert await it.opens(it.peer.token("PS256"))


@pytest.mark.parametrize(
    "more",
    [{"use": "enc"}, {"alg": "RS512"}, {"key_ops": ["encrypt"]}, {"kty": "EC"}, {"n": "AQAB"}],
)
async def test_keys_that_are_for_something_else_are_not_used(more):
    async with door() as it:
        it.peer.keys = [public_jwk("RS256", "first", **more)]
        assert "unknown key" in await it.shut(it.peer.token())


async def test_short_keys_and_two_of_one_name_are_not_used():
    async with door() as it:
        weak = jwt.algorithms.RSAAlgorithm.to_jwk(private_key("RS256", 9, 1024).public_key())
        it.peer.keys = [{**json.loads(weak), "kid": "weak"}, *2 * [public_jwk("RS256", "twice")]]
        signed = jwt.encode(
            it.peer.claims(), private_key("RS256", 0), "RS256", headers={"kid": "twice"}
        )
        await it.shut(signed)
        await it.shut(it.peer.token(kid="weak"))


async def test_without_a_name_the_only_key_that_fits_counts():
    async with door() as it:
        it.peer.keys = [public_jwk("RS256", None), public_jwk("ES256", None)]
        for algorithm in ("RS256", "ES256"):
            assert await it.opens(it.peer.token(algorithm, kid=None))
        it.peer.keys.append(public_jwk("RS256", None, 1))
        it.clock[0] = issuers.FRESH_S - 1
        assert await it.opens(it.peer.token(kid=None, exp=2**33))


@pytest.mark.parametrize(
    "headers",
    [{"crit": ["x"]}, {"typ": "logout+jwt"}, {"typ": "dpop+jwt"}, {"kid": 7}, {"b64": False}],
)
async def test_odd_heads_open_nothing(headers):
    async with door() as it:
        claims = it.peer.claims()
        head = {"alg": "RS256", "kid": "first", **headers}
        parts = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in (head, claims)]
        signing = b".".join(part.rstrip(b"=") for part in parts)
        rs256 = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
        signature = base64.urlsafe_b64encode(rs256.sign(signing, private_key("RS256")))
        await it.shut((signing + b"." + signature.rstrip(b"=")).decode())


async def test_new_keys_are_looked_for_now_and_then_and_old_ones_end():
    async with door() as it:
        old = it.peer.token(exp=2**33)
        assert await it.opens(old)
        it.peer.rotate()
        new = it.peer.token(kid="new", number=1, exp=2**33)
        for _ in range(20):
            await it.shut(it.peer.token(kid="made up"))
        assert it.peer.asked == 1  # guessers cannot make us ask
        it.clock[0] = issuers.AGAIN_S
        assert await it.opens(new)
        assert it.peer.asked == 2
        await it.shut(old)
        for number in range(20):
            await it.shut(it.peer.token(kid=f"made up {number}"))
        assert it.peer.asked == 2


async def test_known_keys_count_while_the_issuer_is_away():
    async with door() as it:
        token = it.peer.token(exp=2**33)
        assert await it.opens(token)
        it.peer.status = 503
        it.clock[0] = issuers.FRESH_S + 1
        assert await it.opens(token)  # the fetch goes on beside it
        await it.bearers.keys_of(next(iter(it.bearers._settings.oidc.values())))._fetch()
        assert it.peer.asked == 2
        it.clock[0] = issuers.STALE_S - 1
        assert await it.opens(token)
        it.clock[0] = issuers.STALE_S + issuers.AGAIN_S
        with pytest.raises(ApiError) as raised:
            await it.opens(token)
        assert (raised.value.status, raised.value.code) == (503, "issuer_away")
        it.peer.status = 200
        it.clock[0] += issuers.AGAIN_S
        assert await it.opens(token)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"status": 500}, "answers 500"),
        ({"status": 302}, "answers 302"),
        ({"body": b"{"}, "no JSON"),
        ({"body": b"[]"}, "no JSON"),
        ({"body": b'{"keys": 1}'}, "no key set"),
        ({"body": b" " * (issuers.MOST_BYTES + 1)}, "more than"),
        ({"slow": True}, "no answer within"),
        ({"says_it_is": "https://elsewhere.example"}, "it is 'https://elsewhere"),
    ],
)
async def test_an_issuer_that_fails_is_told_and_not_asked_again_at_once(broken, why, monkeypatch):
    if "slow" in broken:
        monkeypatch.setattr(issuers, "WITHIN_S", 0.3)
    async with door() as it:
        for name, value in broken.items():
            setattr(it.peer, name, value)
        for _ in range(3):
            with pytest.raises(ApiError, match=why) as raised:
                await it.opens(it.peer.token())
            assert raised.value.retry_after_s
        assert it.peer.asked <= 1


async def test_an_issuer_that_nobody_listens_for(tmp_path):
    async with door(jwks_url="http://127.0.0.1:1/jwks") as it:
        with pytest.raises(ApiError, match="cannot be asked"):
            await it.opens(it.peer.token())
        assert await it.opens("tb_secret")


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(max_size=40), min_size=3, max_size=3), st.binary(max_size=60))
def test_texts_that_are_no_tokens(parts, payload):
    auth = {"issuer": "https://id.example", "audience": "a", "default_scope": "viewer"}
    bearers = Bearers(
        AuthSettings.model_validate({"oidc": {"id": auth}}), lambda: datetime.now(UTC), lambda: 0.0
    )
    assert not bearers.issued(".".join(parts))
    body = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    assert not bearers.issued(f"{body}.{body}.{body}")


async def test_the_doctor_asks_the_issuer(tmp_path):
    async with issuer() as peer:
        row = {"issuer": peer.url, "audience": "telebot", "default_scope": "viewer"}
        file = tmp_path / "telebot.yaml"

        async def found() -> list[doctor.Finding]:
            file.write_text(json.dumps({"auth": {"oidc": {"id": row}}}))
            settled = load(file, {}, {"server.data": str(tmp_path)})
            return await asyncio.to_thread(lambda: list(doctor._issuers(settled)))

        assert await found() == [("ok", "issuer id", "1 keys")]
        peer.keys = [public_jwk("ES384", "first")]
        [(level, _, why)] = await found()
        assert (level, "none of its keys is for RS256" in why) == ("fault", True)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"issuer": "http://id.example"}, "write https"),
        ({"issuer": "ftp://id.example"}, "write https"),
        ({"issuer": "https://u:p@id.example"}, "write https"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"audience": []}, "audience"),
        ({"scopes": {}}, "write scopes"),
        ({"scopes": {"a": "root"}}, "scopes"),
        ({"tenants": ["a"]}, "tenant_claim"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(row, why):
    usual = {"issuer": "https://id.example", "audience": "a", "scopes": MAPPED}
    with pytest.raises(ValueError, match=why):
        AuthSettings.model_validate({"oidc": {"id": usual | row}})
