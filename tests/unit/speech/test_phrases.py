"""Phrases said word for word: made once by a voice, kept, made again when spoilt."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from telephone import WORD_S, Voice, voiced
from virtual_time import run

from telebot.audio import g711
from telebot.call.errors import ProviderError
from telebot.providers.scripted import ScriptedTTSService
from telebot.providers.scripted_audio import pieces
from telebot.speech.phrases import FORGOTTEN_S, MAX_AUDIO, Phrase, PhraseMaker, PhraseStore
from telebot.speech.script import Script

pytestmark = pytest.mark.unit

TEXTS = {"greeting": "Hello there.", "closing": "Goodbye and thank you."}


class Dumb(ScriptedTTSService):
    """A voice that takes a sentence and says nothing."""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        yield None


class Refusing(ScriptedTTSService):
    """A voice whose maker does not know us."""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        raise RuntimeError("no such key")
        yield None


class Endless(ScriptedTTSService):
    """A voice that does not stop: two minutes, in pieces of a second."""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        for _ in range(120):
            yield TTSAudioRawFrame(bytes(16000), g711.RATE_HZ, 1, context_id=context_id)


class Made:
    """Builds voices and counts them."""

    def __init__(self) -> None:
        self.voices = 0

    def __call__(self) -> Voice:
        self.voices += 1
        return Voice(0.05)


def kept(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


# --- the maker ---------------------------------------------------------------------------------


def test_a_voice_makes_every_phrase_with_the_times_of_its_words() -> None:
    made = run(PhraseMaker(Voice(0.05)).make(TEXTS))
    assert made.keys() == TEXTS.keys()
    for name, text in TEXTS.items():
        words = text.split()
        assert made[name].text == text
        assert made[name].ulaw == g711.encode(voiced(text))
        assert [word for _, _, word in made[name].words] == words
        assert made[name].words[-1][1] == pytest.approx(WORD_S * len(words))


def test_a_voice_without_word_times_makes_audio_alone() -> None:
    audio = voiced("three whole words")
    (phrase,) = run(PhraseMaker(ScriptedTTSService(pieces(audio))).make({"x": "Hello."})).values()
    assert phrase.ulaw == g711.encode(audio)
    assert phrase.words == []


@pytest.mark.parametrize("voice", [Dumb, Refusing])
def test_a_voice_that_makes_no_audio_is_a_fault(voice: type[ScriptedTTSService]) -> None:
    with pytest.raises(ProviderError, match=r"the voice (made no audio|did not answer in time)"):
        run(PhraseMaker(voice(())).make(TEXTS))


def test_a_voice_that_never_answers_is_not_waited_for() -> None:
    with pytest.raises(ProviderError, match="did not answer in time"):
        run(PhraseMaker(Voice(3600.0)).make(TEXTS))


def test_a_voice_that_does_not_stop_does_not_fill_the_memory() -> None:
    (phrase,) = run(PhraseMaker(Endless(())).make({"x": "Hello."})).values()
    assert MAX_AUDIO <= len(phrase.ulaw) < MAX_AUDIO + g711.RATE_HZ


# --- the store ---------------------------------------------------------------------------------


def test_a_phrase_is_made_once_for_a_voice(tmp_path: Path) -> None:
    make = Made()

    async def scene() -> None:
        store = PhraseStore(tmp_path / "phrases")
        first = await store.phrases("heart", TEXTS, make)
        assert make.voices == 1
        assert await store.phrases("heart", TEXTS, make) == first
        assert make.voices == 1
        assert await PhraseStore(tmp_path / "phrases").phrases("heart", TEXTS, make) == first
        assert make.voices == 1, "kept beyond this process"

    run(scene())
    assert len(kept(tmp_path / "phrases")) == 2
    assert {path.suffix for path in kept(tmp_path / "phrases")} == {".phrase"}


def test_another_voice_makes_its_own(tmp_path: Path) -> None:
    make = Made()

    async def scene() -> None:
        store = PhraseStore(tmp_path)
        await store.phrases("heart", TEXTS, make)
        await store.phrases("bella", TEXTS, make)

    run(scene())
    assert make.voices == 2
    assert len(kept(tmp_path)) == 4


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    make = Made()

    async def scene() -> dict[str, Phrase]:
        store = PhraseStore(tmp_path)
        await store.phrases("heart", TEXTS, make)
        before = {path: path.stat().st_mtime_ns for path in kept(tmp_path)}
        more = await store.phrases("heart", {**TEXTS, "apology": "I am sorry."}, make)
        assert {path: path.stat().st_mtime_ns for path in before} == before
        return more

    assert run(scene()).keys() == {"greeting", "closing", "apology"}
    assert len(kept(tmp_path)) == 3


def test_one_text_under_two_names_is_two_phrases(tmp_path: Path) -> None:
    texts = {"closing": "Goodbye.", "goodbye": "Goodbye."}
    found = run(PhraseStore(tmp_path).phrases("heart", texts, Made()))
    assert found["closing"] == found["goodbye"]
    assert len(kept(tmp_path)) == 1


@pytest.mark.parametrize("keep", [0, 3, 4, 20, -1])
def test_a_file_that_was_cut_off_is_made_again(tmp_path: Path, keep: int) -> None:
    text = {"greeting": "Hello there."}

    async def scene() -> tuple[Phrase, Phrase, Phrase]:
        store, make = PhraseStore(tmp_path), Made()
        whole = (await store.phrases("heart", text, make))["greeting"]
        (path,) = kept(tmp_path)
        raw = path.read_bytes()
        head = 4 + int.from_bytes(raw[:4], "big")
        path.write_bytes(raw[: head if keep == -1 else keep])  # -1: the head alone, and no audio
        again = (await store.phrases("heart", text, make))["greeting"]
        assert make.voices == 2
        mended = (await store.phrases("heart", text, make))["greeting"]
        assert make.voices == 2
        return whole, again, mended

    whole, again, mended = run(scene())
    assert whole == again == mended


def test_the_file_of_another_text_is_not_believed(tmp_path: Path) -> None:
    async def scene() -> Phrase:
        store = PhraseStore(tmp_path)
        await store.phrases("heart", {"x": "Goodbye."}, Made())
        (of_goodbye,) = kept(tmp_path)
        of_goodbye.rename(store._path("heart", "Hello."))
        return (await store.phrases("heart", {"x": "Hello."}, Made()))["x"]

    assert run(scene()).text == "Hello."


def test_a_voice_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ProviderError):
        run(PhraseStore(tmp_path / "phrases").phrases("heart", TEXTS, lambda: Dumb(())))
    assert not (tmp_path / "phrases").exists()


def test_servers_that_share_a_folder_write_at_once(tmp_path: Path) -> None:
    phrases = {name: Phrase(text, bytes(4000), []) for name, text in TEXTS.items()}
    with ThreadPoolExecutor(8) as servers:
        for written in [
            servers.submit(PhraseStore(tmp_path)._save_all, "heart", phrases) for _ in range(80)
        ]:
            written.result()
    assert PhraseStore(tmp_path)._load_all("heart", TEXTS) == phrases
    assert {path.suffix for path in kept(tmp_path)} == {".phrase"}


def test_a_folder_that_cannot_be_written_keeps_nobody_from_speaking(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with structlog.testing.capture_logs() as logs:
        found = run(PhraseStore(tmp_path / "file" / "x").phrases("heart", TEXTS, Made()))
    assert found.keys() == TEXTS.keys()
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "phrases not kept"
    ]


def test_what_nobody_asks_for_is_forgotten(tmp_path: Path) -> None:
    store, long_ago = PhraseStore(tmp_path), time.time() - FORGOTTEN_S - 60

    async def scene() -> None:
        await store.phrases("heart", TEXTS, Made())
        (tmp_path / "abc.1-2.part").touch()
        (tmp_path / "other.txt").touch()
        for path in kept(tmp_path):
            os.utime(path, (long_ago, long_ago))
        await store.phrases("heart", {"greeting": TEXTS["greeting"]}, Made())  # is asked for again
        await store.phrases("heart", {"new": "Something new."}, Made())

    run(scene())
    assert store._load_all("heart", {**TEXTS, "new": "Something new."}).keys() == {
        "greeting",
        "new",
    }
    assert len(kept(tmp_path)) == 3, "and what is no phrase is nobody's business"


@given(raw=st.binary(max_size=200))
def test_no_bytes_on_disk_are_more_than_a_phrase_that_is_missing(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.phrase"
    path.write_bytes(raw)
    assert PhraseStore._load(path, "Hello.") is None


@given(
    text=st.text(min_size=1, max_size=80),
    ulaw=st.binary(min_size=1, max_size=400),
    times=st.lists(
        st.tuples(st.floats(0, 60), st.floats(0, 60), st.text(max_size=20)), max_size=10
    ),
)
def test_what_is_kept_is_what_was_made(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    ulaw: bytes,
    times: list[tuple[float, float, str]],
) -> None:
    store = PhraseStore(tmp_path_factory.getbasetemp() / "kept")
    phrase = Phrase(text, ulaw, times)
    store._save_all("heart", {"x": phrase})
    assert store._load_all("heart", {"x": text}) == {"x": phrase}


# --- in a reply --------------------------------------------------------------------------------


def test_timed_words_are_placed_where_they_are_said() -> None:
    script = Script()
    Phrase("Hello there.", bytes(8000), [(0.0, 0.4, "Hello"), (0.5, 1.0, "there.")]).place(
        script, 4000
    )
    assert script.heard(4000 + 4800, 4000, 12_000) == "Hello"
    assert script.heard(12_000, 4000, 12_000) == "Hello there."


def test_words_without_times_are_spread_over_the_audio() -> None:
    script = Script()
    Phrase("Hello there.", bytes(8000)).place(script, 4000)
    assert script.heard(4000, 4000, 12_000) == ""
    assert script.heard(8000, 4000, 12_000) == "Hello"
    assert script.heard(12_000, 4000, 12_000) == "Hello there."
