"""Which of OpenAI's realtime responses is the one that the caller waits for, and how much of it was
said by which item. Pure.

https://developers.openai.com/api/reference/resources/realtime/server-events (`response.created` to
`response.done`, usage), …/client-events (`conversation.item.truncate`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BYTES_PER_MS = 8  # of mu-law, as a telephone has it


@dataclass(slots=True)
class _Item:
    name: str
    index: int
    said: int = 0  # bytes of audio


class Responses:
    """One session's responses: one at a time; what comes of a cut one is not to be heard."""

    def __init__(self, bytes_per_ms: int = BYTES_PER_MS) -> None:
        self._bytes_per_ms = bytes_per_ms
        self._asked = self._begun = 0
        self._cut_before = 0  # responses up to this one are over for the caller
        self.name: str | None = None  # of the one that is under way and to be heard
        self._items: list[_Item] = []
        self._owed = False  # another one is wanted once the one under way is over
        self.active = False

    def wanted(self) -> bool:
        """A response is wanted: whether it can be asked for now; else it will be owed."""
        self._owed = self.active
        return not self.active

    def asked(self) -> None:
        self._asked += 1
        self._owed = False
        self.active = True

    def begun(self, name: str) -> bool:
        """One begins: whether it is to be heard."""
        self._begun += 1
        if self._begun <= self._cut_before:
            return False
        self.name = name
        self._items.clear()
        return True

    def live(self, name: Any) -> bool:
        return name is not None and name == self.name

    @property
    def owed(self) -> bool:
        """Another one is wanted, and none is under way."""
        return self._owed and not self.active

    @property
    def spoken(self) -> bool:
        """The last one has said something."""
        return bool(self._items)

    def audio(self, response: Any, item: Any, index: int, size: int) -> bool:
        """So much audio of an item came: whether it is to be heard."""
        if not self.live(response):
            return False
        if not self._items or self._items[-1].name != item:
            self._items.append(_Item(str(item), index))
        self._items[-1].said += size
        return True

    def done(self, name: str) -> tuple[bool, bool]:
        """One is over: whether it was the one to be heard, and whether the next is owed."""
        live, owed = self.live(name), self._owed
        self.active = False
        if live:
            self.name = None
        return live, owed

    def cut(self, heard_s: float) -> Iterator[tuple[str, int, int]]:
        """The caller has heard so much of the last one and interrupts: (item, content index, end in
        ms) of each item that was not heard to its end."""
        self._cut_before, self.name, self._owed = self._asked, None, False
        left_ms = int(heard_s * 1000)
        items, self._items = self._items, []
        for item in items:
            length_ms = item.said // self._bytes_per_ms
            if left_ms < length_ms:
                yield item.name, item.index, left_ms
            left_ms = max(0, left_ms - length_ms)


def item_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of the conversation as an item of OpenAI's."""
    role = str(message.get("role"))
    role = role if role in ("user", "assistant") else "system"
    kind = "output_text" if role == "assistant" else "input_text"
    part = {"type": kind, "text": str(message.get("content") or "")}
    return {"type": "message", "role": role, "content": [part]}


def usage(told: Mapping[str, Any]) -> Iterator[tuple[float, str]]:
    """What a response used, as `call.model.Usage` names it. Cached tokens stand in the counts of
    their sort, too."""
    heard, said = told.get("input_token_details") or {}, told.get("output_token_details") or {}
    cached = heard.get("cached_tokens_details") or {}
    for sort in ("text", "audio"):
        fresh = (heard.get(f"{sort}_tokens") or 0) - (cached.get(f"{sort}_tokens") or 0)
        yield max(0, fresh), f"{sort}_tokens_in"
        yield said.get(f"{sort}_tokens") or 0, f"{sort}_tokens_out"
    yield heard.get("cached_tokens") or 0, "cached_tokens_in"
