"""What each carrier can do to a call, beside carrying it; and what is asked of one that cannot.

`docs/carriers/README.md` shows the table; a test compares them. `app.py` logs what is missing,
`telebot doctor` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from telebot.call.errors import CarrierError
from telebot.call.ports import Dials, HangsUp, SendsDigits, Transfers, TransfersWarm
from telebot.carriers.codec import PlainCodec
from telebot.carriers.port import Carrier, HasTrunks, OnThisMachine, StreamsMedia, Webhook
from telebot.carriers.registry import Carriers, load
from telebot.dialog.actions import Transfer
from telebot.settings import Settings

HANG_UP, TRANSFER, WARM, DIAL, DIGITS = (
    "hang up",
    "transfer",
    "warm transfer",
    "make calls",
    "send digits",
)
ABILITIES: Mapping[str, type[Any]] = {
    HANG_UP: HangsUp,
    TRANSFER: Transfers,
    WARM: TransfersWarm,
    DIAL: Dials,
    DIGITS: SendsDigits,
}


@dataclass(frozen=True, slots=True)
class Missing:
    """Something wanted of a carrier that cannot. `who`: ``agent front-desk``, ``outbound``;
    `carrier` is empty where none can."""

    who: str
    carrier: str
    ability: str
    instead: str

    @property
    def why(self) -> str:
        """What is the matter, in a line."""
        able = f"{self.carrier} cannot" if self.carrier else "no carrier that is on can"
        return f"{able} {self.ability}; {self.instead}"


def can(carrier: object, ability: str) -> bool:
    """Whether a carrier, as it is set up, has one of `ABILITIES`."""
    if ability == DIAL and isinstance(carrier, HasTrunks) and not carrier.trunks:
        return False  # it has no way out
    if isinstance(carrier, ABILITIES[ability]):
        return True
    return ability == DIGITS and isinstance(carrier, StreamsMedia) and _keys(carrier)


def table(carriers: Carriers) -> str:
    """Every registered carrier with what it can do where everything is set up, in Markdown."""
    lines = [f"| carrier | {' | '.join(ABILITIES)} |", "|---" * (len(ABILITIES) + 1) + "|"]
    for carrier in carriers:
        kind: Any = load(carrier.name)
        kinds = [kind, *kind.__subclasses__()]  # with what only some settings make it
        able = [
            can(carrier, ability) or any(issubclass(kind, protocol) for kind in kinds)
            for ability, protocol in ABILITIES.items()
        ]
        marks = " | ".join("yes" if it else "" for it in able)
        lines.append(f"| `{carrier.name}` | {marks} |")
    return "\n".join(lines) + "\n"


def chosen(settings: Settings, carrier: Carrier) -> bool:
    """Whether somebody has set a carrier up, and not only left it on."""
    ours = f"{carrier.name.upper()}_"
    return carrier.name in settings.carriers or any(it.startswith(ours) for it in settings.environ)


def missing(
    settings: Settings, carriers: Iterable[Carrier], agents: Mapping[str, Iterable[Transfer]]
) -> Iterator[Missing]:
    """What agents (by name, with their transfers) and the settings want, and no carrier that is on
    has. The carrier of this machine is for trying out: it is not asked."""
    on = [it for it in carriers if not it.off() and not isinstance(it, OnThisMachine)]
    for name, transfers in agents.items():
        wanted = [*transfers]
        for carrier in on if wanted else ():
            if not can(carrier, TRANSFER) and not can(carrier, WARM):
                yield Missing(f"agent {name}", carrier.name, TRANSFER, "callers stay with the bot")
            elif any(it.warm for it in wanted) and not can(carrier, WARM):
                instead = "they are put through without a word before"
                yield Missing(f"agent {name}", carrier.name, WARM, instead)
    if settings.outbound.allowed_prefixes:
        yield from _dialling(settings, on)


def _dialling(settings: Settings, on: list[Carrier]) -> Iterator[Missing]:
    named = settings.outbound.carrier
    if named:
        if not any(it.name == named and can(it, DIAL) for it in on):
            yield Missing("outbound.carrier", named, DIAL, "it is off, or not able to")
    elif not any(can(it, DIAL) for it in on):
        yield Missing("outbound", "", DIAL, "POST /v1/calls answers 409")


def _keys(carrier: StreamsMedia) -> bool:
    """Whether its media stream carries keys towards the caller."""
    try:
        codec: Any = carrier.codec(Webhook("GET", "https://localhost/", {}, b"", "127.0.0.1"))
    except CarrierError:  # it wants to see who asks
        return False
    return type(codec).digits is not PlainCodec.digits
