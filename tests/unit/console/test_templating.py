"""The templates: there when a page is asked for, once, all of them, and escaping."""

from __future__ import annotations

import asyncio

import pytest

from telebot.console import templating
from telebot.console.templating import FOLDER, Templates

pytestmark = pytest.mark.unit


async def test_they_are_compiled_once_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    environments = []

    def compiled() -> object:
        environments.append(real())
        return environments[-1]

    real = templating.compiled
    monkeypatch.setattr(templating, "compiled", compiled)
    templates = Templates()
    await asyncio.gather(*(templates.ready() for _ in range(5)))
    assert len(environments) == 1
    assert sorted(environments[0].list_templates()) == sorted(p.name for p in FOLDER.iterdir())


async def test_what_is_shown_is_escaped() -> None:
    templates = Templates()
    await templates.ready()
    page = templates.render("notice.html", {"title": "<i>", "text": "a & b"})
    assert "&lt;i&gt;" in page
    assert "a &amp; b" in page


def test_before_they_are_ready_nothing_is_shown() -> None:
    with pytest.raises(RuntimeError, match="not ready"):
        Templates().render("notice.html", {})
