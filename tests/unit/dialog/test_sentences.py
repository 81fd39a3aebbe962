"""One sentence at a time: intents, slots, and what the recogniser made of either."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from telebot.dialog.brain import Brain, Step
from telebot.dialog.hearing import split
from telebot.dialog.repairs import entry, repair
from telebot.dialog.state import DialogState

pytestmark = pytest.mark.unit

DESK = Path(__file__).parents[3] / "config" / "agents" / "front-desk.yaml"
WEDNESDAY = datetime(2026, 11, 18, 15, 0, tzinfo=ZoneInfo("Europe/London"))
# What was said before, so that the wanted slot is the one awaited.
BEFORE = {
    "idle": (),
    "party_size": ("book a table",),
    "day": ("a table for four people",),
    "time": ("a table for four people on friday",),
    "name": ("a table for four people on friday at seven",),
    "confirm": ("a table for four people on friday at seven, the name is Johnson",),
    "phone": ("can i leave a message", "Ann"),
}


@pytest.fixture(scope="module")
def desk() -> Brain:
    return Brain.load(DESK)


def _reply(desk: Brain, where: str, heard: str) -> Step:
    state = desk.start(now=WEDNESDAY)
    for said in BEFORE[where]:
        state = desk.step(state, said, now=WEDNESDAY).state
    return desk.step(state, heard, now=WEDNESDAY)


INTENTS = [
    ("Are you open on Mondays?", "hours"),
    ("What are your opening hours?", "hours"),
    ("when do you close", "hours"),
    ("what time do you clone on Sunday", "hours"),  # as recognised
    ("I've opened on Monday.", "hours"),  # as recognised
    ("how late can I come for dinner tonight", "hours"),
    ("are you open on Mondays and where can I park?", "hours parking"),
    ("are you open on mondays where can i park", "hours parking"),
    ("I'll open on Monday and where can I part?", "hours parking"),  # as recognised
    ("Where are you and what time do you close?", "address hours"),
    ("Hi there, um, what time do you, uh, close?", "hours"),
    ("Where are you?", "address"),
    ("What you're address?", "address"),  # as recognised
    ("how do i find you", "address"),
    ("How do I get there from the station", "address"),
    ("is there a car park", "parking"),
    ("Isn't that parking?", "parking"),  # as recognised
    ("We can export my car.", "parking"),  # as recognised
    ("can i leave the car somewhere", "parking"),
    ("I'd like to book a table", "book_table"),
    ("do you have a table free", "book_table"),
    ("I want to make a reservation", "book_table"),
    ("we are four people", "book_table"),
    ("dinner for two tonight", "book_table"),
    ("have you anything available tonight", "book_table"),
    ("I booked a table and I want to cancel it", "change_booking cancel_booking forget_it"),
    ("I booked a table for Friday, can I change it", "change_booking"),
    ("have the manager call me", "take_message"),
    ("would you mind repeating that", "repeat"),
    ("thanks, that's all for now", "goodbye"),
    ("can you delete my reservation", "cancel_booking"),
    ("we are not coming tonight", "cancel_booking"),
    ("put us down for Friday at eight", "book_table"),
    ("could you speak up", "repeat"),
    ("what was that", "repeat"),
    ("Is there somewhere to leave it? I'm coming by car", "parking"),
    ("are you still serving", "hours"),
    ("what road are you on", "address"),
    ("that is all I needed", "goodbye"),
    ("I need to cancel my booking.", "cancel_booking"),
    ("I need to cancel my marketing.", "cancel_booking"),  # as recognised
    ("please cancel our table for tomorrow", "cancel_booking"),
    ("we can't make it on friday", "cancel_booking"),
    ("I'd like to change my booking", "change_booking"),
    ("Can I leave a message?", "take_message"),
    ("Can't I leave my message?", "take_message"),  # as recognised
    ("could somebody call me back", "take_message"),
    ("can i speak to a person", "person"),
    ("Can I speak so person?", "person"),  # as recognised
    ("put me through to the manager please", "person"),
    ("could you repeat that", "repeat"),
    ("Pardon?", "repeat"),
    ("what can you do", "help"),
    ("Help!", "help"),
    ("thank you very much", "thanks"),
    ("hello", "hello"),
    ("Good-bye.", "goodbye"),
    ("Don't buy.", "goodbye"),  # as recognised
    ("Thank you, bye", "goodbye"),
    ("no thanks, that's all", "goodbye"),
    ("No, thank you.", "goodbye"),
    ("forget it", "forget_it"),
    ("So get it.", "forget_it"),  # as recognised
    ("what is the weather like in Paris", ""),
    ("Can you tell me you're a dress please?", "address"),  # as recognised
    ("Can you squeeze us into morrow evening?", "book_table"),  # as recognised
    ("Campbell my reservation please.", "change_booking"),  # as recognised: offers to cancel
    ("is that the Harbour Street Kitchen", "name"),
    ("you are a stupid machine", ""),
    ("my hovercraft is full of eels", ""),
    ("Yes", ""),
    ("", ""),
    ("...", ""),
]


@pytest.mark.parametrize(("heard", "intents"), INTENTS, ids=lambda v: str(v) or "-")
def test_intents(desk: Brain, heard: str, intents: str) -> None:
    assert " ".join(_reply(desk, "idle", heard).intents) == intents


SLOTS = [
    # several at once
    ("idle", "A table for four on Friday at half past seven, the name is Johnson",
     {"party_size": 4, "day": "2026-11-20", "time": "19:30", "name": "Johnson"}),
    ("idle", "A table for four on Friday at half-past seven, the name is Johnson.",
     {"party_size": 4, "day": "2026-11-20", "time": "19:30", "name": "Johnson"}),
    ("idle", "a feeble for four, book it on Friday at half-half seven, the name is Johnson",
     {"party_size": 4, "day": "2026-11-20", "time": "19:30", "name": "Johnson"}),
    ("idle", "Do you have a table for three to night at seven thirty?",
     {"party_size": 3, "day": "2026-11-18", "time": "19:30"}),
    ("idle", "Do you have a table for free tonight at 7:30?",
     {"party_size": 3, "day": "2026-11-18", "time": "19:30"}),
    ("idle", "Please cancel my table for tomorrow. The main is Mary Smith.",
     {"day": "2026-11-19", "name": "Mary Smith"}),
    ("idle", "book for two adults and three children on Saturday at one",
     {"party_size": 5, "day": "2026-11-21", "time": "13:00"}),
    ("idle", "can me and my wife have a table to-morrow at noon",
     {"party_size": 2, "day": "2026-11-19", "time": "12:00"}),
    ("idle", "a table at eight for seven people on sunday for Mary",
     {"party_size": 7, "day": "2026-11-22", "time": "20:00", "name": "Mary"}),
    ("idle", "a table for four nineteen thirty friday",
     {"party_size": 4, "day": "2026-11-20", "time": "19:30"}),
    ("idle", "A table for four, no, five, on Friday", {"party_size": 5, "day": "2026-11-20"}),
    ("idle", "a table for four on Friday at eight, actually nine",
     {"party_size": 4, "time": "21:00"}),
    ("idle", "a table at eight for two", {"party_size": 2, "time": "20:00"}),
    ("idle", "a cable for for on fry day at ate", {"party_size": 4, "time": "20:00"}),
    # left open: asked again
    ("idle", "a table for four or five on Friday", {"party_size": None, "day": "2026-11-20"}),
    ("party_size", "five, maybe six", {"party_size": None}),
    ("idle", "a table on Saturday for two or three people", {"party_size": None}),
    ("idle", "a table for two at seven or eight o'clock", {"party_size": 2, "time": None}),
    ("day", "either Friday or Saturday", {"day": None}),
    ("day", "Friday or Saturday, no, Sunday", {"day": "2026-11-22"}),
    ("time", "between seven and eight", {"time": None}),
    ("time", "seven or eight", {"time": None}),
    ("time", "seven, no, eight", {"time": "20:00", "party_size": 4}),
    ("time", "seven or so", {"time": "19:00"}),
    ("time", "No wait, make the time nine", {"time": "21:00", "party_size": 4}),
    ("time", "Levin no eight", {"time": "20:00", "party_size": 4}),  # as recognised
    ("time", "actually make it five", {"time": None, "party_size": 5}),
    ("time", "no, five people", {"time": None, "party_size": 5}),
    # numbers
    ("party_size", "about six", {"party_size": 6, "time": None}),
    ("party_size", "me and three friends", {"party_size": 4}),
    ("party_size", "me and my two kids", {"party_size": 3}),
    ("party_size", "we're only three", {"party_size": 3}),
    ("idle", "I'd like to come with three friends on Friday", {"party_size": 4}),
    ("idle", "to people on sun day at won o'clock a table please",
     {"party_size": 2, "day": "2026-11-22", "time": "13:00"}),
    ("party_size", "my friends and I", {"party_size": None}),
    ("party_size", "four plus two kids", {"party_size": 6}),
    ("party_size", "three and a baby", {"party_size": 4}),
    ("party_size", "both of us", {"party_size": 2}),
    ("party_size", "Four.", {"party_size": 4}),
    ("party_size", "for", {"party_size": 4}),
    ("party_size", "Fourth.", {"party_size": 4}),
    ("party_size", "Or?", {"party_size": 4}),
    ("party_size", "to", {"party_size": 2}),
    ("party_size", "too people", {"party_size": 2}),
    ("party_size", "ate", {"party_size": 8}),
    ("party_size", "Thanks.", {"party_size": 6}),  # the recogniser's "Six."
    ("party_size", "There will be aid of us.", {"party_size": 8}),
    ("party_size", "Just the two of us", {"party_size": 2}),
    ("party_size", "just me", {"party_size": 1}),
    ("party_size", "half a dozen", {"party_size": 6}),
    ("party_size", "a couple", {"party_size": 2}),
    ("party_size", "not four, five", {"party_size": 5}),
    ("party_size", "four, no, five", {"party_size": 5}),
    ("party_size", "eleven or so", {"party_size": 11}),
    ("party_size", "um well I think six", {"party_size": 6}),
    # dates
    ("day", "On Friday", {"day": "2026-11-20"}),
    ("day", "this Friday", {"day": "2026-11-20"}),
    ("day", "next Friday", {"day": "2026-11-27"}),
    ("day", "Friday week", {"day": "2026-11-27"}),
    ("day", "Next Tuesday", {"day": "2026-11-24"}),
    ("day", "the twenty first", {"day": "2026-11-21"}),
    ("day", "The 21st", {"day": "2026-11-21"}),
    ("day", "twenty eighth", {"day": "2026-11-28"}),
    ("day", "the third of December", {"day": "2026-12-03"}),
    ("day", "December 5", {"day": "2026-12-05"}),
    ("day", "5 December", {"day": "2026-12-05"}),
    ("day", "on Christmas Eve", {"day": "2026-12-24"}),
    ("day", "the day after tomorrow", {"day": "2026-11-20"}),
    ("day", "in two weeks", {"day": "2026-12-02"}),
    ("day", "next week on Thursday", {"day": "2026-11-26"}),
    ("day", "Thursday of next week", {"day": "2026-11-26"}),
    ("day", "Saturday in two weeks", {"day": "2026-12-05"}),
    ("day", "a fortnight on Friday", {"day": "2026-12-04"}),
    ("day", "a week from Saturday", {"day": "2026-11-28"}),
    ("day", "Saturday after next", {"day": "2026-11-28"}),
    ("day", "two weeks today", {"day": "2026-12-02"}),
    ("day", "three weeks from now", {"day": "2026-12-09"}),
    ("day", "a week from tomorrow", {"day": "2026-11-26"}),
    ("day", "Friday, December 4th", {"day": "2026-12-04"}),
    ("day", "the first Saturday in December", {"day": "2026-12-05"}),
    ("day", "Tuesday the 22nd", {"day": "2026-12-22"}),
    # days that there are not
    ("day", "the thirty-first of November", {"day": None}),
    ("day", "Saturday the twentieth of November", {"day": None}),
    ("day", "tonight", {"day": "2026-11-18"}),
    ("day", "some day", {"day": "2026-11-22"}),
    ("day", "thirsty", {"day": "2026-11-19"}),
    ("day", "No fatter day", {"day": "2026-11-21"}),
    ("party_size", "Thyx people,", {"party_size": 6}),
    ("day", "Batter day,", {"day": "2026-11-21"}),
    ("day", "the hatter day", {"day": "2026-11-21"}),
    ("day", "Aturday", {"day": "2026-11-21"}),
    ("day", "Two days", {"day": "2026-11-24"}),
    ("day", "in two days", {"day": "2026-11-20"}),
    ("day", "Third day next week", {"day": "2026-11-26"}),
    ("day", "Today after tomorrow.", {"day": "2026-11-20"}),
    ("day", "not Friday, Saturday", {"day": "2026-11-21"}),
    # times
    ("time", "half past seven", {"time": "19:30"}),
    ("time", "it has passed seven", {"time": "19:30"}),
    ("time", "And how past seven?", {"time": "19:30"}),
    ("time", "half seven", {"time": "19:30"}),
    ("time", "Half-7", {"time": "19:30"}),
    ("time", "seven thirty", {"time": "19:30"}),
    ("time", "7.30", {"time": "19:30"}),
    ("time", "7:30 p.m.", {"time": "19:30"}),
    ("time", "Seven P.M.", {"time": "19:00"}),
    ("time", "7pm", {"time": "19:00"}),
    ("time", "quarter to eight", {"time": "19:45"}),
    ("time", "quarter to one", {"time": "12:45"}),
    ("time", "Quarter nine", {"time": "20:45"}),
    ("time", "quarter two eight", {"time": "19:45"}),
    ("time", "quarter of eight", {"time": "19:45"}),
    ("time", "half past noon", {"time": "12:30"}),
    ("time", "half past for", {"time": "16:30"}),
    ("time", "half an hour before eight", {"time": None}),
    ("time", "a quarter past six", {"time": "18:15"}),
    ("time", "twenty past seven", {"time": "19:20"}),
    ("time", "ten to nine", {"time": "20:50"}),
    ("time", "nineteen thirty", {"time": "19:30"}),
    ("time", "1930.", {"time": "19:30"}),
    ("time", "nineteen hundred", {"time": "19:00"}),
    ("time", "seven oh five", {"time": "19:05"}),
    ("time", "At 8 o'clock", {"time": "20:00"}),
    ("time", "at ate", {"time": "20:00"}),
    ("time", "twelve", {"time": "12:00"}),
    ("time", "noon", {"time": "12:00"}),
    ("time", "two in the afternoon", {"time": "14:00"}),
    ("time", "around nine", {"time": "21:00"}),
    ("time", "Twenty-two-seven", {"time": "18:40"}),
    ("time", "twenty two", {"time": None}),
    ("time", "Order past six", {"time": "18:15"}),
    ("time", "not seven, eight", {"time": "20:00"}),
    # names
    ("name", "Johnson", {"name": "Johnson"}),
    ("name", "johnson please", {"name": "Johnson"}),
    ("name", "The name is Johnson.", {"name": "Johnson"}),
    ("name", "it's for Mary Smith", {"name": "Mary Smith"}),
    ("name", "this is O'Neill", {"name": "O'Neill"}),
    ("name", "it's o'neill", {"name": "O'Neill"}),
    ("name", "My name's peter mcdonald", {"name": "Peter Mcdonald"}),
    ("name", "Peter McDonald here", {"name": "Peter McDonald"}),
    ("name", "Anne Smith-Jones", {"name": "Anne Smith-Jones"}),
    ("name", "J-O-H-N", {"name": "John"}),
    ("name", "J O H N S O N", {"name": "Johnson"}),
    ("name", "José García", {"name": "José García"}),
    ("name", "Mr Brown", {"name": "Mr Brown"}),
    ("name", "My name is Park", {"name": "Park"}),
    ("name", "Brilliant.", {"name": None}),
    ("name", "And,", {"name": "Ann"}),  # as recognised
    ("name", "Mr Good", {"name": "Mr Good"}),
    ("name", "Bond. James Bond.", {"name": "James Bond"}),
    ("name", "just put Bob", {"name": "Bob"}),
    ("name", "use Bob", {"name": "Bob"}),
    ("name", "Bob is fine", {"name": "Bob"}),
    ("name", "Sarah with an H", {"name": "Sarah"}),
    ("name", "Peter, and my number is 07700 900123", {"name": "Peter"}),
    ("name", "It's me, Tom", {"name": "Tom"}),
    ("name", "Table for Johnson", {"name": "Johnson"}),
    ("name", "just for us", {"name": None}),
    ("name", "use whatever you like", {"name": None}),
    ("idle", "a table for John Smith for four on Friday", {"party_size": 4, "name": "John Smith"}),
    ("idle", "a table for Christmas", {"name": None}),
    ("idle", "a table for Dinner on Friday", {"name": None}),
    ("name", "yes", {"name": None}),
    ("name", "hello", {"name": None}),
    ("name", "um", {"name": None}),
    # corrections of what was read back
    ("confirm", "yes but make it six", {"party_size": 6}),
    ("confirm", "Yes, but make it thick.", {"party_size": 6}),
    ("confirm", "Actually make it live.", {"party_size": 5}),
    ("confirm", "Make it fun day instead.", {"day": "2026-11-22"}),
    ("confirm", "Friday is wrong", {"day": None, "time": "19:00"}),
    ("confirm", "four is wrong", {"party_size": None}),
    ("confirm", "change the name to Smith", {"name": "Smith"}),
    ("confirm", "it's spelled J O N S O N", {"name": "Jonson"}),
    ("confirm", "change the time to eight", {"party_size": 4, "time": "20:00"}),
    ("confirm", "fine, but make the time eight", {"party_size": 4, "time": "20:00"}),
    ("confirm", "yes five", {"party_size": 5}),
    ("confirm", "yeah but for five", {"party_size": 5}),
    ("confirm", "can you make it for six instead", {"party_size": 6}),
    ("confirm", "Eight.", {"party_size": 8}),
    ("confirm", "one of us is vegetarian", {"party_size": 4}),
    ("confirm", "two of us are in wheelchairs", {"party_size": 4}),
    ("confirm", "actually two more people", {"party_size": 4}),
    ("confirm", "we are five", {"party_size": 5}),
    ("confirm", "it's five people, not four", {"party_size": 5}),
    ("confirm", "let's say eight instead", {"party_size": 4, "time": "20:00"}),
    ("confirm", "make that two people", {"party_size": 2}),
    ("confirm", "no, at eight o'clock", {"time": "20:00"}),
    ("confirm", "No Saturday.", {"day": "2026-11-21"}),
    ("confirm", "sorry, the name is Jonson", {"name": "Jonson"}),
    ("confirm", "Story the name is Jonson.", {"name": "Jonson"}),
    ("confirm", "no it's Jonson", {"name": "Jonson"}),
    ("confirm", "change it from Friday to Saturday", {"day": "2026-11-21"}),
    ("confirm", "No the time of rock.", {"time": None}),
    # phones
    ("phone", "oh two oh seven, double four nine one two three", {"phone": "02074491230"[:-1]}),
    ("phone", "O207-946-double-018.", {"phone": "02079460018"}),
    ("phone", "My number is 07700 900 123", {"phone": "07700900123"}),
    ("phone", "plus four four two zero seven nine four six double oh one eight",
     {"phone": "+442079460018"}),
    ("phone", "triple two, three three three, one", {"phone": "2223331"}),
]  # fmt: skip


@pytest.mark.parametrize(("where", "heard", "wanted"), SLOTS, ids=lambda v: str(v)[:50])
def test_slots(desk: Brain, where: str, heard: str, wanted: dict[str, str | int | None]) -> None:
    reply = _reply(desk, where, heard)
    values = reply.state.values
    assert {name: values.get(name) for name in wanted} == wanted, reply.text


YES_NO = [
    ("Yes please", True),
    ("yeah that's right", True),
    ("Yep", True),
    ("correct", True),
    ("No, that's fine", True),
    ("go ahead", True),
    ("Yes please, four people", True),
    ("yet", True),
    ("Brilliant.", True),
    ("that works", True),
    ("uh huh", True),
    ("It is.", True),
    ("looks good", True),
    ("everything's right", True),
    ("very good, thank you", True),
    ("yes, seven", True),
    ("yes, um, please", True),
    ("yes five", False),
    ("uh-uh", False),
    ("is it", False),
    ("not very good", False),
    ("no", False),
    ("nope", False),
    ("know", False),
    ("that's not right", False),
    ("No, that's not right.", False),
    ("no it isn't correct", False),
    ("No, it's not all right", False),
    ("I don't think that's right", False),
    ("absolutely not", False),
    ("of course not", False),
    ("please don't", False),
    ("wait, no", False),
    ("yes or no", False),
    ("no yes", False),
    ("that's all", False),
    ("are you sure", False),
    ("is that right", False),
    ("hm", False),
    ("That correct.", True),  # as recognised
    ("no no that's all right", True),
    ("Yes, but make it blue", False),  # not understood, hence not agreed
]


@pytest.mark.parametrize(("heard", "agreed"), YES_NO)
def test_read_back_is_accepted_only_by_a_yes(desk: Brain, heard: str, agreed: bool) -> None:
    reply = _reply(desk, "confirm", heard)
    assert bool(reply.actions) is agreed
    assert (reply.state.form is None) is agreed


@pytest.mark.parametrize("junk", ["Bananas are yellow", "hm", "fnord", "%%%", "😀", "a" * 5000])
def test_junk_leaves_an_open_form_as_it_was(desk: Brain, junk: str) -> None:
    before = _reply(desk, "time", "banana")
    after = desk.step(before.state, junk, now=WEDNESDAY)
    assert after.state.slots == before.state.slots
    assert after.expects == "time"


def test_every_reply_is_short_enough_for_a_telephone(desk: Brain) -> None:
    for where, heard, _ in SLOTS:
        assert len(_reply(desk, where, heard).text) < 260


def test_state_survives_json(desk: Brain) -> None:
    for where, heard, _ in SLOTS:
        state = _reply(desk, where, heard).state
        assert asdict(DialogState.from_json(state.to_json())) == asdict(state)


@pytest.mark.parametrize(
    "text", ["[]", "3", '{"who": 1}', '{"stage": "odd"}', '{"slots": 3}', '{"slots": [["a", []]]}']
)
def test_foreign_json_is_no_state(text: str) -> None:
    with pytest.raises(ValueError, match="not a dialog state"):
        DialogState.from_json(text)


def test_repairs_of_the_agent_file_are_used(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    extra = (
        'repairs:\n  - {heard: "hop past {number}", meant: "half past {number}", when: [time]}\n'
    )
    path.write_text(DESK.read_text().replace("repairs:\n", extra), encoding="utf-8")
    reply = _reply(Brain.load(path), "time", "hop past eight")
    assert reply.state.values["time"] == "20:30"


@pytest.mark.parametrize(
    "row", [("{number} *x", "six {number}"), ("^ a b", "c"), ("it's {day}", "{day}")]
)
@pytest.mark.parametrize("heard", ["four six", "a b", "it's sunday monday", "", "' '"])
def test_any_repair_can_be_applied(row: tuple[str, str], heard: str) -> None:
    words = repair(split(heard), (entry(*row),), None)
    assert all(word.text for word in words)
