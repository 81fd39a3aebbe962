"""What recognisers write instead of what was said, put right before the rules read it.

The table is data: `heard` and `meant` are words, `{number}` and `{day}` stand for any number or
weekday, `*atter` for any word that ends so (first sounds are often cut off), `^` and `$` for the
beginning and end of the sentence. `when` limits an entry to turns that await such a slot. An agent
file adds its own entries, which go first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from telebot.dialog import words as w
from telebot.dialog.hearing import Word, split

_NUMBERS = "|".join([*w.TENS, *w.TEENS, *w.UNITS])
_GAPS = {
    "{number}": rf"(?P<number>(?:{_NUMBERS}|\d{{1,2}}))",
    "{day}": rf"(?P<day>{'|'.join(w.WEEKDAYS)})",
}
# (heard, meant, slot types awaited; none: always)
TABLE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    # half past seven
    ("it has passed {number}", "half past {number}", ()),
    ("it has past {number}", "half past {number}", ()),
    ("it is past {number}", "half past {number}", ()),
    ("it's past {number}", "half past {number}", ()),
    ("has passed {number}", "half past {number}", ()),
    ("has past {number}", "half past {number}", ()),
    ("have passed {number}", "half past {number}", ()),
    ("have past {number}", "half past {number}", ()),
    ("half passed {number}", "half past {number}", ()),
    ("half parts {number}", "half past {number}", ()),
    ("half pass {number}", "half past {number}", ()),
    ("half path {number}", "half past {number}", ()),
    ("how past {number}", "half past {number}", ()),
    ("order past {number}", "quarter past {number}", ()),
    ("order path {number}", "quarter past {number}", ()),
    ("twenty two {number}", "twenty to {number}", ("time",)),
    ("ten two {number}", "ten to {number}", ("time",)),
    ("five two {number}", "five to {number}", ("time",)),
    ("quarter too {number}", "quarter to {number}", ()),
    ("quarter two {number}", "quarter to {number}", ()),
    ("quarter {number}", "quarter to {number}", ("time",)),
    ("half hour past {number}", "half past {number}", ()),
    ("half past for", "half past four", ()),
    ("half past ate", "half past eight", ()),
    ("half past noon", "half past twelve", ()),
    ("half past midday", "half past twelve", ()),
    ("half pacics", "half past six", ()),
    ("half half {number}", "half past {number}", ()),
    ("harp past {number}", "half past {number}", ()),
    ("quarter passed {number}", "quarter past {number}", ()),
    ("{number} passed", "{number} past", ("time",)),
    ("water to {number}", "quarter to {number}", ("time",)),
    # a table
    ("feeble for", "table for", ()),
    ("cables", "tables", ()),
    ("table for cube", "table for two", ()),
    ("table for cue", "table for two", ()),
    ("cable for cube", "table for two", ()),
    ("cable for", "table for", ()),
    ("cable before", "table for four", ()),
    ("my cable", "my table", ()),
    # small numbers that sound like other words
    ("table for for", "table for four", ()),
    ("table for fore", "table for four", ()),
    ("table for to", "table for two", ()),
    ("table for too", "table for two", ()),
    ("table four people", "table for four people", ()),
    ("party of for", "party of four", ()),
    ("party of to", "party of two", ()),
    ("party of too", "party of two", ()),
    ("for ate", "for eight", ()),
    ("at ate", "at eight", ()),
    ("past ate", "past eight", ()),
    ("to ate", "to eight", ()),
    ("at for", "at four", ("time",)),
    ("^ for $", "four", ("number", "time", "phone", "date")),
    ("^ for people", "four people", ("number",)),
    ("^ for please", "four please", ("number", "time")),
    ("^ to $", "two", ("number", "time", "phone", "date")),
    ("^ too $", "two", ("number", "time", "phone", "date")),
    ("^ to people", "two people", ()),
    ("^ too people", "two people", ()),
    ("^ to please", "two please", ("number", "time")),
    ("to of us", "two of us", ()),
    ("for of us", "four of us", ()),
    ("big people", "six people", ("number",)),
    ("party of them", "party of ten", ()),
    ("aid of us", "eight of us", ()),
    ("ate people", "eight people", ()),
    ("won o'clock", "one o'clock", ()),
    ("passed ate", "past eight", ()),
    ("ate o'clock", "eight o'clock", ()),
    ("ate thirty", "eight thirty", ()),
    ("ate", "eight", ("number", "time", "phone")),
    ("won", "one", ("number", "time", "phone")),
    ("tree", "three", ("number", "time", "phone")),
    ("free people", "three people", ()),
    ("table for free", "table for three", ()),
    ("party of free", "party of three", ()),
    ("^ or $", "four", ("number", "time")),
    ("^ fourth $", "four", ("number", "time")),
    ("^ fifth $", "five", ("number", "time")),
    ("^ sixth $", "six", ("number", "time")),
    ("^ seventh $", "seven", ("number", "time")),
    ("^ eighth $", "eight", ("number", "time")),
    ("^ please $", "three", ("number", "time")),
    ("^ lee $", "three", ("number", "time")),
    ("^ take $", "six", ("number", "time")),
    ("pick {number}", "six {number}", ("time",)),
    ("fixed", "six", ("phone",)),
    ("^ thanks $", "six", ("number", "time")),
    ("^ hey $", "eight", ("number", "time")),
    ("^ a $", "eight", ("number", "time")),
    ("sex", "six", ("number", "time", "phone")),
    ("thyx", "six", ("number", "time", "phone")),
    ("thicks", "six", ("number", "time", "phone")),
    ("sick", "six", ("number", "time", "phone")),
    ("ix", "six", ("number", "time", "phone")),
    ("even", "seven", ("time",)),
    ("sicks", "six", ("number", "time", "phone")),
    ("fife", "five", ("number", "time", "phone")),
    ("nein", "nine", ("number", "time", "phone")),
    ("to", "two", ("phone",)),
    ("too", "two", ("phone",)),
    ("for", "four", ("phone",)),
    ("owe", "oh", ("phone",)),
    ("know", "no", ("yes_no",)),
    ("yet", "yes", ("yes_no",)),
    ("guess", "yes", ("yes_no",)),
    ("^ as $", "yes", ("yes_no",)),
    ("^ yas $", "yes", ("yes_no",)),
    # leaving
    ("^ do not buy $", "goodbye", ()),
    ("good buy", "goodbye", ()),
    ("thank you buy", "thank you bye", ()),
    ("so get it", "forget it", ()),
    ("know that is all", "no that is all", ()),
    ("that is all things", "that is all thanks", ()),
    # a booking
    ("the main is", "the name is", ()),
    ("^ and $", "ann", ("name",)),
    ("make it thick", "make it six", ()),
    ("make it live", "make it five", ()),
    ("make it bye", "make it five", ()),
    ("make it free", "make it three", ()),
    ("make it for $", "make it four", ("yes_no",)),
    ("make it to", "make it two", ("yes_no",)),
    ("make it too", "make it two", ()),
    ("make it ate", "make it eight", ()),
    # days
    ("two morrow", "tomorrow", ()),
    ("to night", "tonight", ()),
    ("to day", "today", ()),
    ("some day", "sunday", ("date", "day")),
    ("someday", "sunday", ("date", "day")),
    ("sun day", "sunday", ()),
    ("fry day", "friday", ()),
    ("fried day", "friday", ()),
    ("wednes day", "wednesday", ()),
    ("when's day", "wednesday", ()),
    ("wins day", "wednesday", ()),
    ("tues day", "tuesday", ()),
    ("choose day", "tuesday", ()),
    ("chews day", "tuesday", ()),
    ("thirsty", "thursday", ("date", "day")),
    ("thurs day", "thursday", ()),
    ("satur day", "saturday", ()),
    ("saturated", "saturday", ("date", "day")),
    ("third day next", "thursday next", ()),
    ("into morrow", "tomorrow", ()),
    ("into tomorrow", "tomorrow", ()),
    ("to mallow", "tomorrow", ()),
    ("to marlow", "tomorrow", ()),
    ("to marlot", "tomorrow", ()),
    ("^ two days $", "tuesday", ("date",)),
    ("^ two of the $", "tuesday", ("date",)),
    ("fun day", "sunday", ()),
    ("funding", "sunday", ("date", "yes_no")),
    ("today after tomorrow", "the day after tomorrow", ()),
    ("*atter day", "saturday", ()),
    ("*aturday", "saturday", ()),
    ("*hursday", "thursday", ()),
    ("*ednesday", "wednesday", ()),
    ("*uesday", "tuesday", ()),
    ("*riday", "friday", ()),
    ("sat a day", "saturday", ()),
    ("mon day", "monday", ()),
    ("this saturdays", "this saturday", ()),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A compiled row of the table."""

    pattern: re.Pattern[str]
    meant: tuple[str, ...]
    when: frozenset[str]
    first_word: str


