"""What short sounds and unfinished sentences mean, by their words.

Two questions that words answer better than audio: is this an acknowledgement that wants no answer,
and does this sentence want to go on? Both are small tables over what recognisers really write.
"""

from __future__ import annotations

import re
from enum import StrEnum

_WORD = re.compile(r"[\w']+")

# never an answer to anything
_HUMS = frozenset(
    "mm mmm mhm mmhm mmhmm hmm hm hmmm uh uhh huh uhhuh um umm ah ahh oh ooh aha er erm eh".split()
)
# an acknowledgement while the bot is telling something, an answer once it has asked
_NODS = frozenset(
    "yeah yes yep yup ok okay right sure good great fine nice cool alright true exactly wow i see "
    "got it thanks all well perfect lovely brilliant excellent".split()
)
# what a small recogniser writes for a cough or a breath
_GHOSTS = frozenset("you the a i bye so".split())
GHOST_S = 0.45  # a ghost word in a longer sound is a word
MURMUR_S = 0.6  # a hum is no longer than this
# a hum has no plosive and no hiss: what a recogniser makes of one is spelt with these
_MURMUR_LETTERS = frozenset("mhuaoen")
LISTING_WORDS = 5  # a sentence of this many words that ends in a comma has more to come
_ANSWERS = frozenset("yes no nope correct please".split())

# a sentence that ends in one of these is waiting for its rest
_DANGLING = frozenset(
    "a an the my your his our their its for to of at on in with from by "
    "about and or but because so if when than i'd i'll i'm we'd it's like um uh er erm maybe "
    "let's".split()
)
_OFTEN_DANGLING = frozenset("is are was am be will would could can want need".split())
_DANGLING_ENDS = ("name is", "number is", "book a", "table for", "i would like", "i'd like")
_CLOSED = frozenset(
    "yes no yeah nope yep okay please thanks you bye goodbye correct right sure".split()
)


class Shape(StrEnum):
    """How a text ends."""

    DANGLING = "dangling"
    LISTING = "listing"  # a long sentence that ends in a comma: short of breath, or of words
    DOUBTFUL = "doubtful"  # its last word ends a sentence now and then ("yes, it is")
    OPEN = "open"
    CLOSED = "closed"  # a question, or a word that answers one


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; a hyphenated hum is one word."""
    return _WORD.findall(text.lower().replace("-", "").replace("’", "'"))


def is_backchannel(text: str, *, asked: bool, speech_s: float) -> bool:
    """True where the caller only showed to be listening, or made no word at all.

    `asked`: the bot had asked something the words could answer; `speech_s`: how long the sound was.
    """
    said = words(text)
    if all(word in _HUMS for word in said):
        return True
    if len(said) == 1 and said[0] in _GHOSTS and speech_s < GHOST_S:
        return True
    if not asked and speech_s < MURMUR_S and _is_murmur(said):
        return True
    return not asked and len(said) <= 3 and all(word in _HUMS | _NODS for word in said)


def _is_murmur(said: list[str]) -> bool:
    """Words like "Mum" and "Aha": the recogniser's spelling of a hum. "No" is a word."""
    return "no" not in said and all(_MURMUR_LETTERS.issuperset(word) for word in said)


def may_be_murmur(text: str, *, speech_s: float) -> bool:
    """True for one word in a sound so short that it may have been a hum: small recognisers write
    "Man." and "Her." for them. Only where the brain makes nothing of it is it taken for one."""
    return speech_s < MURMUR_S and len(words(text)) == 1


def is_answer(text: str, expects: str | None) -> bool:
    """True where the words answer the question that the bot is about to put, said early."""
    return expects == "yes_no" and any(word in _ANSWERS for word in words(text))


def shape(text: str, expects: str | None = None) -> Shape:
    """Whether a sentence wants to go on, by its last words. `expects` is what the bot asked for:
    a telephone number is not over before it has its digits."""
    said = words(text)
    ending = text.rstrip()[-1:]
    if not said or ending == "?":
        return Shape.CLOSED if said else Shape.OPEN
    if ending in ("…", "-") or (expects == "phone" and _digits(said) < PHONE_DIGITS):
        return Shape.DANGLING
    if len(said) <= 3 and said[-1] in _CLOSED:
        return Shape.CLOSED
    if said[-1] in _DANGLING or " ".join(said).endswith(_DANGLING_ENDS):
        return Shape.DANGLING
    if said[-1] in _OFTEN_DANGLING:
        return Shape.DOUBTFUL
    return Shape.LISTING if ending == "," and len(said) >= LISTING_WORDS else Shape.OPEN


PHONE_DIGITS = 10
_DIGIT_WORDS = frozenset("oh zero one two three four five six seven eight nine".split())


def _digits(said: list[str]) -> int:
    count = sum(len(word) if word.isdigit() else word in _DIGIT_WORDS for word in said)
    return count + said.count("double") + 2 * said.count("triple")
