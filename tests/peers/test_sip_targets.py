"""Where a trunk's host is, by a name server on loopback (RFC 3263, RFC 2782)."""

from __future__ import annotations

import pytest
from dns_peer import Names, name_server

from telebot.sip import targets
from telebot.sip.targets import NoTarget, Targets

pytestmark = pytest.mark.peers

HOST = "sip.example.test"
SERVICE = (f"_sip._udp.{HOST}", "SRV")


@pytest.fixture
async def names():
    async with name_server() as one:
        yield one


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def found(names: Names, clock):
    return Targets(names.address, clock=lambda: clock[0], chance=lambda: 0.5)


async def test_addresses_are_themselves(found: Targets, names: Names):
    assert await found.of("192.0.2.1") == [("192.0.2.1", 5060)]
    assert await found.of("192.0.2.1:5070") == [("192.0.2.1", 5070)]
    assert names.asked == []


async def test_srv_by_priority_and_weight(found: Targets, names: Names):
    names.zone[SERVICE] = (
        60,
        ["20 0 5060 c.example.test.", "10 10 5062 a.example.test.", "10 90 5064 b.example.test."],
    )
    for name, address in {"a": "192.0.2.1", "b": "192.0.2.2", "c": "192.0.2.3"}.items():
        names.zone[f"{name}.example.test", "A"] = 60, [address]
    got = await found.of(HOST)
    assert got == [("192.0.2.2", 5064), ("192.0.2.1", 5062), ("192.0.2.3", 5060)]


async def test_a_name_without_srv_and_a_name_with_a_port(found: Targets, names: Names):
    names.zone[HOST, "A"] = 60, ["192.0.2.7", "192.0.2.8"]
    assert sorted(await found.of(HOST)) == [("192.0.2.7", 5060), ("192.0.2.8", 5060)]
    names.asked.clear()
    assert sorted(await found.of(f"{HOST}:5099"))[0] == ("192.0.2.7", 5099)
    assert "SRV" not in {kind for _, kind in names.asked}, "a port is no question of SRV"


async def test_the_hosts_file_is_asked_last(found: Targets):
    assert await found.of("localhost:5070") == [("127.0.0.1", 5070)]


async def test_a_name_that_is_none(found: Targets):
    with pytest.raises(NoTarget, match=r"nowhere\.invalid: DNS knows no address"):
        await found.of("nowhere.invalid")


async def test_answers_are_kept_as_long_as_they_say(found: Targets, names: Names, clock):
    names.zone[HOST, "A"] = 30, ["192.0.2.7"]
    await found.of(HOST)
    asked = len(names.asked)
    clock[0] = 29.0
    await found.of(HOST)
    assert len(names.asked) == asked
    names.zone[HOST, "A"] = 30, ["192.0.2.9"]
    clock[0] = 31.0
    assert await found.of(HOST) == [("192.0.2.9", 5060)]


async def test_a_name_server_that_is_silent_costs_its_time_and_no_call(
    found: Targets, names: Names, clock, monkeypatch
):
    monkeypatch.setattr(targets, "WITHIN_S", 0.3)
    names.zone[HOST, "A"] = 30, ["192.0.2.7"]
    await found.of(HOST)
    names.silent = True
    clock[0] = 31.0
    assert await found.of(HOST) == [("192.0.2.7", 5060)]
    with pytest.raises(NoTarget):
        await found.of("other.example.test")


async def test_what_was_silent_is_tried_last(found: Targets, names: Names, clock):
    names.zone[SERVICE] = 3600, ["1 0 5060 a.example.test.", "2 0 5060 b.example.test."]
    names.zone["a.example.test", "A"] = 3600, ["192.0.2.1"]
    names.zone["b.example.test", "A"] = 3600, ["192.0.2.2"]
    first, second = await found.of(HOST)
    found.silent(first)
    assert await found.of(HOST) == [second, first]
    clock[0] = 31.0
    assert await found.of(HOST) == [first, second]
    found.silent(first)
    found.answered(first)
    assert await found.of(HOST) == [first, second]


@pytest.mark.parametrize("wrong", ["", ":5060", "a:b", "a:0", "a:70000", "[::1", "[zz]:5060"])
def test_what_is_no_host(wrong: str):
    with pytest.raises(ValueError):
        targets.split(wrong)


def test_hosts_are_split():
    assert targets.split("pbx") == ("pbx", None)
    assert targets.split("pbx:5070") == ("pbx", 5070)
    assert targets.split("[2001:db8::1]:5070") == ("2001:db8::1", 5070)
