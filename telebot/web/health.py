"""`/health/live`: the process runs. `/health/ready`: it takes calls, and what its parts say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from telebot.call.admission import Admission

# a part's word on itself: is it fine, and what there is to know
Check = Callable[[], tuple[bool, Mapping[str, Any]]]


async def live(_: web.Request) -> web.Response:
    """200 as long as the loop turns."""
    return web.json_response({"live": True})


def ready(admission: Admission, checks: Mapping[str, Check]) -> Any:
    """A handler: 200 while calls are taken and every part is fine, else 503; the detail in JSON."""

    async def answer(_: web.Request) -> web.Response:
        parts = {name: check() for name, check in checks.items()}
        fine = not admission.draining and all(part_fine for part_fine, _ in parts.values())
        body = {
            "ready": fine,
            "draining": admission.draining,
            "calls": {"live": len(admission.live), "max": admission.max_calls},
            "parts": {name: {"ok": ok, **detail} for name, (ok, detail) in parts.items()},
        }
        return web.json_response(body, status=200 if fine else 503)

    return answer
