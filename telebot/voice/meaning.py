"""A realtime session as it is meant: with what its user prefers, and what flags try, where it says
nothing. Privacy binds.

As `api/voice/meant.py` does for requests; the rules are `tailoring.py`'s. A session by a vendor's
speech to speech has no models of its own to choose from: of it the language and the agent are
chosen. Next: `web/realtime/session.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from telebot.providers.registry import Kind
from telebot.voice.offers import WORKS, Work
from telebot.voice.preferences import Preferences
from telebot.voice.sessions import SessionRequest
from telebot.voice.tailoring import PLAINLY, Chosen, Tailor, Under

# what can be chosen for a session; who serves it only where several do
CHOSEN = frozenset({"language", "agent"})
OF_A_CHAIN = CHOSEN | {"model", "provider", "voice"}


@dataclass(frozen=True, slots=True)
class Meant:
    """A session with all that was chosen for it: `whom` by kind of work."""

    request: SessionRequest
    whom: Mapping[Kind, Preferences] = field(default_factory=dict)
    under: Under = PLAINLY


async def meant(tailor: Tailor, owner: str, asked: SessionRequest) -> Meant:
    """`asked` of an API key's owner, as it is meant. Raises `RecordsAway`."""
    direct = asked.mode == "direct"
    works: tuple[Work, ...] = () if direct else WORKS
    fields = CHOSEN if direct else OF_A_CHAIN
    chosen = await tailor.chosen(owner, asked.user, works, _said(asked), fields)
    return meant_by(asked, chosen)


def meant_by(asked: SessionRequest, chosen: Chosen) -> Meant:
    """`asked` with what was chosen where it says nothing."""
    changed: dict[str, Any] = {}
    for name in CHOSEN - _said(asked):
        if (found := chosen.plain(name)) is not None:
            changed[name] = found
    who = asked.provider
    if asked.mode == "chain" and "realtime" not in asked.named:
        models = {work: chosen.model(work, None, who) for work in WORKS if work not in asked.named}
        who = who.model_copy(update={work: model for work, model in models.items() if model})
    if chosen.under.privacy.data_collection == "deny":
        who = who.model_copy(update={"data_collection": "deny"})
    request = asked.model_copy(update={**changed, "provider": who})
    whom: dict[Kind, Preferences] = {
        work: chosen.provider(work, who.whom, asked.named.get(work)) for work in WORKS
    }
    return Meant(request, {**whom, "realtime": who.whom}, chosen.under)


def _said(asked: SessionRequest) -> frozenset[str]:
    """What a session says, as `Tailor.chosen` names it."""
    said = {name for name in ("language", "agent", "voice") if getattr(asked, name) is not None}
    said |= {f"model.{kind}" for kind in asked.named}
    if "realtime" in asked.named:
        said.add("model")  # one that does the work of all
    if asked.provider.whom.model_fields_set:
        said.add("provider")
    if asked.instructions is not None:
        said.add("agent")  # instructions of one's own are an agent of one's own
    return frozenset(said)
