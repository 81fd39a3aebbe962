"""Whether a question, and the answer to it, are about nobody in particular, so that the answer may
be said to the next caller who asks the same.

What cannot be told for sure is not: a question may hold everyday words and those of the agent's own
file, but no number, no name, nothing of the caller's own and nothing that depends on the day.
"""

from __future__ import annotations

import re

from telebot.dialog.hearing import read
from telebot.dialog.words import FILLERS, MONTHS, WEEKDAYS

COMMON = frozenset(
    """
    a about address all also an and any anything are area around at available away be because
    been before best between big both bring building bus business but buy by call can card cards
    cash charge children child cheap close closed closes closing come cost costs could credit
    day days deliver delivery did directions disabled discount do does dog dogs done else email
    entrance ever every far find food for free from full get give go good has have hello help
    here hi holiday holidays home hour hours how i if in information inside interested is it
    kind kinds kitchen know large late later like list located location long look looking lot
    make many menu more most much near nearest need new next no not of offer offers on online
    only open opening opens or order other our outside over park parking pay payment people
    person pets phone place please possible price prices public question quick quickly rent
    repair repairs sell sells send service services shop should show sir sit small some somebody
    someone something speak staff station stay stop store street take tell than thank thanks
    that the their them then there these they thing things think time times to train try under
    until up use used usually vegan vegetarian very visit wait want was way we website week
    weekend weekends were what wheelchair when where whether which while who why with without
    wonder wondering work would yes you your
    """.split()
)
DAYS = frozenset(WEEKDAYS) | {f"{day}s" for day in WEEKDAYS}
OPENERS = frozenset(  # with which an answer begins
    "absolutely always certainly daily each every glad gladly great however let lets never "
    "normally one otherwise regular sorry sure unfortunately usually welcome".split()
)
# the caller speaks of himself, or of a day that is over tomorrow
OWN = frozenset(
    """
    am me my mine myself name named names called surname speaking yesterday today tonight tomorrow
    now currently moment again still already
    """.split()
)
SELF = re.compile(r"\b(?:this is|it is me|here is|i have|i would|we have|we are)\b")
TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
LONGEST = 20  # words; a longer one is not asked twice


class AgentWords:
    """`Impersonal` for an agent whose file this is (`providers/kept_replies.py`)."""

    def __init__(self, file: str) -> None:
        tokens = TOKEN.findall(file)
        self._own = {token for token in tokens if token.islower()}
        self._known = COMMON | DAYS | OPENERS | FILLERS | frozenset(MONTHS) | {"i"}
        self._known |= {token.lower() for token in tokens}

    def question(self, text: str) -> str | None:
        """The words without case, punctuation and politeness; None where they may be personal."""
        heard = read(text)
        words = [word.text for word in heard.words]
        if not words or len(words) > LONGEST or any(c.isdigit() for c in text + heard.text):
            return None
        if SELF.search(heard.text) or not OWN.isdisjoint(words):
            return None
        for word in heard.words:
            if word.text in COMMON or word.text in DAYS or word.text in FILLERS:
                continue
            forms = {word.text, f"{word.text}s", word.text.removesuffix("s")}
            if word.raw[:1].isupper() or forms.isdisjoint(self._own):
                return None
        kept = [word for word in words if word not in FILLERS]
        return " ".join(kept) or None

    def reply(self, text: str) -> bool:
        """Without digits, and with no capital word that neither the file nor the language knows."""
        if any(character.isdigit() for character in text):
            return False
        capital = (word for word in TOKEN.findall(text) if not word.islower())
        return all(self._knows(word.lower().replace("’", "'")) for word in capital)

    def _knows(self, word: str) -> bool:
        return word in self._known or word.partition("'")[0] in self._known
