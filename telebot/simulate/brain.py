"""What the simulated language models say: plain answers of a few sentences, always the same for
the same question, so that what a caller heard can be compared with what was said; JSON where the
request brings a schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from telebot.simulate.tools import arguments

ANSWERS = (
    (r"\bopen|hours|close", "We are open from Tuesday to Sunday, from noon until ten at night. "
     "On Mondays we are closed, and the kitchen rests as well."),
    (r"\bpark", "There is a free car park behind the building. "
     "You reach it by the small lane on the left side."),
    (r"\baddress|where", "You find us at twelve Harbour Street, right beside the old lighthouse. "
     "The bus stops at the door every ten minutes."),
    (r"\bbook|table", "I would be glad to book a table for you. "
     "For how many people shall it be, and on which day?"),
    (r"bye\b", "Thank you for calling. Goodbye."),
)  # fmt: skip
ELSE = "I am happy to help you with that. Could you tell me a little more about what you need?"

Answer = Callable[[Sequence[dict[str, Any]]], str]


class Answers:
    """The text of a reply to a conversation. `answer` may be replaced by a test's own."""

    def __init__(self) -> None:
        self.answer: Answer = plain

    def tokens(
        self, messages: Sequence[dict[str, Any]], schema: Mapping[str, Any] | None = None
    ) -> list[str]:
        """The reply in the pieces that a model streams: a word each, with the space before it. By a
        `schema` it is a JSON text (`tools.arguments`), unless a test's own answer is set."""
        if schema is not None and self.answer is plain:
            asked = [text(each) for each in messages if each.get("role") == "user"]
            said = json.dumps(arguments(schema, asked[-1] if asked else ""))
        else:
            said = self.answer(messages)
        return re.findall(r"\s*\S+", said)


def plain(messages: Sequence[dict[str, Any]]) -> str:
    """By the last thing the caller said. Where the conversation ends in the beginning of a reply
    (the caller has heard that much of it already), the rest of that reply."""
    # some vendors know no instructions within a conversation: they come as words of the caller
    callers = (text(m) for m in reversed(messages) if m.get("role") == "user")
    asked = next((words for words in callers if "«" not in words), "")
    whole = next((said for pattern, said in ANSWERS if re.search(pattern, asked.lower())), ELSE)
    last = messages[-1] if messages else {}
    begun = text(last) if last.get("role") == "assistant" else _quoted(messages)
    return whole[len(begun) :].lstrip() if begun and whole.startswith(begun) else whole


def text(message: dict[str, Any]) -> str:
    """A message's text, its content being a string or a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def _quoted(messages: Sequence[dict[str, Any]]) -> str:
    """What an instruction to go on puts between «»."""
    for message in reversed(messages):
        found = re.search(r"«(.*?)»", text(message), re.DOTALL)
        if found:
            return found[1]
    return ""
