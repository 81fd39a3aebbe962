"""Where a trunk's host is: addresses by DNS SRV and A, in the order in which they are to be tried.

RFC 3263 section 4 for UDP: an IP address is itself; a name with a port is looked up as A; a name
alone has SRV records (`_sip._udp`, ordered by RFC 2782) or, without any, A and port 5060. Answers
are kept as long as they say; an answer that cannot be had again is used on. What was silent goes
behind the others for a while. `placing.py` and `registrations.py` ask.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from telebot.call.errors import CarrierError

PORT = 5060
WITHIN_S = 4.0  # for all look-ups of one host
MOST_TARGETS = 8
MOST_HOSTS = 256  # remembered
LEAST_KEPT_S, LONGEST_KEPT_S = 5.0, 3600.0
SILENT_S = 30.0  # one that did not answer is tried last for so long

Address = tuple[str, int]
log = structlog.get_logger(__name__)


class NoTarget(CarrierError):
    """A host that has no address."""


def split(host: str) -> tuple[str, int | None]:
    """HOST, HOST:PORT, [IPv6]:PORT. Raises ValueError."""
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        port = rest.removeprefix(":")
        if not bracket:
            raise ValueError(f"write [IPv6]:PORT (got {host!r})")
        ipaddress.IPv6Address(name)
    else:
        name, _, port = host.partition(":")
    if not name or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536)):
        raise ValueError(f"write HOST or HOST:PORT (got {host!r})")
    return name, int(port) if port else None


class Targets:
    """Addresses of hosts. `nameserver` is asked instead of the system's own, where one is named."""

    def __init__(
        self,
        nameserver: Address | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._nameserver = nameserver
        self._clock = clock
        self._chance = chance
        self._kept: dict[str, tuple[float, list[Address]]] = {}
        self._silent: dict[Address, float] = {}
        self._resolver: Any = None

    async def of(self, host: str) -> list[Address]:
        """At least one. Raises `NoTarget`."""
        name, port = split(host)
        if _is_address(name):
            return [(name, port or PORT)]
        until, found = self._kept.get(host, (0.0, []))
        if until <= self._clock():
            try:
                async with asyncio.timeout(WITHIN_S):
                    found = await self._look_up(host, name, port) or found
            except TimeoutError:
                log.warning("dns_late", host=host)
        if not found:
            raise NoTarget(f"{host}: DNS knows no address of it")
        return sorted(found, key=self._is_silent)

    def silent(self, address: Address) -> None:
        """Nothing came back from there."""
        now = self._clock()
        self._silent = {one: until for one, until in self._silent.items() if until > now}
        self._silent[address] = now + SILENT_S

    def answered(self, address: Address) -> None:
        """Somebody is there."""
        self._silent.pop(address, None)

    def _is_silent(self, address: Address) -> bool:
        return self._silent.get(address, 0.0) > self._clock()

    async def _look_up(self, host: str, name: str, port: int | None) -> list[Address]:
        services = [] if port else await self._services(name)
        life_s = LONGEST_KEPT_S
        found: dict[Address, None] = {}
        for one, number, kept_s in services or [(name, port or PORT, LONGEST_KEPT_S)]:
            addresses, addresses_s = await self._addresses(one)
            life_s = min(life_s, kept_s, addresses_s)
            found |= dict.fromkeys((address, number) for address in addresses)
        result = list(found)[:MOST_TARGETS]
        if result:
            while len(self._kept) >= MOST_HOSTS:
                del self._kept[next(iter(self._kept))]
            self._kept[host] = (self._clock() + max(LEAST_KEPT_S, life_s), result)
        return result

    async def _services(self, name: str) -> list[tuple[str, int, float]]:
        """SRV: name, port and how long that is good, in the order of RFC 2782."""
        answer = await self._ask(f"_sip._udp.{name}", "SRV")
        if answer is None:
            return []
        records = [record for record in answer if str(record.target) != "."]
        return [
            (str(record.target).rstrip("."), record.port, float(answer.rrset.ttl))
            for record in in_order(records, self._chance)
        ]

    async def _addresses(self, name: str) -> tuple[list[str], float]:
        """A records, else what the system knows (its hosts file)."""
        answer = None if _is_address(name) else await self._ask(name, "A")
        if answer is not None:
            return [record.address for record in answer], float(answer.rrset.ttl)
        loop = asyncio.get_running_loop()
        try:
            known = await loop.getaddrinfo(name, None, family=socket.AF_INET)
        except OSError:
            return [], LEAST_KEPT_S
        return list(dict.fromkeys(str(one[4][0]) for one in known)), LEAST_KEPT_S

    async def _ask(self, name: str, kind: str) -> Any:
        """The answer, or None where there is none."""
        # not at the module's head: most servers never look anything up
        from dns.asyncresolver import Resolver
        from dns.exception import DNSException

        try:
            if self._resolver is None:
                self._resolver = Resolver(configure=self._nameserver is None)
                if self._nameserver is not None:
                    self._resolver.nameservers = [self._nameserver[0]]
                    self._resolver.port = self._nameserver[1]
            return await self._resolver.resolve(name, kind, lifetime=WITHIN_S)
        except DNSException as error:
            log.debug("dns", name=name, kind=kind, why=type(error).__name__)
            return None


def in_order(records: Iterable[Any], chance: Callable[[], float]) -> list[Any]:
    """SRV records by priority, and by chance after their weight within one (RFC 2782)."""
    ordered: list[Any] = []
    by_priority: dict[int, list[Any]] = {}
    for record in records:
        by_priority.setdefault(record.priority, []).append(record)
    for priority in sorted(by_priority):
        left = sorted(by_priority[priority], key=lambda record: int(record.weight))
        while left:
            at = chance() * sum(record.weight for record in left)
            chosen = left[-1]
            for record in left:
                at -= record.weight
                if at < 0:
                    chosen = record
                    break
            left.remove(chosen)
            ordered.append(chosen)
    return ordered


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
