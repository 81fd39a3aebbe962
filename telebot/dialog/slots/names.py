"""Names of callers: "the name is Johnson", "it's for Mary Smith", "J O H N S O N"."""

import re

from telebot.dialog.hearing import Utterance, Word
from telebot.dialog.slots.found import Found
from telebot.dialog.words import FILLERS, MONTHS, TENS, UNITS, WEEKDAYS

_EXPLICIT = re.compile(
    r"\b(?:(?:the |my |our |under the |in the |last |first |sur)?name (?:is|of|to|was|will be"
    r"|should be|would be)|(?:my |the |a )?surname is|i am called|call me|under the name|name it|"
    r"(?:the |my )?name(?= [a-z'-]+$))(?: (?:in|under|actually|is))* "
)
_LEADING = re.compile(
    r"\b(?:this is|it is for|it is under|it is me|it is|i am|for|under|put it under|from|"
    r"it (?:will|would|should) be|that is|name|make it|speaking to|by|"
    r"(?:just |you can )?(?:use|put)|just) "
)
# "A table for dinner" is no name; "a table for John Smith" has one.
_OF_TABLE = re.compile(r"(?:table|tables|party)$")
_TITLE = re.compile(r"\b(?:mr|mrs|ms|miss|mister|doctor|dr|professor) (?=[^#\d])")
# What follows a name: "Sarah with an H", "Bob is fine", "Peter, and my number is …".
_TAIL = re.compile(
    r" (?:with (?:an?|the|one|two|\d) .*|is (?:fine|good|okay|great)|will do|"
    r"(?:and )?my number is.*)$"
)
_TRAILING = re.compile(r"^(?P<name>[^#]+?) (?:here|speaking)\b")
_LETTERS = re.compile(r"(?<![\w'])(?:[^\W\d_] ){2,}[^\W\d_](?![\w'])")
_TITLES = frozenset("mr mrs ms miss dr doctor mister sir madam professor".split())
_NOT_NAMES = (
    frozenset(
        """a about actually after again all also am an any anyone anything are around as ask at
        back be because been before being big book booked booking but by call called can cancel
        cancelled change check close closed come could day details did do does done down evening
        everything fine for four from get give go going good goodbye great had has have he hear
        her here him his hold hour hours how i if in into is it its just know late later leave
        let like little look make many maybe me mean meant message might minute minutes moment
        more my myself name names need never new next night no nobody nope not nothing number of
        off on one only or order other our out over park parking party people person perhaps
        phone please pm put reservation reserve said say second see seven she should so some
        someone something speak speaking spell spelled spelling spelt still stop table take talk
        tell than that the their them then there they thing think this through time to today
        together tomorrow tonight too transfer two under until up us very wait want was we well
        were what when where which while who why with wonder wondering would wrong yeah yep you
        your yours bye cheers correct forget repeat help quarter half past clock o'clock noon
        midday midnight morning afternoon lunch dinner brunch breakfast supper drinks tea
        birthday put use christmas easter whatever whichever adults children vegan usual
        mother's father's mum's dad's valentine's new anniversary celebration business work hang
        open opening menu today's week weeks month months
        """.split()
    )
    | FILLERS
    | frozenset(WEEKDAYS)
    | frozenset(UNITS)
    | frozenset(TENS)
    | (frozenset(MONTHS) - {"april", "may", "june", "august"})
)
# Names all the same where a name is announced: "Mr Park", "my name is Day".
_SURNAMES = frozenset("park day good little close noon order back big fine great".split())
_MAX_WORDS = 4
_PARTICLES = frozenset("de la van der den von di da du el al bin ben ter le mac mc st".split())


def find_explicit_names(heard: Utterance) -> list[Found]:
    """Names after "the name is"; these win over every other reading of the same words."""
    found = []
    for match in _EXPLICIT.finditer(heard.text):
        name = _name_from(heard, match.end(), strict=False, announced=True)
        if name:
            found.append(Found(name.value, match.start(), name.end))
    for match in _TITLE.finditer(heard.text):
        name = _name_from(heard, match.start(), strict=True, announced=True)
        if name and name.end > match.end() and not _inside(match.start(), found):
            found.append(name)
    for match in _LETTERS.finditer(heard.text):
        found.append(Found(match.group().replace(" ", "").capitalize(), match.start(), match.end()))
    return found


