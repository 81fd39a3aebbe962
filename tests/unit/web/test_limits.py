"""A request's body is bounded in size and in time."""

from __future__ import annotations

import asyncio
from unittest.mock import create_autospec

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from telebot.web.limits import read_body

pytestmark = pytest.mark.unit


def _request(**headers):
    protocol = create_autospec(BaseProtocol, instance=True)
    content = StreamReader(protocol, 2**16, loop=asyncio.get_running_loop())
    return make_mocked_request("POST", "/", headers, payload=content), content


async def test_a_body_in_pieces():
    request, content = _request()
    for piece in (b"a" * 10, b"b" * 10):
        content.feed_data(piece)
    content.feed_eof()
    assert await read_body(request, 20) == b"a" * 10 + b"b" * 10


@pytest.mark.parametrize("size", [21, 100])
async def test_a_byte_too_many(size):
    request, content = _request()
    content.feed_data(b"a" * size)
    content.feed_eof()
    with pytest.raises(web.HTTPRequestEntityTooLarge):
        await read_body(request, 20)


async def test_a_length_too_long_is_not_even_read():
    request, _ = _request(**{"Content-Length": "21"})
    with pytest.raises(web.HTTPRequestEntityTooLarge):
        await read_body(request, 20)


async def test_a_body_that_never_comes_is_408():
    request, content = _request()
    content.feed_data(b"a")
    with pytest.raises(web.HTTPRequestTimeout):
        await read_body(request, 20, within_s=0.001)


@pytest.mark.parametrize("error", [web.RequestPayloadError("x"), web.PayloadAccessError()])
async def test_a_broken_body_is_400_and_the_last_of_its_connection(error):
    request, content = _request()
    content.set_exception(error)
    with pytest.raises(web.HTTPBadRequest) as raised:
        await read_body(request, 20)
    assert raised.value.keep_alive is False
