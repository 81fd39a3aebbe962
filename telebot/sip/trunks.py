"""Who may call over SIP, and how: `config/trunks.yaml`, typed and checked.

Pure, but for reading the file. `incoming.py` asks which trunk a peer belongs to, `live.py` what its
calls may do. A trunk is known by the addresses of its peers, by digest, or by both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator

from telebot.config_file import ConfigFile, SettingsError, read
from telebot.setting_types import Networks
from telebot.settings import Row, row
from telebot.sip.targets import split as split_host

FILE = "trunks.yaml"
ANY = "*"
USER_ENV, PASSWORD_ENV = "TELEBOT_SIP_USER", "TELEBOT_SIP_PASSWORD"
PATTERN = re.compile(r"[^\s*]*\*?")
STRANGERS_RATE = 5.0  # INVITEs a second of an address that no trunk names
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def _patterns(value: object) -> object:
    if isinstance(value, str | int):
        value = [value]
    if not isinstance(value, list | tuple):
        raise ValueError('write a list, for example ["+441632960*"]')
    for one in value:
        if isinstance(one, int):  # YAML forgets the plus
            raise ValueError(f'put numbers in quotation marks, like "+{one}"')
        if not one or not PATTERN.fullmatch(str(one)):
            raise ValueError(f'write numbers, or their beginning and *, like "+44*" (got {one!r})')
    return tuple(value)


Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]


class TrunkAuth(Row):
    """The digest that a peer has to show (RFC 8760); the password stands in the environment."""

    user: str = row("", f"the user's name; empty: what `{USER_ENV}` holds")
    password_env: str = row(PASSWORD_ENV, "the variable that holds the password")
    realm: str = row("telebot", "what the password is for", pattern=r'^[^"\\\r\n]{1,64}$')
    algorithms: tuple[Literal["SHA-256", "MD5"], ...] = row(
        ("MD5", "SHA-256"),
        "digests offered, in this order; old phones look at the first alone",
        min_length=1,
    )


def _hosts(value: object) -> object:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        raise ValueError("write a list, for example [sip.example.com]")
    for host in value:
        split_host(str(host))
    return tuple(value)


def _domain(value: object) -> object:
    if value:
        split_host(str(value).partition(";")[0])
        if re.search(r"[\s<>\"@?]", str(value)):
            raise ValueError(f"write HOST[:PORT][;transport=tls] (got {value!r})")
    return value


Domain = Annotated[str, BeforeValidator(_domain)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_hosts)]


class TrunkOutbound(Row):
    """Calls that we make over a trunk, and whether we register there."""

    hosts: Hosts = row(
        (),
        "where calls go, HOST or HOST:PORT, each after the one before is silent; a name alone is "
        "looked up as SRV, then A; none: the address in `peers`, where it is one",
    )
    domain: Domain = row(
        "",
        "what stands behind the @ in numbers, HOST[:PORT][;transport=tls]; empty: the first host",
    )
    user: str = row("", "our digest user there; empty: no digest")
    password_env: str = row("", "the variable that holds the password")
    caller_id: str = row("", "the number that is shown, whatever the call's own says")
    registers: bool = row(False, "register there, so that the peer sends us calls")
    register_s: int = row(300, "for how long at a time", unit="s", ge=30, le=86_400)


class Trunk(Row):
    """One trunk."""

    peers: Networks = row((), "addresses and networks that signalling comes from")
    auth: TrunkAuth | None = row(None, "digest; with `peers` both are asked for")
    numbers: Patterns = row((ANY,), "numbers that may be called here; `*` at the end: any more")
    codecs: tuple[Literal["PCMU", "PCMA"], ...] = row(
        ("PCMU", "PCMA"), "codecs that are taken; of several the peer chooses", min_length=1
    )
    max_calls: int = row(100, "calls at once; one more is busy", unit="calls", ge=1, le=10_000)
    rate: float = row(
        30.0, "new calls a second of one address, twice as many at once", unit="calls/s", gt=0
    )
    media_peers: Networks = row((), "more addresses that audio may come from and go to")
    prefixes: Patterns = row((), "numbers that may be called out, as in `numbers`; none: no calls")
    session_expires_s: int = row(
        1800, "a call whose peer is gone is noticed after; 0: never", unit="s", ge=0, le=86_400
    )

    transfer: Literal["refer", "bridge"] = row(
        "refer",
        "refer: the peer is asked to connect the caller elsewhere; where it refuses, or with "
        "bridge, both legs are connected here",
    )
    digits: Literal["rtp", "info"] = row("rtp", "keys are sent as RFC 4733 events, or by INFO")
    outbound: TrunkOutbound = row(TrunkOutbound(), "calls over it, and registration")

    @model_validator(mode="after")
    def _known_by_something(self) -> Trunk:
        if not self.peers and self.auth is None and not self.outbound.registers:
            raise ValueError("name its `peers`, or demand a digest by `auth:`")
        if 0 < self.session_expires_s < 90:
            raise ValueError("session_expires_s: 90 at least (RFC 4028), or 0")
        return self


class TrunksFile(Row):
    """`config/trunks.yaml`."""

    trunks: dict[str, Trunk] = row({}, "every trunk by its name")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A trunk's digest, its password looked up."""

    user: str
    password: str
    realm: str
    algorithms: tuple[str, ...] = ("MD5", "SHA-256")


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are at a peer."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KnownTrunk:
    """A trunk, its name and what its peer must show."""

    name: str
    settings: Trunk
    credentials: Credentials | None = None
    account: Account | None = None

    def has_peer(self, address: str) -> bool:
        """Whether an IP address is one of its peers."""
        return _within(address, self.settings.peers)

    @property
    def registered_user(self) -> str:
        """The user of the Contact that we register; a call to it says its number in To. Empty
        where we do not register."""
        outbound = self.settings.outbound
        return outbound.user if outbound.registers else ""

    def takes(self, number: str) -> bool:
        """Whether `number` may be called from it."""
        return matches(number, self.settings.numbers)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where calls that we make go; none where nobody says."""
        peers = self.settings.peers
        alone = len(peers) == 1 and _network(peers[0]).num_addresses == 1
        return self.settings.outbound.hosts or (peers if alone else ())

    @property
    def domain(self) -> str:
        """What stands behind the @ of our own numbers there."""
        host = self.settings.outbound.domain or next(iter(self.hosts), "")
        return split_host(host.partition(";")[0])[0] if host else ""

    def may_dial(self, number: str) -> bool:
        """Whether `number` may be called over it. A SIP address has to be named as a whole: what
        follows its beginning would be another house."""
        if number.lower().startswith(("sip:", "sips:")):
            return number.lower() in {one.lower() for one in self.settings.prefixes}
        return matches(number, self.settings.prefixes)

    def may_talk_with(self, address: str, signalling: str) -> bool:
        """Whether audio may come from and go to `address`, where signalling comes from another."""
        return address == signalling or _within(
            address, (*self.settings.media_peers, *self.settings.peers)
        )


class Trunks:
    """All of them."""

    def __init__(self, known: Iterable[KnownTrunk]) -> None:
        self._known = {trunk.name: trunk for trunk in known}
        self._anywhere = [trunk for trunk in self if trunk.credentials and not trunk.settings.peers]
        self._learned: dict[str, frozenset[str]] = {}

    def __iter__(self) -> Iterator[KnownTrunk]:
        return iter(self._known.values())

    def get(self, name: str) -> KnownTrunk | None:
        """The trunk of that name."""
        return self._known.get(name)

    def of(self, address: str) -> list[KnownTrunk]:
        """The trunks that a peer of this address may belong to, those that name it first."""
        known, learned = list(self), self._learned
        return [
            trunk
            for trunk in known
            if trunk.has_peer(address) or address in learned.get(trunk.name, ())
        ] + self._anywhere

    def learn(self, name: str, addresses: Iterable[str]) -> None:
        """The addresses of registrars that know us on a trunk: their calls are its calls."""
        self._learned = {**self._learned, name: frozenset(addresses)}

    def rate_of(self, address: str) -> float:
        """New calls a second that this address may try. A digest takes two INVITEs a call."""
        trunks = self.of(address)
        rates = [trunk.settings.rate * (2 if trunk.credentials else 1) for trunk in trunks]
        return max(rates, default=STRANGERS_RATE)


def load(config_dir: Path, environ: Mapping[str, str]) -> Trunks:
    """The trunks of `trunks.yaml`. Without any: who has the digest of the environment, or where
    there is none this machine (127.0.0.1). Raises `SettingsError`."""
    path = config_dir / FILE
    file = read(path) if path.is_file() else ConfigFile()
    trunks = file.checked(TrunksFile).trunks
    if trunks:
        known = [_known(name, trunk, environ, path) for name, trunk in trunks.items()]
    elif environ.get(USER_ENV) and environ.get(PASSWORD_ENV):
        known = [_known("digest", Trunk.model_validate({"auth": {}}), environ, path)]
    else:
        known = [KnownTrunk("this-machine", Trunk.model_validate({"peers": ["127.0.0.1"]}))]
    return Trunks(known)


def _known(name: str, trunk: Trunk, environ: Mapping[str, str], path: Path) -> KnownTrunk:
    where = f"{path}: trunks.{name}"
    if not NAME.fullmatch(name):
        raise SettingsError(f"{where}: write letters, digits, - and _")
    account = _account(trunk.outbound, environ, f"{where}.outbound")
    if trunk.auth is None:
        return KnownTrunk(name, trunk, account=account)
    user = trunk.auth.user or environ.get(USER_ENV, "")
    password = environ.get(trunk.auth.password_env, "")
    if not user:
        raise SettingsError(f"{where}.auth.user: name one, or set {USER_ENV}")
    if not password:
        raise SettingsError(f"{where}.auth: {trunk.auth.password_env} is not set")
    auth = trunk.auth
    who = Credentials(user, password, auth.realm, auth.algorithms)
    return KnownTrunk(name, trunk, who, account)


def _account(outbound: TrunkOutbound, environ: Mapping[str, str], where: str) -> Account | None:
    """Who we are at the peer. Raises `SettingsError`."""
    if outbound.registers and not (outbound.user and outbound.hosts):
        raise SettingsError(f"{where}: to register takes `hosts` and a `user`")
    if not outbound.user:
        return None
    password = environ.get(outbound.password_env, "") if outbound.password_env else ""
    if not password:
        raise SettingsError(f"{where}: {outbound.password_env or 'password_env'} is not set")
    return Account(outbound.user, password)


def matches(number: str, patterns: Iterable[str]) -> bool:
    """Whether a number is one of `patterns`, or begins as one that ends in ``*``."""
    return any(
        number.startswith(pattern[:-1]) if pattern.endswith(ANY) else number == pattern
        for pattern in patterns
    )


def _within(address: str, networks: Iterable[str]) -> bool:
    try:
        one = ip_address(address.strip("[]"))
    except ValueError:
        return False
    return any(one in _network(network) for network in networks)


@lru_cache(maxsize=1024)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)
