"""Alembic's entry: runs the steps on the connection that `migrate.py` hands in."""

from __future__ import annotations

from alembic import context

from telebot.records.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
