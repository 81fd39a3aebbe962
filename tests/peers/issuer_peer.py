"""An OpenID Connect issuer on loopback: its discovery, its keys, and tokens signed by them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

SHAPES = {"RS": RSAAlgorithm, "PS": RSAAlgorithm, "ES": ECAlgorithm, "Ed": OKPAlgorithm}


def private_key(algorithm: str, number: int = 0, bits: int = 2048) -> Any:
    """Each made once; `number` tells several of one kind apart."""
    return _made("RS256" if algorithm.startswith("PS") else algorithm, number, bits)


@cache
def _made(algorithm: str, number: int, bits: int) -> Any:
    if algorithm.startswith("RS"):
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"ES256": ec.SECP256R1, "ES384": ec.SECP384R1}[algorithm]())


def public_jwk(algorithm: str, kid: str | None, number: int = 0, **more: Any) -> dict[str, Any]:
    public = private_key(algorithm, number).public_key()
    jwk = json.loads(SHAPES[algorithm[:2]].to_jwk(public))
    return {**jwk, **({} if kid is None else {"kid": kid}), **more}


@dataclass
class IssuerPeer:
    """`keys` is what its key set says; `asked` counts how often it was fetched."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    status: int = 200
    body: bytes | None = None  # instead of the keys
    says_it_is: str = ""  # instead of its URL
    slow: bool = False
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def rotate(self, algorithm: str = "RS256", kid: str = "new", number: int = 1) -> None:
        self.keys = [public_jwk(algorithm, kid, number)]

    def claims(self, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {"iss": self.url, "sub": "anna", "aud": "telebot", "iat": now, "exp": now + 300}
        return {**usual, "scope": "calls:read telebot-operator", **more}

    def token(
        self,
        algorithm: str = "RS256",
        kid: str | None = "first",
        number: int = 0,
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A token; a claim that is None is left out."""
        said = {name: value for name, value in self.claims(**claims).items() if value is not None}
        told = {**({} if kid is None else {"kid": kid}), **(headers or {})}
        return jwt.encode(said, private_key(algorithm, number), algorithm, headers=told)

    async def discovery(self, _: web.Request) -> web.Response:
        told = {"issuer": self.says_it_is or self.url, "jwks_uri": f"{self.url}/jwks"}
        return web.json_response(told)

    async def jwks(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.slow:
            await self.let_go.wait()
        if self.status != 200:
            headers = {"Location": f"{self.url}/jwks"} if self.status == 302 else {}
            return web.Response(status=self.status, headers=headers)
        return web.Response(body=self.body or json.dumps({"keys": self.keys}).encode())


@asynccontextmanager
async def issuer() -> AsyncIterator[IssuerPeer]:
    peer = IssuerPeer(keys=[public_jwk("RS256", "first")])
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", peer.discovery)
    app.router.add_get("/jwks", peer.jwks)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield peer
    finally:
        peer.let_go.set()
        await runner.cleanup()
