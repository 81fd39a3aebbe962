"""Which part of the brain answers a turn, in order of precedence: leaving, forms, questions,
yes or no, and at last the offer of what can be done.
"""

from __future__ import annotations

from dataclasses import replace

from telebot.dialog import forms
from telebot.dialog.actions import EndCall, Transfer
from telebot.dialog.agent import Agent
from telebot.dialog.answers import answers
from telebot.dialog.hearing import without
from telebot.dialog.intents import Hit
from telebot.dialog.slots.names import find_explicit_names
from telebot.dialog.state import DialogState
from telebot.dialog.turn import Outcome, Turn
from telebot.dialog.words import FILLERS

_SHORT_WORDS = 6
# A "no" to "anything else?" with other words than these is not the end: "no, is it quiet?"
_REFUSING = FILLERS | frozenset(
    "no nope nah not really thank you that is it all i am we are fine good great nothing for now "
    "at the moment today else more do think so need have just know everything will be today".split()
)


def expects(agent: Agent, state: DialogState) -> str | None:
    """The type of slot that the last question awaits."""
    if state.stage == "confirming":
        return "yes_no"
    if state.form and state.awaiting:
        return agent.forms[state.form].slots[state.awaiting].type
    return "yes_no" if state.asked_more or state.offered else None


def keyed(digits: str, awaited: str | None) -> str:
    """Keyed digits as the words they stand for: 1 and 2 are yes and no where that is asked."""
    if awaited == "yes_no":
        return {"1": "yes", "2": "no"}.get(digits.strip("#"), digits)
    return digits.strip("#")


def hits(turn: Turn, awaited: str | None, *, digits: str | None) -> tuple[Hit, ...]:
    """The intents of this turn. A text being dictated holds none, unless it is short.

    Nobody asks for parking by "My name is Park".
    """
    found: list[Hit] = []
    if digits is not None:
        by_digit = [n for n, i in turn.agent.intents.items() if i.digit == digits.strip()]
        usable = awaited in (None, "name", "text", "yes_no") or digits.strip() in ("*", "#")
        usable = usable or (digits.strip() == "0" and awaited != "phone")  # no day, hour or number
        if by_digit and usable and turn.heard.text not in ("yes", "no"):
            found = [Hit(by_digit[0], 0, len(turn.heard.text), "only")]
        return tuple(found)
    likeness = turn.state.form is None
    heard = without(turn.heard, ((f.start, f.end) for f in find_explicit_names(turn.heard)))
    found = turn.agent.matcher.match(heard, likeness=likeness)
    if awaited == "text":
        doing = [hit for hit in found if turn.agent.intents[hit.intent].action]
        return tuple(doing) if len(turn.heard.words) <= _SHORT_WORDS else ()
    return tuple(found)


def alike(turn: Turn) -> tuple[Hit, ...]:
    """What a sentence that said nothing to the open form may have asked, by likeness alone."""
    found = replace(turn, hits=tuple(turn.agent.matcher.match(turn.heard)))
    return tuple(found.answering_hits())


def respond(turn: Turn) -> Outcome:
    """The outcome of one turn."""
    for attempt in (_repeat, _leave, _give_up, _wait, _go_on, _reopen, _start, _answer, _yes_no):
        outcome = attempt(turn)
        if outcome is not None:
            return outcome
    return _no_match(turn)


def _repeat(turn: Turn) -> Outcome | None:
    if turn.hit_by_action("repeat") and len(turn.hits) == 1:
        return Outcome((turn.state.last_reply,), turn.state)
    return None


def _leave(turn: Turn) -> Outcome | None:
    """Goodbye and hand-over win over an open form, but a yes to its read-back comes first."""
    ending, transfer = turn.hit_by_action("end_call"), turn.hit_by_action("transfer")
    hit = ending or transfer
    if hit is None or _only_refuses(turn, hit):
        return None
    done: Outcome = Outcome((), turn.state)
    if turn.state.stage == "confirming" and turn.agrees and ending:
        done = forms.proceed(replace(turn, hits=()))
        if done.state.form:
            return done
        done = replace(done, parts=done.parts[:1])
    said = answers(turn)
    intent = turn.agent.intents[hit.intent]
    name = "goodbye" if ending else "transfer"
    farewell = turn.agent.say(intent.answer) or turn.agent.phrase(name)
    # After a transfer the brain only speaks again if nobody answered ("transfer_failed").
    offered = None if ending else _offer(turn, "offer_when_transfer_fails")
    state = replace(done.state.without_form(), asked_more=False, offered=offered)
    to = turn.agent.number(intent.transfer_to or "")
    act = EndCall("goodbye") if ending else Transfer(to, intent.warm)
    return Outcome((*done.parts, *said, farewell), state, (*done.actions, act))


