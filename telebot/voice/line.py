"""Who may work now, and who waits: a bounded number of pieces of voice work at once.

Live calls are never in it. Beyond the number, work waits in order of its tier and, within one, in
turns between those who ask (the queue is that of vendors' limits, `providers/pacing.py`). Who
cannot be served in time is told when to come again. Next: `api/voice/turns.py`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from telebot.call.errors import ApiError
from telebot.call.ports import Clock
from telebot.providers.pacing import Pace, Slot, TurnedAway
from telebot.records.keys import Tier
from telebot.settings import VendorLimits
from telebot.voice_settings import VoiceSettings

TIERS = tuple(Tier)  # the first one goes first
LARGE_BYTES = 8 << 20  # an upload from which there may be few at once: decoded it is far larger
USUAL_S, LEARNS = 2.0, 0.1  # how long a piece of work takes, before any was seen; of each newer one
LATER_S = (1.0, 120.0)  # the least and the most that Retry-After says


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose work it is. `bytes_in` is what it brought."""

    key_id: str
    tier: Tier = Tier.NORMAL
    bytes_in: int = 0


class Place:
    """The right to work, until `leave`. `waited_s` is how long it took to get it."""

    __slots__ = ("_line", "_slots", "since", "waited_s")

    def __init__(self, line: Line, slots: list[Slot], since: float, waited_s: float) -> None:
        self._line = line
        self._slots = slots
        self.since = since
        self.waited_s = waited_s

    def leave(self) -> None:
        """It is over. Idempotent."""
        if self._slots:
            self._line.left(self)
        while self._slots:
            self._slots.pop().release()


class Line:
    """The places of one server's voice work."""

    def __init__(self, settings: VoiceSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._took_s = USUAL_S
        most = settings.queue_length
        self.all = Pace("voice", _places(settings.at_once), clock, most)
        self.large = Pace("large", _places(settings.large_at_once), clock, most)

    async def take(self, asker: Asker) -> Place:
        """A place, to be left again. Raises `ApiError` (503) where there is none in time; who is
        cancelled while waiting leaves nothing behind."""
        began, slots = self._clock(), list[Slot]()
        priority = TIERS.index(asker.tier)
        with ExitStack() as undo:
            for pace in [self.large, self.all] if asker.bytes_in > LARGE_BYTES else [self.all]:
                left_s = self._settings.queue_s - (self._clock() - began)
                try:
                    slot = await pace.slot(asker.key_id, left_s, priority=priority)
                except TurnedAway:
                    raise self._full(pace, asker.tier) from None
                undo.callback(slot.release)
                slots.append(slot)
            undo.pop_all()
        now = self._clock()
        return Place(self, slots, now, now - began)

    def left(self, place: Place) -> None:
        self._took_s += LEARNS * (self._clock() - place.since - self._took_s)

    def waiting(self, tier: Tier) -> int:
        """How many wait of one tier."""
        priority = TIERS.index(tier)
        return self.all.waiting_of(priority) + self.large.waiting_of(priority)

    def _full(self, pace: Pace, tier: Tier) -> ApiError:
        places = self._settings.large_at_once if pace is self.large else self._settings.at_once
        wait_s = (pace.waiting + 1) * self._took_s / places
        least_s, most_s = LATER_S
        what = "large recordings" if pace is self.large else "requests"
        return ApiError(
            503,
            "busy",
            f"All {places} places for {what} are taken, and {pace.waiting} wait; try again later.",
            metadata={"waiting": pace.waiting, "places": places, "tier": tier.value},
            retry_after_s=min(max(wait_s, least_s), most_s),
        )


def _places(number: int) -> VendorLimits:
    return VendorLimits.model_validate({"concurrent": number})
