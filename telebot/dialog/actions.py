"""What a reply asks the call to do besides speaking; the session in `speech/` carries it out.

Nothing here acts: a turn that is discarded drops its actions with its state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FieldValue = str | int
RecordKind = Literal["booking", "cancellation", "message"]


@dataclass(frozen=True, slots=True)
class EndCall:
    """Hang up once the reply's text was heard. `reason` is a short machine word ("goodbye")."""

    reason: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Put the caller through once the reply's text was heard. `to` is a phone number or SIP URI;
    `warm`: the person is rung up first and told what it is about, where the carrier can."""

    to: str
    warm: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """Something to keep with the call.

    Fields carry the form's slot names: numbers as int, dates as "2026-11-27", times as "19:30",
    phones as digits with an optional leading "+", everything else as text. `replaces` is True when
    the caller corrected what this call recorded last under the same kind.
    """

    kind: RecordKind
    fields: Mapping[str, FieldValue]
    replaces: bool = False


Action = EndCall | Transfer | Record
