"""From the core's nouns to rows: what a queue, a spill file and a database can all hold.

Pure. Hostile text is made storable here (NUL bytes, lone surrogates, lengths), so that one caller's
words never stop everybody's records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from telebot.call.model import Call, Note, Turn, WireEvent
from telebot.records.cost import CostItem
from telebot.records.tables import ID_CHARS, NAME_CHARS, NUMBER_CHARS

TEXT_CHARS = 20_000  # one side of one turn
FIELDS_CHARS = 16_384  # the JSON of one event or note


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to write. `op` names a statement of `statements.py`."""

    op: str
    values: dict[str, Any]


def clean(text: str, limit: int) -> str:
    """`text` as every database takes it: no NUL, no lone surrogates, at most `limit` characters."""
    text = text[:limit].replace("\0", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def to_json(fields: Mapping[str, Any]) -> str:
    """`fields` as JSON text of at most `FIELDS_CHARS`; what JSON cannot say is said by `str`."""
    try:
        text = orjson.dumps(dict(fields), default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError):  # lone surrogates, integers past 64 bits
        plain = {
            clean(str(key), NAME_CHARS): clean(str(value), FIELDS_CHARS)
            for key, value in fields.items()
        }
        text = orjson.dumps(plain).decode()
    return text if len(text) <= FIELDS_CHARS else '{"too_long":true}'


def opened(call: Call, server: str) -> Row:
    offer = call.offer
    return Row(
        "opened",
        {
            "id": clean(call.id, ID_CHARS),
            "server": server,
            "carrier": clean(offer.carrier, NAME_CHARS),
            "carrier_call_id": clean(offer.carrier_call_id, NUMBER_CHARS),
            "direction": clean(offer.direction, NAME_CHARS),
            "phone_from": clean(offer.phone_from, NUMBER_CHARS),
            "phone_to": clean(offer.phone_to, NUMBER_CHARS),
            "agent": clean(call.agent, NAME_CHARS),
            "state": call.state.value,
            "created_at": call.created_at,
            "recording": "off",
            "metadata": to_json(call.metadata) if call.metadata else None,
            "key_id": clean(offer.key_id, ID_CHARS) or None,
        },
    )


def dialled(call: Call) -> Row:
    named = clean(call.offer.carrier_call_id, NUMBER_CHARS)
    return Row("dialled", {"b_id": call.id, "carrier_call_id": named})


def chosen(call: Call, user: str, variant: str) -> Row:
    return Row(
        "chosen",
        {
            "b_id": call.id,
            "key_id": clean(call.offer.key_id, ID_CHARS) or None,
            "user_id": clean(user, ID_CHARS) or None,
            "variant": variant or None,
            "agent": clean(call.agent, NAME_CHARS),
        },
    )


def turn(call_id: str, turn: Turn, cost_micros: int | None = None) -> Row:
    latency, providers = turn.latency_ms, turn.providers
    return Row(
        "turn",
        {
            "call_id": call_id,
            "index": turn.index,
            "started_at": turn.started_at,
            "caller_text": None
            if turn.caller_text is None
            else clean(turn.caller_text, TEXT_CHARS),
            "bot_text": clean(turn.bot_text, TEXT_CHARS),
            "bot_text_heard": clean(turn.bot_text_heard, TEXT_CHARS),
            "interrupted": turn.interrupted,
            "stt": _name(providers.get("stt")),
            "llm": _name(providers.get("llm")),
            "tts": _name(providers.get("tts")),
            "heard_ms": latency.heard,
            "endpointing_ms": latency.endpointing,
            "stt_ms": latency.stt,
            "llm_first_token_ms": latency.llm_first_token,
            "tts_first_audio_ms": latency.tts_first_audio,
            "transport_ms": latency.transport,
            "caller_offset_s": turn.caller_offset_s,
            "bot_offset_s": turn.bot_offset_s,
            "cost_micros": cost_micros,
        },
    )


def note(call_id: str, seq: int, note: Note) -> Row:
    return Row(
        "note",
        {
            "call_id": call_id,
            "seq": seq,
            "kind": clean(note.kind, NAME_CHARS),
            "fields": to_json(note.fields),
            "at": note.at,
            "replaces": note.replaces,
        },
    )


def event(call_id: str, seq: int, event: WireEvent) -> Row:
    return Row(
        "event",
        {
            "call_id": call_id,
            "seq": seq,
            "at": event.at,
            "offset_s": event.offset_s,
            "name": clean(event.name, NAME_CHARS),
            "fields": to_json(event.fields),
        },
    )


def cost(call_id: str, seq: int, item: CostItem, currency: str) -> Row:
    return Row(
        "cost",
        {
            "call_id": call_id,
            "seq": seq,
            "kind": item.kind,
            "provider": clean(item.provider, NAME_CHARS),
            "quantity": item.quantity,
            "unit": item.unit,
            "amount_micros": item.amount_micros,
            "currency": currency,
        },
    )


def worked(values: Mapping[str, Any]) -> Row:
    """`values` as the columns of `tables.work` are named; `attempts` a list of mappings."""
    told = {
        "key_id": clean(values["key_id"], ID_CHARS),
        "user_id": clean(values.get("user_id") or "", ID_CHARS) or None,
        "variant": values.get("variant") or None,
        "agent": clean(values.get("agent") or "", NAME_CHARS) or None,
        "cache": values.get("cache") or None,
        "saved_nanos": values.get("saved_nanos"),
        "provider": clean(values["provider"], NAME_CHARS),
        "error": clean(values["error"], NAME_CHARS),
        "attempts": to_json({"attempts": values["attempts"]}),
    }
    return Row("work", {**values, **told})


LATER = ("user_id", "variant", "agent", "cache", "saved_nanos")  # columns of `work`


def to_line(row: Row) -> bytes:
    """One line of a spill file."""
    return orjson.dumps([row.op, row.values]) + b"\n"


def from_line(line: bytes) -> Row:
    """A line of a spill file. Raises ValueError."""
    op, values = orjson.loads(line)
    if not isinstance(op, str) or not isinstance(values, dict):
        raise ValueError("not a row")
    if op == "work":  # of a version that knew less
        values = dict.fromkeys(LATER) | values
    for key, value in values.items():
        if (key == "at" or key.endswith("_at")) and value is not None:
            values[key] = datetime.fromisoformat(value)
    return Row(op, values)


def _name(text: str | None) -> str | None:
    return None if text is None else clean(text, NAME_CHARS)
