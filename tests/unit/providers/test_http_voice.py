"""A WAV header in front of streamed sound, however the pieces fall."""

from collections.abc import AsyncIterator

import pytest

from telebot.audio import wav
from telebot.providers.http_voice import without_header

pytestmark = pytest.mark.unit

SOUND = bytes(range(1, 201))


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", [1, 3, 43, 44, 45, 1000])
async def test_a_header_is_taken_off(size: int) -> None:
    file = wav.written(SOUND, 24_000)
    assert b"".join([each async for each in without_header(pieces(file, size))]) == SOUND


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_sound_without_one_goes_through(size: int) -> None:
    assert b"".join([each async for each in without_header(pieces(SOUND, size))]) == SOUND


async def test_a_file_that_breaks_off_in_its_header_is_silent() -> None:
    file = wav.written(SOUND, 24_000)[:30]
    assert [each async for each in without_header(pieces(file, 7)) if each] == []
