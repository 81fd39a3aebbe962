"""Agent files that cannot be used: each fault with its line and what to write instead."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telebot.call.errors import Local
from telebot.dialog.brain import Brain
from telebot.dialog.errors import BadAgentFile
from telebot.dialog.loading import load_agent_file

pytestmark = pytest.mark.unit

GOOD = """\
agent: {anything: goes}
facts:
  address: 12 Harbour Street
  opening_hours:
    tuesday: 12:00-22:00
phrases:
  greeting: "Hello from {facts.address}."
intents:
  address:
    keywords: [address]
    answer: "We are at {facts.address}."
  book:
    keywords: [book]
    form: booking
forms:
  booking:
    slots:
      guests:
        type: number
        ask: "How many?"
        check:
          min: 1
          max: 9
          too_few: "Too few."
          too_many: "Too many."
      day:
        type: date
        ask: "Which day?"
    confirm: "{guests} on {day}?"
    on_complete:
      record: booking
      say: "Done."
repairs:
  - heard: buk
    meant: book
"""

# (replace this, by this) in GOOD → (line, part of the problem, part of the remedy)
BAD = [
    (("phrases:", "phrase:"), (6, '"phrase" is not known', 'did you mean "phrases"?')),
    (("    answer:", "    anser:"), (11, '"anser" is not known', '"answer"')),
    (("        ask: \"How", "        aks: \"How"), (20, '"aks" is not known', '"ask"')),
    (("          min: 1", "          minimum: 1"), (22, '"minimum" is not known', '"min"')),
    (("      say: \"Done.\"", "      sya: \"Done.\""), (32, '"sya" is not known', '"say"')),
    (("    meant: book", "    ment: book"), (35, '"ment" is not known', '"meant"')),
    (("{facts.address}.\"\nintents", "{facts.adress}.\"\nintents"),
     (7, '"{facts.adress}" is not known here', 'did you mean "{facts.address}"?')),
    (("at {facts.address}", "at {facts.address"), (11, "brace", '"{name}"')),
    (("form: booking", "form: bookings"), (14, 'no form "bookings"', '"booking"')),
    (("[address]", "[\"{nummer} x\"]"), (10, '"{nummer}" cannot be heard', "{number}")),
    (("[address]\n", "[address]\n    only: [\"{number}\"]\n"), (11, "cannot be heard", "words")),
    (("{facts.address}.\"\nintents", "x\nintents"), (11, "not readable", "quotation mark")),
    (("type: number", "type: numbers"), (19, '"numbers" is not possible', "'number'")),
    (("type: number", "type: time"), (22, '"min" does not fit', "closed")),
    (("min: 1", "min: one"), (22, '"min" cannot be "one"', "digits")),
    (("min: 1", "min: 20"), (22, "min is larger", "swap")),
    (("          too_few: \"Too few.\"\n", ""), (22, '"min" needs "too_few"', "add too_few")),
    (("{guests} on {day}?", "On {day}?"), (29, 'leaves out "guests"', "add {guests}")),
    (("{guests} on {day}?", "{guest}s on {day}, {guests}?"),
     (29, '"{guest}" is not known', '"{guests}"')),
    (("record: booking", "record: bookin"), (31, '"bookin" is not possible', "'booking'")),
    (("    keywords: [book]\n", ""), (12, 'nothing tells when a caller means "book"', "keywords")),
    (("    answer: \"We are at {facts.address}.\"\n", ""), (9, "says and does nothing", "answer")),
    (("keywords: [address]", "keywords: address"), (10, '"keywords" cannot be', "- ")),
    (("keywords: [address]", "keywords: ['?!']"), (10, "holds no words", "words")),
    (("12:00-22:00", "noon to ten"), (5, "no opening hours", "12:00-22:00")),
    (("12:00-22:00", "22:00-12:00"), (5, "no opening hours", "12:00-22:00")),
    (("tuesday:", "teusday:"), (5, "no day of the week", '"tuesday"')),
    (("  greeting:", "  greating:"), (7, 'no phrase "greating"', '"greeting"')),
    (("  greeting: \"Hello from {facts.address}.\"", "  goodbye: \"Bye.\""),
     (6, "the greeting is missing", "greeting:")),
    (("        ask: \"Which day?\"\n", ""), (26, '"ask" is missing', "add ask")),
    (("        ask: \"Which day?\"", "        ask:"),
     (28, '"ask" cannot be empty', "double quotes")),
    (("  book:\n", "  address:\n"),
     (12, '"address" stands here again (first in line 9)', "another")),
    (("    form: booking", "    action: transfer"), (14, "transfer needs both", "transfer_to")),
    (("    form: booking", "    form: booking\n    digit: '12'"),
     (15, '"digit" cannot be', "one key")),
    (("    form: booking", "\tform: booking"), (14, "not readable", "spaces")),
    (("say: \"Done.\"", "say: Done: all"), (32, "not readable", "double quotes")),
    (("say: \"Done.\"", "say: \"Done."), (32, "not readable", "quotation mark")),
    (("say: \"Done.\"", "say: *done"), (32, "begins with *", "double quotes")),
    (("    meant: book", "    meant: book\n    when: [clock]"),
     (36, '"clock" is not possible', "time")),
    (("heard: buk", 'heard: "^ $"'), (34, "holds no words", "words")),
    (("heard: buk", 'heard: "{numbr} buk"'), (34, '"{numbr}" is not known', '"{number}"')),
    (("heard: buk", 'heard: "{day} buk {day}"'), (34, "twice", "once")),
    (("meant: book", 'meant: "book {day}"'), (35, '"{day}" is not in heard', "both")),
    (("  address: 12", "  closed_dates: [2026-13-24]\n  address: 12"), (3, "no date", "2026-")),
    (("  address: 12", "  closed_dates: [christmas]\n  address: 12"), (3, "no date", "2026-12-25")),
]  # fmt: skip


def _load(folder: Path, text: str) -> BadAgentFile:
    path = folder / "agent.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadAgentFile) as caught:
        Brain.load(path)
    return caught.value


def test_the_good_file_is_good(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert Brain.load(path).greeting() == "Hello from 12 Harbour Street."


@pytest.mark.parametrize(("change", "wanted"), BAD, ids=lambda v: str(v[1])[:40])
def test_fault(tmp_path: Path, change: tuple[str, str], wanted: tuple[int, str, str]) -> None:
    assert change[0] in GOOD
    error = _load(tmp_path, GOOD.replace(*change, 1))
    line, problem, instead = wanted
    assert (error.line, problem in error.problem, instead in error.instead) == (
        line,
        True,
        True,
    ), str(error)
    assert f"agent.yaml:{line}: " in str(error)
    assert isinstance(error, Local)


def test_all_faults_are_listed_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = GOOD.replace("form: booking", "form: bokking").replace("{day}?", "{dy}?")
    error = _load(tmp_path, text)
    assert [p.line for p in error.problems] == [14, 16, 29, 29]
    assert str(error).count("agent.yaml:") == 4
    shape = _load(tmp_path, GOOD.replace("ask:", "aks:").replace("facts:", "fact:", 1))
    assert [p.line for p in shape.problems] == [2, 20, 28]


@pytest.mark.parametrize(
    ("content", "instead"),
    [
        (b"", "greeting"),
        (b"- a\n- b\n", "begin with"),
        (b"just words", "begin with"),
        (b"phrases: {greeting: \xff\xfe}", "UTF-8"),
        (b"phrases:\n  greeting: Hi\n  ? [a]\n  : b\n", "name: text"),
        (b"facts: " + b"{a: " * 40 + b"1" + b"}" * 40, "flatter"),
        (b"facts: " + b"[" * 5000, "indentation"),
        (b"facts: " + b"[" * 5000 + b"]" * 5000, "flatter"),
        (b"#" * 1_000_001, "split"),
    ],
)
def test_files_that_are_no_agent(tmp_path: Path, content: bytes, instead: str) -> None:
    path = tmp_path / "agent.yaml"
    path.write_bytes(content)
    with pytest.raises(BadAgentFile) as caught:
        load_agent_file(path)
    assert any(instead in p.instead for p in caught.value.problems), str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadAgentFile, match="cannot be read"):
        Brain.load(tmp_path / "nobody.yaml")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD)), st.text(max_size=12), st.integers(0, 30))
def test_a_damaged_file_loads_or_is_explained(
    tmp_path_factory: pytest.TempPathFactory, at: int, put: str, cut: int
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "agent.yaml"
    path.write_text(GOOD[:at] + put + GOOD[at + cut :], encoding="utf-8", errors="replace")
    error = _error(path)
    assert error is None or (error.line >= 1 and error.instead)


def _error(path: Path) -> BadAgentFile | None:
    try:
        load_agent_file(path)
    except BadAgentFile as error:
        return error
    return None
