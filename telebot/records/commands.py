"""`telebot keys` and `telebot db`: what an operator does to the records from the command line.

Works beside a running server; a key made or revoked counts there within seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from telebot.call.errors import Local, Remote
from telebot.records import migrate
from telebot.records.archive import vault_keys_of
from telebot.records.keys import MOST_MODELS, ApiKey, Keys, Scope, Tier
from telebot.records.store import Store
from telebot.records.vault import Vault
from telebot.settings import Settings

T = TypeVar("T", int, float)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
MODEL = re.compile(r"[!-+\--~]{1,128}")  # printable, no comma


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
    _add_terms(create)
    rotate = does.add_parser("rotate", help="give a key a new secret")
    rotate.add_argument("id")
    old = "the old secret opens for so long yet, e.g. 30m, 24h or 7d; without it ends at once"
    rotate.add_argument("--grace", type=duration, metavar="TIME", default=timedelta(0), help=old)
    does.add_parser("reseal", help="encrypt stored provider keys by the first TELEBOT_VAULT_KEY")
    revoke = does.add_parser("revoke", help="withdraw a key")
    revoke.add_argument("id")


def _add_terms(create: argparse.ArgumentParser) -> None:
    """What a key may use of `/v1/voice` and `/v1/audio`, and until when."""
    create.add_argument("--requests-per-minute", type=_above_zero(int), metavar="N")
    create.add_argument("--monthly-budget", type=_above_zero(float), metavar="X")
    create.add_argument(
        "--models", type=models, default=(), metavar="A,B", help='e.g. "vendor/*,local"'
    )
    tiers = [tier.value for tier in Tier]
    create.add_argument("--tier", choices=tiers, default=Tier.NORMAL.value, help="when it waits")
    create.add_argument(
        "--expires", type=moment, metavar="WHEN", help="a day (2027-01-31) or a time from now (90d)"
    )


def _above_zero(kind: type[T]) -> Callable[[str], T]:
    def read(text: str) -> T:
        value = kind(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text}: write a number above 0")
        return value

    return read


def models(text: str) -> tuple[str, ...]:
    """``vendor/*,local`` as a list."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found or len(found) > MOST_MODELS or not all(MODEL.fullmatch(each) for each in found):
        raise argparse.ArgumentTypeError(f'{text!r}: write names like "vendor/*,local"')
    return found


def duration(text: str) -> timedelta:
    """``30m``, ``24h``, ``7d``."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text}: write 30m, 24h or 7d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def moment(text: str) -> datetime:
    """A day or a moment to come (UTC where it says nothing), or a time from now."""
    now = datetime.now(UTC)
    if re.fullmatch(r"\d+[smhd]", text):
        return now + duration(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: write 2027-01-31 or 90d") from None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    if when <= now:
        raise argparse.ArgumentTypeError(f"{text}: lies in the past")
    return when


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
                models=args.models,
                tier=Tier(args.tier),
                expires_at=args.expires,
            )
            print(f"{key.id}  {key.scope.value}  {key.name}\n{secret}")
        elif args.does == "rotate":
            rotated = await keys.rotate(args.id, grace=args.grace)
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
                state = "live" if key.live(datetime.now(UTC)) else "expired"
                state = "revoked" if key.revoked_at else state
                print(f"{key.id}  {state:7}  {key.scope.value:8}  {key.name}{_terms(key)}")
    finally:
        await store.close()
    return 0


def _terms(key: ApiKey) -> str:
    """What is not as usual of a key."""
    given = {
        "models": ",".join(key.models),
        "tier": "" if key.tier is Tier.NORMAL else key.tier.value,
        "requests": key.requests_per_minute and f"{key.requests_per_minute}/min",
        "budget": key.monthly_budget and f"{key.monthly_budget:g}/month",
        "until": key.expires_at and f"{key.expires_at:%Y-%m-%d %H:%MZ}",
    }
    told = [f"{name} {value}" for name, value in given.items() if value]
    return f"  ({'; '.join(told)})" if told else ""


def _store(settings: Settings) -> Store:
    return Store(settings.records.database_url.get_secret_value(), settings.server.data)


def _vault(store: Store, settings: Settings) -> Vault:
    given = settings.security.vault_key.get_secret_value()
    keys = vault_keys_of(given, settings.server.data)
    return Vault(store, keys, lambda: datetime.now(UTC))
