"""Whom the phone calls, and where what the server names is asked."""

from __future__ import annotations

import pytest

from telebot.phone.destination import Destination

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("public", "named", "asked"),
    [
        (
            None,
            "http://127.0.0.1:8080/acme/fallback?a=1",
            "http://127.0.0.1:8080/acme/fallback?a=1",
        ),
        ("https://bot.example/", "https://bot.example/x/y", "http://127.0.0.1:8080/x/y"),
        ("https://bot.example", "https://bot.example.org/x", "https://bot.example.org/x"),
        ("https://bot.example", "http://elsewhere/x", "http://elsewhere/x"),
    ],
    ids=["its own", "by its public name", "a name that begins alike", "somebody else's"],
)
def test_what_the_server_names_is_asked_where_it_is_reached(public, named, asked):
    to = Destination("http://127.0.0.1:8080/", "secret", public_url=public)
    assert to.reached(named) == asked
