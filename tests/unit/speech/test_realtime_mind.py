"""What follows from what a session of speech to speech says and calls, and who is told to serve."""

from __future__ import annotations

import pytest

from telebot.call.model import Turn, TurnLatency, UnitPrice, Usage
from telebot.dialog.actions import Action, EndCall, Transfer
from telebot.providers.realtime import END_CALL, TRANSFER
from telebot.records.cost import CallUse, Pricing
from telebot.speech.services import RealtimeMind

pytestmark = pytest.mark.unit

PERSON = Transfer("+441632960123")


def mind(person: Transfer | None = PERSON) -> tuple[RealtimeMind, list[list[Action]]]:
    late: list[list[Action]] = []
    made = RealtimeMind(person)
    made.after_reply = late.append
    made.reply_begins()
    return made, late


@pytest.mark.parametrize(
    ("text", "called", "actions"),
    [
        ("Thank you for calling. Goodbye.", [], [EndCall("goodbye")]),
        ("Good-bye!", [], [EndCall("goodbye")]),
        ("Bye bye", [], [EndCall("goodbye")]),
        ("Thank you for calling.", [END_CALL], [EndCall("goodbye")]),
        ("You may say goodbye at any time, or go on.", [], []),
        ("One moment.", [TRANSFER], [PERSON]),
        ("One moment. Goodbye.", [TRANSFER], [PERSON]),
        ("We are open.", [], []),
    ],
)
def test_a_reply_ends_the_call_or_puts_it_through(
    text: str, called: list[str], actions: list[Action]
) -> None:
    made, late = mind()
    made.reply_said(text, called)
    assert list(made.commit()) == actions
    assert late == []
    assert list(made.commit()) == []


def test_nobody_is_put_through_to_nobody() -> None:
    made, _ = mind(None)
    made.reply_said("One moment.", [TRANSFER])
    assert list(made.commit()) == []


def test_what_is_known_after_the_reply_began_to_count_is_told_late() -> None:
    made, late = mind()
    assert list(made.commit()) == []
    made.reply_said("Goodbye.", [])
    assert late == [[EndCall("goodbye")]]


def test_a_reply_that_was_taken_back_has_no_consequences() -> None:
    made, late = mind()
    made.reply_said("Goodbye.", [])
    made.discard()
    assert list(made.commit()) == []
    assert late == []


def test_a_session_that_tells_its_use_is_not_charged_as_three_providers() -> None:
    name = "openai/gpt-realtime-2.1"
    use = CallUse()
    use.used(Usage("realtime", name, 1000, "audio_tokens_out"))
    providers = {"stt": name, "llm": name, "tts": name}
    use.add(Turn(0, None, "Hello?", "Hello.", "Hello.", False, providers, TurnLatency()))  # type: ignore[arg-type]
    price = UnitPrice(64e-6, "USD")
    pricing = Pricing(
        lambda kind, *_: {"realtime": price, "carrier": UnitPrice(0.0, "")}.get(kind), "USD"
    )
    items = use.items("local", 10.0, pricing)
    assert [(item.kind, item.amount_micros) for item in items] == [
        ("carrier", 0),
        ("realtime", 64000),
    ]
