"""Filling a form: ask, accept, refuse, read back, correct, complete.

A form in progress lives wholly in the state; every function here returns a new one.
"""

from __future__ import annotations

import re
from dataclasses import replace

from telebot.dialog.actions import FieldValue, Record
from telebot.dialog.agent_file import Form, Slot
from telebot.dialog.answers import answers
from telebot.dialog.checks import refusal, spoken
from telebot.dialog.extraction import Asked, extract
from telebot.dialog.hearing import read
from telebot.dialog.slots.found import Found, blank
from telebot.dialog.state import DialogState
from telebot.dialog.turn import Outcome, Turn

_MAX_TEXT_CHARS = 600
_NOTHING = read("")
_WRONG = re.compile(
    r"\b(?:wrong|change|different|not (?:right|correct)|incorrect|mistake|another)\b"
)
_CORRECTS = re.compile(
    r"\b(?:no|wait|actually|sorry|make (?:it|that)|i mean|i meant|change|instead|wrong|not)\b"
)
# "Yes, but make it …" something that was not understood is no yes.
_BUT = re.compile(r"\b(?:but|except|make (?:it|that)|change|instead|apart from)\b")
_LAST_QUESTION = re.compile(r"(?:^|(?<=[.!?]) )[^.!?]*\?$")
_CALLED = {
    "number": ("number", "how many", "people", "party", "size"),
    "date": ("day", "date"),
    "day": ("day",),
    "time": ("time", "hour"),
    "name": ("name", "spelling"),
    "phone": ("phone", "telephone", "number"),
    "text": ("message", "text"),
    "yes_no": (),
}


def begin(turn: Turn, names: list[str]) -> Outcome:
    """Start the first of these forms with what the sentence already tells; queue the others."""
    form = turn.agent.forms[names[0]]
    state = replace(turn.state.without_form(), form=names[0], stage="filling",
                    pending_forms=tuple(names[1:]), asked_more=False, offered=None)  # fmt: skip
    fills = extract(turn.heard, _outside_questions(turn), _asked(turn, state, form))
    outcome = _advance(turn, state, form, {k: v for k, v in fills.items() if v != ""}, quiet=True)
    opening = turn.agent.say(form.start) if outcome.state.stage == "filling" else ""
    return outcome.before(*_said(turn), opening)


def proceed(turn: Turn) -> Outcome:
    """The caller's sentence while a form is open."""
    state = turn.state
    form = turn.agent.forms[str(state.form)]
    if state.awaiting and form.slots[state.awaiting].type == "text" and not turn.hits:
        return _advance(turn, state, form, {state.awaiting: turn.said.strip()[:_MAX_TEXT_CHARS]})
    fills = extract(turn.heard, _outside_questions(turn), _asked(turn, state, form))
    changed = {name: value for name, value in fills.items() if state.values.get(name) != value}
    if state.stage == "filling":
        return _fill(turn, form, changed if state.awaiting not in fills else fills)
    return _confirm(turn, form, changed, list(fills))


def reopen(turn: Turn) -> Outcome | None:
    """ "Actually, make it five" after the booking: the form again, corrected and read back."""
    if not turn.state.done_form or not _CORRECTS.search(turn.heard.text):
        return None
    form = turn.agent.forms[turn.state.done_form]
    state = replace(turn.state, form=turn.state.done_form, slots=turn.state.done_slots,
                    stage="confirming", reopened=True, asked_more=False, offered=None)  # fmt: skip
    fills = extract(turn.heard, turn.heard.text, _asked(turn, state, form))
    changed = {name: value for name, value in fills.items() if state.values.get(name) != value}
    if not changed:
        return None
    return _advance(turn, state, form, changed).before(turn.agent.phrase("corrected"))


def reask(turn: Turn, state: DialogState) -> str:
    """The open question of a form, as after an answer in between."""
    if not state.form:
        return ""
    form = turn.agent.forms[state.form]
    if state.stage == "confirming":
        return _read_back(turn, form, state)
    if state.stage == "changing" or not state.awaiting:
        return turn.agent.phrase("what_to_change")
    return turn.agent.say(form.slots[state.awaiting].ask)


def _said(turn: Turn) -> tuple[str, ...]:
    """Answers without the question they may end in: the form has its own."""
    return tuple(_LAST_QUESTION.sub("", text) for text in answers(turn))


def _fill(turn: Turn, form: Form, fills: dict[str, FieldValue]) -> Outcome:
    said = _said(turn)
    if fills:
        return _advance(turn, turn.state, form, fills).before(*said)
    unwanted = _unwanted(turn, form)
    if unwanted:
        return _ask_again(turn, unwanted).before(*said)
    if said:
        return Outcome((*said, reask(turn, turn.state)), turn.state)
    return _missed(turn)


def _confirm(
    turn: Turn, form: Form, changed: dict[str, FieldValue], repeated: list[str]
) -> Outcome:
    """Corrections first, then what is wrong, then yes or no."""
    if changed:
        outcome = _advance(turn, turn.state, form, changed).before(turn.agent.phrase("corrected"))
    else:
        outcome = _unchanged(turn, form, repeated)
    if turn.agrees and all(hit.by == "only" for hit in turn.hits):
        return outcome  # "perfect, thanks" wants no answer
    return outcome.before(*_said(turn))


