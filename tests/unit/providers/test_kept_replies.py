"""Replies that are given again: to the same first question of the same agent by the same model, for
a time, within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from telebot.providers.kept_replies import LONGEST_REPLY, KeptReplies, Reuse
from telebot.providers.link import Link

pytestmark = pytest.mark.unit

SAID = ("We are open every day.", "Do come.")
GREETING = {"role": "assistant", "content": "Hello there."}


class Anything:
    """Takes everything but the word secret."""

    def question(self, text: str) -> str | None:
        return None if "secret" in text else text.lower()

    def reply(self, text: str) -> bool:
        return "secret" not in text


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def link(name: str = "openai/gpt", whole: bool = False) -> Link:
    return Link(name, None, None, None, whole=whole)  # type: ignore[arg-type]


def reuse_of(kept: KeptReplies, version: str = "1", life_s: float = 60.0) -> Reuse:
    return Reuse(kept, version, life_s, Anything())


def asked(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_the_same_question_is_answered_by_what_was_said() -> None:
    reuse = reuse_of(KeptReplies(Clock()))
    question = reuse.question([GREETING, asked("Open?")])
    assert question is not None
    assert reuse.find(question, [link()]) is None
    reuse.offer(question, link(), SAID)
    assert reuse.find(question, [link("a/b"), link()]) == (link(), SAID)
    now = reuse.kept.stats()
    assert (now.hits, now.misses, now.entries) == (1, 1, 1)


def test_another_version_model_greeting_or_question_is_another_reply() -> None:
    kept = KeptReplies(Clock())
    reuse = reuse_of(kept)
    question = reuse.question([GREETING, asked("Open?")]) or ""
    reuse.offer(question, link(), SAID)
    assert reuse_of(kept, "2").find(question, [link()]) is None
    assert reuse.find(question, [link("openai/other")]) is None
    for messages in (
        [{"role": "assistant", "content": "Hello"}, asked("Open?")],
        [asked("Open?")],
        [GREETING, asked("Closed?")],
    ):
        assert reuse.find(reuse.question(messages) or "", [link()]) is None


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [GREETING],
        [GREETING, asked("Open?"), GREETING],
        [GREETING, asked("Open?"), GREETING, asked("And on Mondays?")],
        [asked("Open?"), asked("Open?")],
        [{"role": "system", "content": "Be brief."}, asked("Open?")],
        [{"role": "user", "content": [{"type": "text", "text": "Open?"}]}],
        [{**asked("Open?"), "tool_calls": []}],
        [object()],
        [asked("my secret")],
    ],
)
def test_only_a_first_question_that_anybody_may_ask_counts(messages: list[Any]) -> None:
    assert reuse_of(KeptReplies(Clock())).question(messages) is None


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (link(whole=True), SAID),
        (link(), ("That is a secret.",)),
        (link(), ()),
        (link(), ("word " * LONGEST_REPLY,)),
    ],
)
def test_what_may_not_be_kept_is_not(by: Link, said: tuple[str, ...]) -> None:
    reuse = reuse_of(KeptReplies(Clock()))
    reuse.offer("open?", by, said)
    assert reuse.kept.stats().entries == 0
    assert reuse.find("open?", [link(whole=True)]) is None


def test_a_reply_lives_for_its_time() -> None:
    clock = Clock()
    reuse = reuse_of(KeptReplies(clock))
    reuse.offer("open?", link(), SAID)
    clock.now = 59.0
    assert reuse.find("open?", [link()])
    clock.now = 60.0
    assert reuse.find("open?", [link()]) is None
    assert reuse.kept.stats().entries == 0


def test_they_stay_within_their_bound() -> None:
    reuse = reuse_of(KeptReplies(Clock(), limit_bytes=1000))
    for number in range(10):
        reuse.offer(f"question {number}", link(), SAID)
        reuse.find("question 0", [link()])
    assert reuse.kept.stats().size_bytes <= 1000
    assert reuse.find("question 0", [link()]), "used all the time"
    assert reuse.find("question 9", [link()])
    assert reuse.find("question 5", [link()]) is None
