"""What becomes of a text before it is spoken."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.call.errors import ApiError, ConfigError
from telebot.voice import filters
from telebot.voice.filters import ALLOW, About, Filters, refuse, replace
from telebot.voice_settings import FilterSettings

pytestmark = pytest.mark.unit

ABOUT = About("key")


def ruled(*rules: dict[str, object], **settings: object) -> Filters:
    return filters.build(FilterSettings.model_validate({"rules": rules, **settings}))


def asked(found: Filters, text: str) -> str:
    return asyncio.run(found.judged(text, ABOUT))


class Judge:
    """Answers by what it is told to."""

    def __init__(self, does):
        self.does = does
        self.seen: list[str] = []

    async def judge(self, text, about):
        self.seen.append(text)
        done = self.does(text)
        return await done if asyncio.iscoroutine(done) else done


def of(*judges: Judge, **settings: object) -> Filters:
    named = [(f"judge{number}", judge) for number, judge in enumerate(judges)]
    return Filters(named, FilterSettings.model_validate(settings))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Well, darn it.", "Well, *** it."),
        ("DARN", "***"),
        ("darning socks", "darning socks"),
        ("a darn-good day", "a ***-good day"),
        ("holy\n cow!", "***!"),
        ("holy cows", "holy cows"),
        ("straße", "straße"),
    ],
)
def test_whole_words_are_replaced(text, said):
    assert asked(ruled({"words": ["darn", "holy cow"], "replace": "***"}), text) == said


def test_a_replacement_is_taken_as_it_is_written():
    assert asked(ruled({"pattern": r"(\d)", "replace": r"\1\g<0>"}), "a 5") == r"a \1\g<0>"


def test_a_text_is_refused_with_a_reason_but_without_its_words():
    with pytest.raises(ApiError) as refused:
        asked(ruled({"pattern": r"\b\d{4} \d{4}\b"}), "my card is 1234 5678")
    assert (refused.value.status, refused.value.code) == (422, "content_refused")
    assert "1234" not in str(refused.value)
    assert refused.value.metadata == {"filter": "rules"}


def test_of_a_text_of_which_nothing_is_left_nothing_is_said():
    with pytest.raises(ApiError) as refused:
        asked(ruled({"words": ["darn"], "replace": ""}), "darn")
    assert refused.value.code == "content_refused"


@pytest.mark.parametrize("pattern", ["(", "*", "(?P<a>", "[z-a]"])
def test_a_pattern_that_is_none_is_refused_at_the_start(pattern):
    with pytest.raises(ValueError, match="regular expression"):
        FilterSettings.model_validate({"rules": [{"pattern": pattern}]})


async def test_a_pattern_with_more_ways_than_there_is_time_for_holds_nobody_up():
    judge = ruled({"pattern": r"(a|aa)+$"}, within_s=0.5)
    beats = 0

    async def others() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beside = asyncio.create_task(others())
    with pytest.raises(ApiError) as failed:
        await judge.judged("a" * 60 + "b", ABOUT)
    beside.cancel()
    assert failed.value.code == "content_filter_failed"
    assert beats > 2
    await asyncio.wait_for(asyncio.to_thread(int), 60)  # the thread is free again


def test_a_package_that_is_not_installed_is_refused_at_the_start():
    with pytest.raises(ConfigError, match="nobody"):
        filters.build(FilterSettings.model_validate({"packages": {"nobody": {}}}))


def test_each_sees_what_the_ones_before_it_have_made_of_the_text():
    first, second = Judge(lambda text: replace("two")), Judge(lambda text: ALLOW)
    found = of(first, second)
    assert asked(found, "one") == "two"
    assert (first.seen, second.seen) == (["one"], ["two"])
    assert found.counts == {"replaced": 1}


def fails(text):
    raise ValueError(text)


@pytest.mark.parametrize(
    "does",
    [fails, lambda text: None, lambda text: "allow", lambda text: asyncio.sleep(60)],
    ids=["raises", "none", "no verdict", "late"],
)
def test_one_that_fails_is_closed_or_open_by_the_settings(does, caplog):
    after = Judge(lambda text: replace("mild"))
    with pytest.raises(ApiError) as refused:
        asked(of(Judge(does), after, within_s=0.01), "secret words")
    assert (refused.value.status, refused.value.code) == (503, "content_filter_failed")
    assert after.seen == []
    opened = of(Judge(does), Judge(lambda text: ALLOW), within_s=0.01, on_failure="open")
    assert asked(opened, "secret words") == "secret words"
    assert opened.counts["failed"] >= 1
    assert "secret" not in caplog.text


def test_where_one_is_open_the_next_is_asked_all_the_same():
    after = Judge(lambda text: refuse("too wild"))
    with pytest.raises(ApiError) as refused:
        asked(of(Judge(fails), after, on_failure="open"), "words")
    assert str(refused.value) == "text: refused, too wild."


def grown(found: Filters, pieces: list[str]) -> list[str]:
    async def source():
        for piece in pieces:
            yield piece

    async def all_of_it():
        return [text async for text in found.by_sentence(source(), ABOUT)]

    return asyncio.run(all_of_it())


def test_a_growing_text_is_judged_a_sentence_at_a_time():
    judge = Judge(lambda text: replace(text.upper()))
    said = grown(of(judge), ["Hel", "lo. How ", "are you? I", " am fi", "ne"])
    assert said == ["HELLO. ", "HOW ARE YOU? ", "I AM FINE"]
    assert judge.seen == ["Hello. ", "How are you? ", "I am fine"]


@given(st.lists(st.text(alphabet="ab .!?\n。", max_size=9), max_size=30))
def test_nothing_is_lost_of_a_text_that_is_allowed(pieces):
    assert "".join(grown(of(Judge(lambda text: ALLOW)), pieces)) == "".join(pieces)


def test_a_sentence_without_an_end_is_judged_too():
    judge = Judge(lambda text: ALLOW)
    pieces = ["word "] * 500
    assert "".join(grown(of(judge), pieces)) == "".join(pieces)
    assert max(map(len, judge.seen)) <= filters.LONGEST_SENTENCE + 5


def test_without_filters_nothing_waits():
    assert grown(of(), ["a", "b"]) == ["a", "b"]