def _unchanged(turn: Turn, form: Form, repeated: list[str]) -> Outcome:
    wrong = bool(_WRONG.search(turn.heard.text))
    named = repeated[0] if repeated and wrong else _unwanted(turn, form)  # "Friday is wrong"
    if named and (turn.agrees is not True or wrong):
        return _ask_again(turn, named)
    if turn.agrees and turn.state.stage == "confirming" and not _BUT.search(turn.heard.text):
        return _complete(turn, form)
    nothing = turn.state.stage == "changing" and turn.agrees is False  # "no, nothing"
    if repeated or nothing:
        return _advance(turn, turn.state, form, {})
    if turn.agrees is not None and turn.state.stage == "confirming":
        state = replace(turn.state, stage="changing", awaiting=None)
        return Outcome((turn.agent.phrase("what_to_change"),), state)
    if turn.answering_hits():
        return Outcome((reask(turn, turn.state),), turn.state)
    return _missed(turn)


def _advance(
    turn: Turn,
    state: DialogState,
    form: Form,
    fills: dict[str, FieldValue],
    *,
    quiet: bool = False,
) -> Outcome:
    """Take the values, refuse what cannot stand, then ask on or read back."""
    values = {name: v for name in form.slots for v in [fills.get(name, state.values.get(name))]
              if v is not None}  # fmt: skip
    refused = refusal(form, values, turn.agent.hours, turn.now)
    parts: list[str] = []
    if refused:
        parts.append(turn.agent.say(refused.template, refused.values))
        values.pop(refused.slot)
    missing = refused.slot if refused else next((n for n in form.slots if n not in values), None)
    state = replace(state, slots=tuple(values.items()), awaiting=missing,
                    last_filled=tuple(name for name in fills if name in values),
                    stage="filling" if missing else "confirming")  # fmt: skip
    if missing and not refused and not quiet:
        parts += [_ack(turn, form.slots[name], name, fills[name]) for name in state.last_filled]
    return Outcome((*parts, reask(turn, state)), state)


def _ack(turn: Turn, slot: Slot, name: str, value: FieldValue) -> str:
    return turn.agent.say(slot.ack, {name: spoken(slot, value, turn.now)})


def _ask_again(turn: Turn, name: str) -> Outcome:
    """The caller says that this slot is wrong without saying what is right."""
    left = tuple((slot, value) for slot, value in turn.state.slots if slot != name)
    state = replace(turn.state, stage="filling", slots=left, awaiting=name, last_filled=())
    return Outcome((turn.agent.phrase("corrected"), reask(turn, state)), state)


def _complete(turn: Turn, form: Form) -> Outcome:
    """Record the form; go on with the next one the caller asked for, or offer more."""
    values = turn.state.values
    record = Record(form.on_complete.record, values, replaces=turn.state.reopened)
    said = turn.agent.say(form.on_complete.say, _spoken_values(turn, form, turn.state))
    state = replace(turn.state.without_form(), pending_forms=(), asked_more=True,
                    done_form=turn.state.form, done_slots=turn.state.slots)  # fmt: skip
    if turn.state.pending_forms:
        following = begin(replace(turn, state=state, hits=(), heard=_NOTHING),
                          list(turn.state.pending_forms))  # fmt: skip
        return replace(following.before(said), actions=(record, *following.actions))
    return Outcome((said, turn.agent.phrase("anything_else")), state, (record,))


def _missed(turn: Turn) -> Outcome:
    again = "_again" if turn.state.misses else ""
    sorry = turn.agent.phrase(f"not_understood{again}")
    return Outcome((sorry, reask(turn, turn.state)), turn.state, matched=False)


def _read_back(turn: Turn, form: Form, state: DialogState) -> str:
    return turn.agent.say(form.confirm, _spoken_values(turn, form, state))


def _spoken_values(turn: Turn, form: Form, state: DialogState) -> dict[str, str]:
    return {name: spoken(form.slots[name], v, turn.now) for name, v in state.values.items()}


def _unwanted(turn: Turn, form: Form) -> str | None:
    """The slot that the caller calls wrong, or names alone after "what should I change?"."""
    text = turn.heard.text
    refusing = turn.state.stage == "confirming" and turn.agrees is False
    if not refusing and turn.state.stage != "changing" and not _WRONG.search(text):
        return None
    for name, slot in form.slots.items():
        called = (*(word.lower() for word in slot.called), *_CALLED[slot.type])
        if any(re.search(rf"\b{re.escape(word)}s?\b", text) for word in called):
            return name
    return None


def _outside_questions(turn: Turn) -> str:
    """The text without clauses that only ask about hours: their days belong to the question.

    Nor is "brilliant", said as thanks, anybody's name.
    """
    asked = [hit for hit in turn.answering_hits()
             if hit.by == "only" or turn.agent.intents[hit.intent].uses_hours]  # fmt: skip
    doing = [h.start for h in turn.hits if turn.agent.intents[h.intent].form]
    return blank(turn.heard.text, [Found("", hit.start, hit.end) for hit in asked
                                   if hit.start not in doing])  # fmt: skip


def _asked(turn: Turn, state: DialogState, form: Form) -> Asked:
    confirming = state.stage in ("confirming", "changing")
    bare_name = state.stage == "changing" and not turn.hits
    return Asked(form, state.values, state.awaiting, state.last_filled, confirming, bare_name,
                 turn.now.date(), turn.agent.hours, state.caller_number)  # fmt: skip
