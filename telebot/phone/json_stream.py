"""What the streams of JSON text messages have in common, from the carrier's end.

A subclass makes its messages and says in `told` what the server's mean. Next: `twilio_stream.py`
and its neighbours.
"""

from __future__ import annotations

import base64
import binascii
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import orjson

from telebot.phone.stream import CarrierStream, Message


class JsonStream(CarrierStream):
    """One media stream of JSON messages."""

    def obey(self, message: Message) -> Sequence[Message]:
        if isinstance(message, bytes):
            self.fault("a binary message")
            return []
        try:
            tree = orjson.loads(message)
        except orjson.JSONDecodeError:
            self.fault("not JSON")
            return []
        if not isinstance(tree, dict):
            self.fault("not an object")
            return []
        return self.told(tree)

    @abstractmethod
    def told(self, tree: dict[str, Any]) -> Sequence[Message]:
        """The server says something; what is answered."""

    def usual(self, tree: dict[str, Any]) -> Sequence[Message]:
        """Audio, marks and clears, by the names that several carriers have for them."""
        match tree.get("event"):
            case "media":
                self.queue(inner(tree, "media", "payload"))
            case "mark":
                return self.mark_named(inner(tree, "mark", "name"))
            case "clear":
                return self.clear()
            case _:
                self.fault("unknown event")
        return []

    def queue(self, payload: str | None) -> None:
        """Play what a message carries in base64."""
        try:
            audio = base64.b64decode(payload or "", validate=True)
        except (binascii.Error, ValueError):
            self.fault("payload is not base64")
        else:
            self.play(self.as_ulaw(audio))

    def as_ulaw(self, audio: bytes) -> bytes:
        """The wire's audio as mu-law, which is what most carry."""
        return audio

    def mark_named(self, name: str | None) -> list[Message]:
        """The server wants to know when all before this was played."""
        if name is None:
            self.fault("mark without a name")
            return []
        return self.mark(name)

    def only(self, tree: dict[str, Any], *names: str) -> None:
        """A fault where a message has members that the carrier does not know."""
        if unknown := tree.keys() - set(names):
            self.fault(f"unknown members: {', '.join(sorted(unknown))}")


def inner(tree: dict[str, Any], group: str, name: str) -> str | None:
    """``tree[group][name]`` where it is a text."""
    content = tree.get(group)
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, str) else None
