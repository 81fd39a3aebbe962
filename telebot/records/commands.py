"""`telebot keys` and `telebot db`: what an operator does to the records from the command line.

Works beside a running server; a key made or revoked counts there within seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from datetime import UTC, datetime

from telebot.call.errors import Local, Remote
from telebot.records import migrate
from telebot.records.archive import vault_keys_of
from telebot.records.keys import Keys, Scope
from telebot.records.store import Store
from telebot.records.vault import Vault
from telebot.settings import Settings


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """The arguments of `telebot NAME`, ``keys`` or ``db``."""
    does = parser.add_subparsers(dest="does", metavar="DO", required=True)
    if name == "db":
        does.add_parser("upgrade", help="bring the database up to this version")
        does.add_parser("current", help="show the revision it is at")
        does.add_parser("check", help="exit 1 where an upgrade is needed")
        return
    does.add_parser("list", help="every key, without its secret")
    create = does.add_parser("create", help="make a key; its secret is shown once")
    create.add_argument("name")
    scopes = [scope.value for scope in Scope]
    create.add_argument("--scope", choices=scopes, default=Scope.VIEWER.value)
    create.add_argument("--requests-per-minute", type=int, metavar="N", help="of /v1/voice")
    create.add_argument("--monthly-budget", type=float, metavar="X", help="of /v1/voice")
    rotate = does.add_parser("rotate", help="give a key a new secret; the old one ends at once")
    rotate.add_argument("id")
    does.add_parser("reseal", help="encrypt stored provider keys by the first TELEBOT_VAULT_KEY")
    revoke = does.add_parser("revoke", help="withdraw a key")
    revoke.add_argument("id")


def run(name: str, args: argparse.Namespace, settings: Settings) -> int:
    """Do it; returns the exit status."""
    work = _database(args, settings) if name == "db" else _keys(args, settings)
    try:
        return asyncio.run(work)
    except (Local, Remote) as error:
        print(f"telebot: {error}", file=sys.stderr)
        return 1


async def _database(args: argparse.Namespace, settings: Settings) -> int:
    store = _store(settings)
    try:
        if args.does == "upgrade":
            await store.open()
        elif store.file is not None and not store.file.exists():  # asking makes no file
            print("no database yet: telebot db upgrade makes it")
            return int(args.does == "check")
        async with store.reading() as connection:
            revision = await connection.run_sync(migrate.current)
            fault = await connection.run_sync(migrate.check)
    finally:
        await store.close()
    print(fault if args.does == "check" and fault else f"revision {revision or 'none'}")
    return int(args.does == "check" and fault is not None)


async def _keys(args: argparse.Namespace, settings: Settings) -> int:
    store = _store(settings)
    await store.open()
    keys = Keys(store, settings.server.data, lambda: datetime.now(UTC), time.monotonic)
    try:
        if args.does == "create":
            key, secret = await keys.create(
                args.name,
                Scope(args.scope),
                requests_per_minute=args.requests_per_minute,
                monthly_budget=args.monthly_budget,
            )
            print(f"{key.id}  {key.scope.value}  {key.name}\n{secret}")
        elif args.does == "rotate":
            rotated = await keys.rotate(args.id)
            if rotated is None:
                print(f"telebot: no live key {args.id}", file=sys.stderr)
                return 1
            print(rotated)
        elif args.does == "reseal":
            print(f"{await _vault(store, settings).reseal()} keys encrypted anew")
        elif args.does == "revoke":
            if not await keys.revoke(args.id):
                print(f"telebot: no live key {args.id}", file=sys.stderr)
                return 1
        else:
            for key in await keys.list():
                state = "revoked" if key.revoked_at else "live"
                print(f"{key.id}  {state:7}  {key.scope.value:8}  {key.name}")
    finally:
        await store.close()
    return 0


def _store(settings: Settings) -> Store:
    return Store(settings.records.database_url.get_secret_value(), settings.server.data)


def _vault(store: Store, settings: Settings) -> Vault:
    given = settings.security.vault_key.get_secret_value()
    keys = vault_keys_of(given, settings.server.data)
    return Vault(store, keys, lambda: datetime.now(UTC))
