"""Replies of language models to work that is no call: a conversation in, a text out. What vendors'
files offer.

A vendor's `NAME_replies.py` builds a `Replier` (`registry.REPLIERS`) for one request's key, as
`clips.py` has it for speech; `telebot/voice/replying.py` picks one, tries the next where it fails,
and counts. Each asks its vendor once. What goes wrong is a `ClipFailed` with its cause; no key and
no word of the vendor's stands in it.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from telebot.providers.clips import Use

Role = Literal["system", "user", "assistant"]
# what a model may be able to do beyond the text; a request may demand it
ReplyingAbility = Literal["temperature", "schema"]

MOST_TOKENS = 1024  # of an answer, where nobody says more
USUAL_TOKENS = 256  # of an answer, before it is known
LETTERS_A_TOKEN = 4  # about, in English


@dataclass(frozen=True, slots=True)
class Message:
    """One part of a conversation. `system` parts are instructions; models take them as one, before
    everything else."""

    role: Role
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be answered. Ends in a user's message. `temperature` None is the model's own;
    `schema` is a JSON schema that the answer, then a JSON text, is to follow; `options` go to the
    vendor as they are."""

    messages: tuple[Message, ...]
    most_tokens: int = MOST_TOKENS
    temperature: float | None = None
    schema: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def instructions(self) -> str:
        """All `system` parts as one."""
        return "\n\n".join(each.text for each in self.messages if each.role == "system")

    @property
    def turns(self) -> list[Message]:
        """The rest, parts of one speaker in a row as one: some vendors want them in turns."""
        joined: list[Message] = []
        for each in self.messages:
            if each.role == "system" or not each.text.strip():
                continue
            before = f"{joined.pop().text}\n\n" if joined and joined[-1].role == each.role else ""
            joined.append(Message(each.role, before + each.text))
        return joined


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a reply: what the vendor bills (None: it does not say), and whether the text was
    cut at `most_tokens`."""

    uses: tuple[Use, ...] | None
    cut: bool = False


class Replier(Protocol):
    """One vendor and model with one key. Not connected before it is asked; keeps no state of a
    request, so that several may ask at once."""

    model: str
    abilities: frozenset[ReplyingAbility]

    def reply(self, question: Question) -> AsyncIterator[str | Finished]:
        """The text as it comes, piece by piece; `Finished` last. Closing the iterator, or
        cancelling who reads it, ends the vendor's request. Raises `ClipFailed`, also in the middle,
        and where the reply ends without its end."""
        ...


def tokens(sent: int, said: int, cached: int = 0) -> tuple[Use, ...]:
    """The usual bill of a model. `cached` are those of `sent` that cost less."""
    uses = (
        Use(float(sent - cached), "tokens_in"),
        Use(float(cached), "cached_tokens_in"),
        Use(float(said), "tokens_out"),
    )
    return tuple(use for use in uses if use.quantity > 0)


def estimated(question: Question, said: str) -> tuple[Use, ...]:
    """What a vendor bills that did not live to say it, by the letters."""
    return tokens(_sent(question), math.ceil(len(said) / LETTERS_A_TOKEN))


def expected(question: Question) -> tuple[Use, ...]:
    """About what will be billed."""
    return tokens(_sent(question), min(question.most_tokens, USUAL_TOKENS))


def _sent(question: Question) -> int:
    return math.ceil(sum(len(each.text) for each in question.messages) / LETTERS_A_TOKEN)


def strict(schema: Any) -> bool:
    """Whether a schema says of every object that it has these properties, all of them, and no
    others: some vendors keep to the letter only of such a one."""
    return all(
        part.get("additionalProperties") is False
        and set(part.get("required", ())) == set(part["properties"])
        for part in _objects(schema)
    )


def _objects(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("properties"), Mapping):
            yield schema
        for part in schema.values():
            yield from _objects(part)
    elif isinstance(schema, Sequence) and not isinstance(schema, str):
        for part in schema:
            yield from _objects(part)
