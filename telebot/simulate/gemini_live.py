"""Gemini Live's wire (not yet)."""

from __future__ import annotations

from telebot.simulate.server import Routes, Simulator


def routes(sim: Simulator) -> Routes:
    return []
