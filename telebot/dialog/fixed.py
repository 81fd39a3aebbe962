"""What an agent says word for word whoever calls: its sentences without a value of the call.

A voice's audio of these may be kept; nothing that holds a caller's words is among them.
"""

from __future__ import annotations

from collections.abc import Iterator

from telebot.dialog import templates
from telebot.dialog.agent import Agent


def fixed_texts(agent: Agent) -> frozenset[str]:
    """Every text of the file that has no gap, or only gaps for facts, as it is said."""
    said = {agent.say(text) for text in _templates(agent) if _fixed(text)}
    return frozenset(said - {""})


def _fixed(template: str) -> bool:
    return all(name.startswith("facts.") for name in templates.fields(template))


def _templates(agent: Agent) -> Iterator[str]:
    phrases = agent.phrase_templates.items()
    yield from (text for name, text in phrases if name not in ("fillers", "transfer_summary"))
    for intent in agent.intents.values():
        yield from filter(
            None, (intent.answer, intent.when_open, intent.when_closed, intent.when_other_hours)
        )
    for form in agent.forms.values():
        yield from filter(None, (form.start, form.on_complete.say))
        for slot in form.slots.values():
            yield from filter(None, (slot.ask, slot.ack))
            checks = slot.check.model_dump(exclude_none=True).values()
            yield from (text for text in checks if isinstance(text, str))
