"""A request of voice work as it is meant: with what its user prefers, and what flags try, where it
says nothing."""

from __future__ import annotations

from typing import TypeVar

from telebot.api.voice.shapes import Asked
from telebot.voice.offers import Work
from telebot.voice.service import Voice
from telebot.voice.tailoring import said_in, tailored

A = TypeVar("A", bound=Asked)


async def meant(voice: Voice, key_id: str, asked: A, work: Work) -> A:
    """`asked`, of one kind of work, with all that was chosen for it. Raises `RecordsAway`."""
    under = await voice.tailor.plainly(key_id, asked.user)
    if under is not None:
        asked.chosen_under(under)
        return asked
    fields = frozenset(type(asked).model_fields)
    chosen = await voice.tailor.chosen(key_id, asked.user, [work], said_in(asked), fields)
    whole = tailored(asked, chosen, work)
    whole.chosen_under(chosen.under)
    return whole
