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
