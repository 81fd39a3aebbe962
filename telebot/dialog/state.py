"""Where a conversation stands: an immutable value that goes into `Brain.step` and comes out new.

It is small and JSON-able, so a call can be handed to another machine between two turns.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from telebot.dialog.actions import FieldValue

Stage = Literal["idle", "filling", "confirming", "changing"]
STAGES = frozenset(("idle", "filling", "confirming", "changing"))


@dataclass(frozen=True, slots=True)
class DialogState:
    """`slots` are the open form's values; `awaiting` is the slot that was asked for last.

    `done_form` and `done_slots` are what was recorded last: it can still be corrected.
    """

    stage: Stage = "idle"
    form: str | None = None
    slots: tuple[tuple[str, FieldValue], ...] = ()
    awaiting: str | None = None
    last_filled: tuple[str, ...] = ()
    pending_forms: tuple[str, ...] = ()
    done_form: str | None = None
    done_slots: tuple[tuple[str, FieldValue], ...] = ()
    reopened: bool = False
    offered: str | None = None
    asked_more: bool = False
    misses: int = 0
    turns: int = 0
    last_reply: str = ""
    caller_number: str | None = None

    @property
    def values(self) -> dict[str, FieldValue]:
        """The open form's slots as a fresh dict."""
        return dict(self.slots)

    def without_form(self) -> DialogState:
        """The same conversation with no form open."""
        return replace(self, stage="idle", form=None, slots=(), awaiting=None, last_filled=(),
                       reopened=False)  # fmt: skip

    def to_json(self) -> str:
        """One JSON object; `from_json` gives the same state back."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> DialogState:
        """Raises ValueError for anything `to_json` would not have written."""
        raw = json.loads(text)
        if not isinstance(raw, dict) or not set(raw) <= set(cls.__dataclass_fields__):
            raise ValueError("not a dialog state")
        if raw.get("stage", "idle") not in STAGES:
            raise ValueError("not a dialog state: unknown stage")
        return cls(**_with_tuples(raw))


def _with_tuples(raw: dict[str, Any]) -> dict[str, Any]:
    slots, done = _slots(raw.pop("slots", ())), _slots(raw.pop("done_slots", ()))
    for name in ("last_filled", "pending_forms"):
        raw[name] = tuple(str(item) for item in raw.get(name, ()))
    return {**raw, "slots": slots, "done_slots": done}


def _slots(pairs: Any) -> tuple[tuple[str, FieldValue], ...]:
    try:
        slots = tuple((str(name), value) for name, value in pairs)
    except (TypeError, ValueError) as error:
        raise ValueError("not a dialog state: bad slots") from error
    if not all(isinstance(value, str | int) for _, value in slots):
        raise ValueError("not a dialog state: bad slot value")
    return slots
