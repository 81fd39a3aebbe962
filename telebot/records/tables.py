"""The tables of the record, as SQLAlchemy Core sees them; `migrations/` makes them.

Portable on purpose: plain columns, JSON kept as text, aware UTC datetimes. `writer.py` fills them,
`reading.py` reads them, `retention.py` empties them.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

NAME_CHARS = 128  # carriers, agents, providers, reasons
NUMBER_CHARS = 256  # E.164, SIP users, carriers' call ids
ID_CHARS = 64


class Utc(TypeDecorator[datetime]):
    """Aware UTC datetimes, also where the database keeps none (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is UTC:
            return value
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _of_call() -> Column[str]:
    return Column(
        "call_id",
        String(ID_CHARS),
        ForeignKey("calls.id", ondelete="CASCADE"),
        primary_key=True,
    )


calls = Table(
    "calls",
    metadata,
    Column("id", String(ID_CHARS), primary_key=True),
    Column("server", String(ID_CHARS), nullable=False),  # whose call: closes it after a crash
    Column("carrier", String(NAME_CHARS), nullable=False),
    Column("carrier_call_id", String(NUMBER_CHARS), nullable=False),
    Column("direction", String(NAME_CHARS), nullable=False),
    Column("phone_from", String(NUMBER_CHARS), nullable=False),
    Column("phone_to", String(NUMBER_CHARS), nullable=False),
    Column("agent", String(NAME_CHARS), nullable=False),
    Column("state", String(NAME_CHARS), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("answered_at", Utc),
    Column("ended_at", Utc),
    Column("result", String(NAME_CHARS)),
    Column("reason", String(NAME_CHARS)),
    Column("recording", String(NAME_CHARS), nullable=False),  # recording.py: RecordingState
    Column("recording_path", String(NUMBER_CHARS)),  # below the data folder
    Column("recording_s", Float),
    Column("recording_error", String(NAME_CHARS)),
    Column("metadata", Text),  # JSON, of whoever had us make the call
    Column("key_id", String(ID_CHARS)),  # of a session: whose it is, and who alone may see it
    Column("user_id", String(ID_CHARS)),  # which of the key's owner's users it is, where known
    Column("variant", Text),  # of flags, as in `work`
    Index(None, "created_at", "id"),
    Index(None, "key_id", "user_id"),
    Index(None, "carrier", "carrier_call_id"),
    Index(None, "ended_at"),
)

turns = Table(
    "turns",
    metadata,
    _of_call(),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("started_at", Utc, nullable=False),
    Column("caller_text", Text),
    Column("bot_text", Text, nullable=False),
    Column("bot_text_heard", Text, nullable=False),
    Column("interrupted", Boolean, nullable=False),
    Column("stt", String(NAME_CHARS)),
    Column("llm", String(NAME_CHARS)),
    Column("tts", String(NAME_CHARS)),
    Column("heard_ms", Float),
    Column("endpointing_ms", Float),
    Column("stt_ms", Float),
    Column("llm_first_token_ms", Float),
    Column("tts_first_audio_ms", Float),
    Column("transport_ms", Float),
    Column("caller_offset_s", Float),
    Column("bot_offset_s", Float),
    Column("cost_micros", BigInteger),  # as in `costs`; its currency is the call's
)


def _seq() -> Column[int]:
    return Column("seq", BigInteger, primary_key=True, autoincrement=False)


notes = Table(
    "notes",
    metadata,
    _of_call(),
    _seq(),
    Column("kind", String(NAME_CHARS), nullable=False),
    Column("fields", Text, nullable=False),  # JSON
    Column("at", Utc, nullable=False),
    Column("replaces", Boolean, nullable=False),
)

events = Table(
    "events",
    metadata,
    _of_call(),
    _seq(),
    Column("at", Utc, nullable=False),
    Column("offset_s", Float),
    Column("name", String(NAME_CHARS), nullable=False),
    Column("fields", Text, nullable=False),  # JSON
)

costs = Table(
    "costs",
    metadata,
    _of_call(),
    _seq(),
    Column("kind", String(NAME_CHARS), nullable=False),  # carrier, stt, llm, tts, realtime
    Column("provider", String(NAME_CHARS), nullable=False),
    Column("quantity", Float, nullable=False),
    Column("unit", String(NAME_CHARS), nullable=False),
    Column("amount_micros", BigInteger),  # millionths of `currency`; NULL: the price is not known
    Column("currency", String(3), nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(ID_CHARS), primary_key=True),
    Column("name", String(NAME_CHARS), nullable=False),
    Column("scope", String(NAME_CHARS), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),  # SHA-256, hex
    Column("source", String(NAME_CHARS), nullable=False),  # created, generated, environment
    Column("created_at", Utc, nullable=False),
    Column("last_used_at", Utc),
    Column("revoked_at", Utc),
    Column("requests_per_minute", Integer),
    Column("monthly_budget", Float),
    Column("models", Text),  # JSON list of what it may use; NULL: anything
    Column("tier", String(NAME_CHARS)),  # NULL: normal
    Column("expires_at", Utc),
    Column("previous_hash", String(64)),  # the secret before, good until then
    Column("previous_until", Utc),
)

work = Table(
    "work",  # voice work that is no call, one row a request
    metadata,
    Column("id", String(ID_CHARS), primary_key=True),
    Column("at", Utc, nullable=False, index=True),
    Column("key_id", String(ID_CHARS), nullable=False),
    Column("kind", String(NAME_CHARS), nullable=False),  # stt, tts, llm, realtime
    Column("provider", String(NAME_CHARS), nullable=False),  # "": nobody did it
    Column("own_key", Boolean, nullable=False),
    Column("seconds", Float),
    Column("characters", BigInteger),
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
    Column("amount_nanos", BigInteger),  # billionths of `currency`; NULL: the price is not known
    Column("currency", String(3), nullable=False),
    Column("ms", Float, nullable=False),
    Column("first_ms", Float),
    Column("tried", Integer, nullable=False),
    Column("error", String(NAME_CHARS), nullable=False),  # "": it was done
    Column("attempts", Text, nullable=False),  # JSON
    Column("user_id", String(ID_CHARS)),  # within the key's owner; NULL: none, or not to be linked
    Column("variant", Text),  # of flags: "flag:variant", several with commas
    Column("agent", String(NAME_CHARS)),  # whose chat it was; NULL: nobody's
    Column("cache", String(8)),  # hit, miss; NULL: no kept sound was looked for
    Column("saved_nanos", BigInteger),  # what a hit would have cost
    Index(None, "key_id", "user_id"),
)

provider_keys = Table(
    "provider_keys",
    metadata,
    Column("id", String(ID_CHARS), primary_key=True),
    Column("owner", String(ID_CHARS), nullable=False, index=True),  # an API key's id
    Column("provider", String(NAME_CHARS), nullable=False),
    Column("label", String(NAME_CHARS), nullable=False),
    Column("masked", String(NAME_CHARS), nullable=False),
    Column("position", Integer, nullable=False),
    Column("fallback", Boolean, nullable=False),
    Column("allowed_models", Text, nullable=False),  # JSON list
    Column("sealed", Text, nullable=False),  # base64 of nonce and AES-256-GCM
    Column("sealed_by", String(ID_CHARS), nullable=False),  # which of the vault's keys
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
)

preferences = Table(
    "preferences",
    metadata,
    Column("owner", String(ID_CHARS), primary_key=True),  # an API key's id
    Column("user_id", String(ID_CHARS), primary_key=True),  # "": the owner's own
    Column("settings", Text, nullable=False),  # JSON
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
)

flags = Table(
    "flags",
    metadata,
    Column("name", String(ID_CHARS), primary_key=True),
    Column("settings", Text, nullable=False),  # JSON
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", String(ID_CHARS), primary_key=True),
    Column("at", Utc, nullable=False, index=True),
    Column("key_id", String(ID_CHARS), nullable=False),
    Column("action", String(NAME_CHARS), nullable=False),
    Column("fields", Text, nullable=False),  # JSON, no secrets
)
