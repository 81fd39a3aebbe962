"""The audit log: who changed what of the configuration, without secrets and without values.

An entry is written in the transaction of its change, so that neither is there without the other.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Insert, insert

from telebot.records.rows import clean, to_json
from telebot.records.tables import ID_CHARS, NAME_CHARS, audit


def entry(who: str, at: datetime, action: str, fields: Mapping[str, Any]) -> Insert:
    """The statement that writes a change down. `who` is an API key's id."""
    return insert(audit).values(
        id=secrets.token_hex(8),
        at=at,
        key_id=clean(who, ID_CHARS),
        action=clean(action, NAME_CHARS),
        fields=to_json(fields),
    )
