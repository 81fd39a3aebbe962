"""Who may hold a direct session: the order, who is asked again, what a lost one is told."""

from __future__ import annotations

import pytest
from direct_house import RATE_HZ, House, Vendor, link
from virtual_time import run

from telebot.call.errors import ProviderError
from telebot.providers.direct import Manner
from telebot.providers.vendor_error import VendorError
from telebot.speech.direct_record import DirectRecord
from telebot.speech.direct_vendors import NobodyLeft, Vendors

pytestmark = pytest.mark.unit

LOST = ProviderError("nobody there")
AILING = VendorError("try again")  # one such fault is no reason to pass a vendor over


def test_the_first_that_can_be_opened_is_told_what_was_said() -> None:
    async def exchange() -> None:
        house, good = House(), Vendor()
        links = [link("a/1", Vendor(refuses=AILING), Vendor()), link("b/1", good)]
        vendors = Vendors(links, DirectRecord(house.outside))
        session = await vendors.open(Manner(), [{"role": "user", "content": "Hello"}])
        assert session.name == "b/1"
        assert good.told == [("open", [{"role": "user", "content": "Hello"}])]
        told = {"kind": "realtime", "provider": "a/1", "cause": "server"}
        assert house.log.events == [("failover", told)]
        assert links[0].breaker.causes == {"server": 1}
        # one that could not be opened is not asked again, until all may be
        vendors.rule_out(links[1])
        with pytest.raises(NobodyLeft):
            await vendors.open(Manner(), [])
        vendors.rule_in()
        assert (await vendors.open(Manner(), [])).name == "a/1"

    run(exchange())


def test_who_is_out_is_passed_over_unless_nobody_else_is_left() -> None:
    async def exchange() -> None:
        house = House()
        out, well = link("a/1", Vendor()), link("b/1", Vendor())
        vendors = Vendors([out, well], DirectRecord(house.outside))
        for _ in range(9):
            vendors.failed(out, LOST)
        assert not out.breaker.closed()
        assert (await vendors.open(Manner(), [])).name == "b/1"
        vendors.rule_out(well)
        assert (await vendors.open(Manner(), [])).name == "a/1"

    run(exchange())


def test_a_fault_of_the_configuration_is_no_failure_of_the_vendor() -> None:
    async def exchange() -> None:
        house = House()
        unbuilt, plain = link("a/1"), link("b/1", Vendor())
        vendors = Vendors([unbuilt, plain], DirectRecord(house.outside))
        assert (await vendors.open(Manner(), [])).name == "b/1"
        assert (house.log.events, unbuilt.breaker.causes) == ([], {})

    run(exchange())


def test_what_a_lost_session_is_told_is_lost() -> None:
    class Gone(Vendor):
        async def hear(self, pcm16: bytes) -> None:
            raise LOST

    async def exchange() -> None:
        house, vendor = House(), Gone(rate_hz=RATE_HZ)
        session = await Vendors([link("a/1", vendor)], DirectRecord(house.outside)).open(
            Manner(), []
        )
        await session.hear(bytes(960))
        await session.close()
        await session.say("Hello?")
        await session.tell_cut()
        await session.change(Manner(language="de-DE"))
        assert [name for name, _ in vendor.told] == ["open"]

    run(exchange())
