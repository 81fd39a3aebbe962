"""The head of a WAV file that is still arriving."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.audio import wav

pytestmark = pytest.mark.unit


def test_a_file_is_read_as_it_was_written():
    assert wav.read(wav.written(b"\1\2" * 4, 16000)) == (b"\1\2" * 4, 16000)


def test_the_samples_are_found_behind_any_chunks():
    plain = wav.written(b"\1\2" * 4, 22050)
    assert wav.start(plain) == (44, 22050)
    extra = b"LIST" + struct.pack("<I", 5) + b"piper\0"
    assert wav.start(plain[:36] + extra + plain[36:]) == (44 + len(extra), 22050)
    for end in range(44):
        assert wav.begun(plain[:end])
        assert wav.start(plain[:end]) is None


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\xff\x00 not audio",
        b"<!doctype html>",
        b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
        wav.written(b"", 22050)[:22] + b"\2" + wav.written(b"", 22050)[23:],  # two channels
        wav.written(b"", 22050)[:34] + b"\x08" + wav.written(b"", 22050)[35:],  # eight bits
        wav.written(b"", 4000),
        b"RIFF\0\0\0\0WAVEjunk\xff\xff\0\0",
    ],
)
def test_what_is_no_file_of_ours_is_refused(head):
    with pytest.raises(wav.NoWav):
        wav.start(head)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_head_more_bytes_or_no_file(junk):
    for head in (junk, b"RIFF" + junk, wav.written(b"", 16000)[:36] + junk):
        try:
            found = wav.start(head)
        except wav.NoWav:
            continue
        assert found is None or 0 < found[0] <= len(head) or found[0] <= len(head) + 8


def test_a_plain_file_gives_its_samples_at_once():
    whole = wav.written(b"\1\2" * 8, 16000)
    assert wav.plain(whole) == (b"\1\2" * 8, 16000)
    assert wav.plain(whole + b"LIST\4\0\0\0abcd") == (b"\1\2" * 8, 16000)
    assert wav.plain(whole[:-5]) == (b"\1\2" * 5, 16000)  # cut off in the middle of a sample
    assert wav.plain(wav.head(0, 16000) + b"\1\2" * 8) == (b"\1\2" * 8, 16000)  # streamed
    assert wav.plain(wav.head(wav.MOST_SIZE, 16000) + b"\1\2") == (b"\1\2", 16000)


def test_a_file_of_another_kind_is_left_to_others():
    whole = wav.written(b"\1\2" * 8, 16000)
    floats = whole[:20] + b"\3\0" + whole[22:]
    two = whole[:22] + b"\2" + whole[23:]
    for other in (floats, two, b"", b"RIFF", b"ID3\4" + whole, whole[:40]):
        assert wav.plain(other) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_a_plain_file_or_none(junk):
    for data in (junk, b"RIFF" + junk, wav.written(junk, 16000), wav.head(9, 8000)[:36] + junk):
        found = wav.plain(data)
        assert found is None or len(found[0]) % 2 == 0
