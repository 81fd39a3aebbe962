"""Sentences of vendors' voices: kept by voice and text, in memory and on disk, within bounds, and
only where they were said whole."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from telebot.audio import g711
from telebot.providers.kept_files import listed
from telebot.providers.kept_voice import SUFFIX, KeptVoice, Said, key_of
from telebot.providers.link import Link
from telebot.providers.repertoire import Repertoire, whole
from telebot.providers.spoken import Word
from telebot.providers.utterance import Utterance
from telebot.providers.word_clock import WordClock

pytestmark = pytest.mark.unit

SAID = Said(b"\x7e" * 800, (Word(0.0, 0.05, "Hello"), Word(0.05, 0.1, "there.")))
TEXT = "Hello there."


def kept_in(folder: Path | None, memory: int = 1 << 20, disk: int = 1 << 20) -> KeptVoice:
    return KeptVoice(folder, memory_bytes=memory, disk_bytes=disk)


async def test_a_sentence_is_found_by_voice_and_text(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    await kept.open()
    assert await kept.find(["ann"], TEXT) is None
    kept.put("ann", TEXT, SAID)
    assert await kept.find(["bob", "ann"], TEXT) == (1, SAID)
    assert await kept.find(["bob"], TEXT) is None
    assert await kept.find(["ann"], "Hello.") is None
    await kept.close()
    now = kept.stats()
    assert (now.hits, now.misses, now.entries) == (1, 3, 1)


async def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    first = kept_in(tmp_path / "voice")
    await first.open()
    first.put("ann", TEXT, SAID)
    await first.close()
    second = kept_in(tmp_path / "voice")
    await second.open()
    assert second.has("ann", TEXT)
    assert await second.find(["ann"], TEXT) == (0, SAID)
    await second.close()


@pytest.mark.parametrize("damage", [b"", b"\xff\xff\xff\xff", b"\x00\x00\x00\x02{}"])
async def test_a_spoilt_file_is_made_again(tmp_path: Path, damage: bytes) -> None:
    kept = kept_in(tmp_path, memory=0)
    await kept.open()
    kept.put("ann", TEXT, SAID)
    await kept.close()
    path = tmp_path / f"{key_of('ann', TEXT)}.said"
    path.write_bytes(damage)
    assert await kept.find(["ann"], TEXT) is None
    assert not kept.has("ann", TEXT)
    await kept.close()


async def test_half_a_file_is_none(tmp_path: Path) -> None:
    kept = kept_in(tmp_path, memory=0)
    await kept.open()
    kept.put("ann", TEXT, SAID)
    await kept.close()
    path = tmp_path / f"{key_of('ann', TEXT)}.said"
    path.write_bytes(path.read_bytes()[:-1])
    assert await kept.find(["ann"], TEXT) is None
    await kept.close()


async def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    kept = kept_in(tmp_path, memory=1600, disk=3000)
    await kept.open()
    for name in ("a", "b"):
        kept.put(name, TEXT, SAID)
        await asyncio.gather(*kept._kept._work)
    await kept.find(["a"], TEXT)
    kept.put("c", TEXT, SAID)
    kept.put("d", TEXT, SAID)
    await kept.close()
    left = dict(listed(tmp_path, SUFFIX))
    assert key_of("b", TEXT) not in left
    assert sum(left.values()) <= 3000
    assert kept.stats().size_bytes <= 3000
    assert kept._kept._memory.size_bytes <= 1600


async def test_the_order_of_use_outlives_a_restart_and_a_smaller_bound(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    await kept.open()
    for name in ("a", "b", "c"):
        kept.put(name, TEXT, SAID)
    await asyncio.gather(*kept._kept._work)
    for number, name in enumerate(("a", "b", "c")):
        os.utime(tmp_path / f"{key_of(name, TEXT)}.said", (number, number))
    kept._kept._used.clear()
    await kept.find(["a"], TEXT)
    await kept.close()
    smaller = kept_in(tmp_path, disk=2100)
    await smaller.open()
    assert [smaller.has(name, TEXT) for name in ("a", "b", "c")] == [True, False, True]
    await smaller.close()


async def test_without_a_folder_memory_serves(tmp_path: Path) -> None:
    kept = kept_in(tmp_path / "voice", disk=0)
    await kept.open()
    kept.put("ann", TEXT, SAID)
    assert await kept.find(["ann"], TEXT) == (0, SAID)
    await kept.close()
    assert not (tmp_path / "voice").exists()


async def test_a_folder_that_cannot_be_written_costs_nothing_but_the_files(tmp_path: Path) -> None:
    (tmp_path / "voice").write_text("not a folder")
    kept = kept_in(tmp_path / "voice")
    await kept.open()
    kept.put("ann", TEXT, SAID)
    await kept.close()
    assert await kept.find(["ann"], TEXT) == (0, SAID)


# --- only what was said whole ------------------------------------------------------------------


def said_of(text: str, pcm16: bytes) -> Utterance:
    utterance = Utterance(text.split(), 0.0)
    utterance.feed(pcm16)
    utterance.end()
    return utterance


SENTENCES = ["Gladly.", "Which day would suit you?", "There is a free car park behind us."]


@pytest.mark.parametrize("text", SENTENCES)
async def test_a_whole_sentence_is_kept_with_its_words(speech, text: str) -> None:
    clock = WordClock(speech)
    pcm16 = b"".join([clip.pcm16 async for clip in speech.tts.stream(text)])
    words = await whole(said_of(text, pcm16), clock)
    assert [word.text for word in words] == text.split()


@pytest.mark.parametrize("left_out", ["half a word", "a word", "half"])
@pytest.mark.parametrize("text", SENTENCES)
async def test_audio_that_broke_off_is_not(speech, text: str, left_out: str) -> None:
    clock = WordClock(speech)
    pcm16 = b"".join([clip.pcm16 async for clip in speech.tts.stream(text)])
    yardstick = await clock.yardstick(text.split())
    last = yardstick.words[-1]
    ends = {
        "half a word": (last.start_s + last.end_s) / 2,
        "a word": last.start_s,
        "half": last.end_s / 2,
    }
    broken = pcm16[: 2 * int(ends[left_out] * 8000)]
    assert not await whole(said_of(text, broken), clock)


def link(sound: str) -> Link:
    return Link(sound, None, None, None, sound=sound)  # type: ignore[arg-type]


async def test_only_fixed_sentences_of_a_vendor_are_kept(speech) -> None:
    kept, clock = kept_in(None), WordClock(speech)
    repertoire = Repertoire(kept, frozenset({"Gladly."}))
    pcm16 = b"".join([clip.pcm16 async for clip in speech.tts.stream("Gladly.")])
    utterance = said_of("Gladly.", pcm16)
    repertoire.offer(link(""), "Gladly.", utterance, clock)
    repertoire.offer(link("ann"), "Gladly. Mary.", utterance, clock)
    repertoire.offer(link("ann"), "Gladly.", said_of("Glad", pcm16), clock)
    await kept.close()
    assert kept.stats().entries == 0
    repertoire.offer(link("ann"), "Gladly.", utterance, clock)
    await kept.close()
    found = await repertoire.find([link(""), link("ann")], "Gladly.")
    assert found is not None
    assert found[0].sound == "ann"
    assert found[1].audio == g711.encode(bytes(utterance.pcm))
    assert await repertoire.find([link("ann")], "Mary.") is None
    now = kept.stats()
    assert (now.hits, now.misses) == (1, 0)


async def test_a_phrase_of_the_start_is_taken_over_once(speech) -> None:
    kept, clock = kept_in(None), WordClock(speech)
    repertoire = Repertoire(kept, frozenset({"Gladly."}))
    pcm16 = b"".join([clip.pcm16 async for clip in speech.tts.stream("Gladly.")])
    repertoire.seed("ann", "Gladly.", g711.encode(pcm16), clock)
    repertoire.seed("ann", "Hello, Mary.", g711.encode(pcm16), clock)
    repertoire.seed("", "Gladly.", g711.encode(pcm16), clock)
    await kept.close()
    assert (kept.stats().entries, kept.has("ann", "Gladly.")) == (1, True)
    repertoire.seed("ann", "Gladly.", g711.encode(pcm16), clock)
    assert not kept._kept._work
