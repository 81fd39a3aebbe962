"""A REST client that is there from its first request on."""

from __future__ import annotations

import pytest

from telebot.call.errors import Unable
from telebot.carriers.rest import OnDemand

pytestmark = pytest.mark.unit


class Client:
    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


async def test_it_is_made_once_when_it_is_asked_for():
    made: list[Client] = []

    def make() -> Client:
        made.append(Client())
        return made[-1]

    opened = OnDemand(make)
    await opened.close()
    assert made == [], "closing makes none"
    assert opened() is opened()
    await opened.close()
    assert [client.closed for client in made] == [1]


async def test_what_it_lacks_is_said_each_time():
    def make() -> Client:
        raise Unable("no key is set")

    opened = OnDemand(make)
    for _ in range(2):
        with pytest.raises(Unable, match="no key"):
            opened()
    await opened.close()