def entry(heard: str, meant: str, when: tuple[str, ...] = ()) -> Entry:
    """Compile one row; words are read the way the caller's are."""
    parts = []
    for token in heard.lower().split():
        if token in _GAPS:
            parts.append(_GAPS[token])
        elif token.startswith("*"):
            parts.append(rf"(?:[^\W\d_]*{re.escape(token[1:])})")
        elif token not in "^$":
            parts.append(" ".join(re.escape(word.text) for word in split(token)))
    body = r"(?<!\S)" + " ".join(part for part in parts if part) + r"(?!\S)"
    begin = "^" if heard.startswith("^") else ""
    end = "$" if heard.endswith("$") else ""
    plain = next((p for p in parts if "(" not in p), "")
    return Entry(re.compile(begin + body + end), tuple(meant.lower().split()), frozenset(when),
                 plain.split()[0].replace("\\", "") if plain else "")  # fmt: skip


BUILT_IN = tuple(entry(*row) for row in TABLE)


def repair(
    words: tuple[Word, ...], table: tuple[Entry, ...], expects: str | None
) -> tuple[Word, ...]:
    """Apply every fitting entry once, in the table's order, at each place it fits."""
    present = {word.text for word in words}
    for item in table:
        if item.when and expects not in item.when:
            continue
        if item.first_word and item.first_word not in present:
            continue
        replaced = _apply(words, item)
        if replaced is not words:
            words, present = replaced, {word.text for word in replaced}
    return words


def _apply(words: tuple[Word, ...], item: Entry) -> tuple[Word, ...]:
    text = " ".join(word.text for word in words)
    match = item.pattern.search(text)
    if match is None:
        return words
    done: list[Word] = []
    at = 0
    for match in item.pattern.finditer(text):
        first = text[: match.start()].count(" ")
        last = text[: match.end()].count(" ")
        groups = match.groupdict()
        done += words[at:first]
        pause = words[first].after_pause
        for index, token in enumerate(item.meant):
            word = groups[token[1:-1]] if token in _GAPS else token
            done.append(Word(word, word, pause and index == 0))
        at = last + 1
    return (*done, *words[at:])