def _inside(at: int, found: list[Found]) -> bool:
    return any(item.start <= at < item.end for item in found)


def find_names(heard: Utterance, text: str, *, bare: bool, last: bool = False) -> list[Found]:
    """Names after "for", "this is", "I'm"; or alone, when a name was asked for (`bare`).

    `last` also takes a capitalised name that stands alone after the last pause.

    `text` is the utterance's text with what other slots took blanked out.
    """
    trailing = _TRAILING.match(text)
    tail = _TAIL.search(text) if bare else None
    if tail:
        text = text[: tail.start()] + "#" * (len(text) - tail.start())
    found = []
    for match in _LEADING.finditer(text):
        strict = (
            not bare or match[0] == "just " or bool(_OF_TABLE.search(text[: match.start() - 1]))
        )
        name = _name_from(heard, match.end(), strict=strict, text=text)
        if name:
            found.append(name)
    if bare and not found:
        name = _alone(heard, text) or (_name_from(heard, 0, strict=True) if trailing else None)
        if name:
            found.append(name)
    pauses = [index for index, word in enumerate(heard.words) if word.after_pause]
    if last and pauses and not found:
        name = _name_from(heard, heard.starts[pauses[-1]], strict=True, text=text)
        if name and name.end == len(text):
            found.append(name)
    return found


def _name_from(
    heard: Utterance, start: int, *, strict: bool, text: str = "", announced: bool = False
) -> Found | None:
    """The name that begins at this character; `strict` demands a capital letter in it.

    An `announced` name ("the name is …") may be a word that else is none.
    """
    first = heard.index_at(start)
    taken: list[Word] = []
    for index, word in enumerate(heard.words[first : first + 12], start=first):
        at = heard.starts[index]
        blanked = text[at : at + 1] == "#"
        surname = announced and word.text in _SURNAMES and word.raw[:1].isupper()
        if blanked or not (surname or _may_be_name(word.text)) or (taken and word.after_pause):
            break
        if len(taken) == _MAX_WORDS and not all(len(w.text) == 1 for w in taken):
            break
        taken.append(word)
    if not taken or (strict and not any(w.raw[:1].isupper() for w in taken)):
        return None
    last = first + len(taken) - 1
    end = heard.starts[last] + len(heard.words[last].text)
    return Found(_spelled(taken), heard.starts[first], end)


def _alone(heard: Utterance, text: str) -> Found | None:
    """The whole utterance as a name, politeness aside: "Johnson, please"."""
    left = [
        index
        for index, word in enumerate(heard.words)
        if word.text not in FILLERS and text[heard.starts[index] : heard.starts[index] + 1] != "#"
    ]
    if not left or left[-1] - left[0] + 1 != len(left):
        return None
    if len(left) == 3 and heard.words[left[0]].text == heard.words[left[2]].text:
        left = left[1:]  # "Bond, James Bond"
    taken = [heard.words[index] for index in left]
    letters = all(len(word.text) == 1 for word in taken)
    if not all(_may_be_name(word.text) for word in taken):
        return None
    if len(taken) > _MAX_WORDS and not letters:
        return None
    end = heard.starts[left[-1]] + len(taken[-1].text)
    return Found(_spelled(taken), heard.starts[left[0]], end)


def _may_be_name(text: str) -> bool:
    return text not in _NOT_NAMES and not text[0].isdigit() and text[0] != "+"


def _spelled(taken: list[Word]) -> str:
    if len(taken) > 2 and all(len(word.text) == 1 for word in taken):
        return "".join(word.text for word in taken).capitalize()
    return " ".join(
        _cased(word.raw) for word in taken if word.text not in _TITLES or len(taken) > 1
    )


def _cased(raw: str) -> str:
    """Keep a recogniser's capitals ("O'Neill", "McDonald"); give a small name its own."""
    if any(letter.isupper() for letter in raw) and not (raw.isupper() and len(raw) > 2):
        return raw[:1].upper() + raw[1:]
    if raw.lower() in _PARTICLES:
        return raw.lower()
    return "-".join("'".join(p[:1].upper() + p[1:].lower() for p in part.split("'"))
                    for part in raw.split("-"))  # fmt: skip