def _only_refuses(turn: Turn, hit: Hit) -> bool:
    """ "No thanks, that's all" to a read-back is no goodbye."""
    return turn.state.stage in ("confirming", "changing") and hit.by == "only"


def _give_up(turn: Turn) -> Outcome | None:
    hit = turn.hit_by_action("abandon")
    if hit is None or (not turn.state.form and len(turn.hits) > 1):
        return None
    elsewhere = tuple(h for h in turn.hits if h.start != hit.start)
    others = _new_forms(replace(turn, hits=elsewhere))
    if others and others != [turn.state.form]:
        return forms.begin(turn, others).before(turn.agent.phrase("corrected"))
    state = replace(turn.state.without_form(), pending_forms=(), asked_more=True, offered=None)
    said = turn.agent.say(turn.agent.intents[hit.intent].answer) or turn.agent.phrase("abandoned")
    return Outcome((said, turn.agent.phrase("anything_else")), state)


def _wait(turn: Turn) -> Outcome | None:
    hit = turn.hit_by_action("wait")
    if hit is None or len(turn.hits) > 1:
        return None
    return Outcome((turn.agent.say(turn.agent.intents[hit.intent].answer),), turn.state)


def _go_on(turn: Turn) -> Outcome | None:
    """The open form, unless the caller plainly began another."""
    if not turn.state.form:
        return None
    others = [name for name in _new_forms(turn) if name != turn.state.form]
    if turn.state.stage == "confirming" and turn.agrees and others:
        pending = (*turn.state.pending_forms, *others)
        return forms.proceed(replace(turn, state=replace(turn.state, pending_forms=pending)))
    outcome = forms.proceed(turn)
    if others and outcome.state.slots == turn.state.slots and not outcome.actions:
        return forms.begin(turn, others).before(turn.agent.phrase("corrected"))
    return outcome


def _reopen(turn: Turn) -> Outcome | None:
    """A correction of what was just recorded, unless the sentence wants something else."""
    return None if turn.hits else forms.reopen(turn)


def _start(turn: Turn) -> Outcome | None:
    names = _new_forms(turn)
    return forms.begin(turn, names) if names else None


def _answer(turn: Turn) -> Outcome | None:
    said = answers(turn)
    if not said:
        return None
    asked_more = said[-1].endswith("?")
    return Outcome(said, replace(turn.state, offered=None, asked_more=asked_more))


def _yes_no(turn: Turn) -> Outcome | None:
    """Yes or no to "anything else?" and to an offer."""
    agrees, state = turn.agrees, turn.state
    if len(turn.heard.words) > _SHORT_WORDS:
        return None
    if agrees and state.offered:
        hit = Hit(state.offered, 0, len(turn.heard.text), "only")
        return respond(replace(turn, state=replace(state, offered=None), hits=(hit,)))
    if agrees and state.asked_more:
        return Outcome((turn.agent.phrase("how_can_i_help"),), replace(state, asked_more=False))
    if agrees is False and state.offered:
        return Outcome((turn.agent.phrase("how_can_i_help"),), replace(state, offered=None))
    if agrees is False and state.asked_more and set(turn.heard.text.split()) <= _REFUSING:
        return Outcome((turn.agent.phrase("goodbye"),), replace(state, asked_more=False),
                       (EndCall("goodbye"),))  # fmt: skip
    return None


def _no_match(turn: Turn) -> Outcome:
    """Say what can be done; the second time in a row offer a person or a message."""
    again = turn.state.misses > 0 and turn.agent.phrase_templates["no_match_again"]
    text = turn.agent.phrase("no_match_again" if again else "no_match", turn.said)
    offered = _offer(turn, "offer_when_lost") if again else None
    state = replace(turn.state, offered=offered, asked_more=False)
    return Outcome((text,), state, matched=False)


def _offer(turn: Turn, mark: str) -> str | None:
    """The intent that the file marks as the offer of this moment."""
    return next((name for name, i in turn.agent.intents.items() if getattr(i, mark)), None)


def _new_forms(turn: Turn) -> list[str]:
    named = [turn.agent.intents[hit.intent].form for hit in turn.hits]
    return list(dict.fromkeys(name for name in named if name))
