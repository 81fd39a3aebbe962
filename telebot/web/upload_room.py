"""Room for what programs send to `/v1/voice`: a bounded number of bytes at once, from the moment a
request comes until it is answered, so that no number of uploads, however slow, fills the memory.

One owner has at most half of it.
"""

from __future__ import annotations

from collections import Counter

from aiohttp import web

from telebot.call.errors import ApiError
from telebot.web.auth import KEY
from telebot.web.errors import Handler
from telebot.web.rate_limits import LIMITED

SHARES = 2  # an owner has one of them
AGAIN_S = 5.0


class UploadRoom:
    """Counts bytes by what requests say of themselves; those that do not say (chunked) count as
    `largest_bytes`, more than which is refused where a body is read."""

    def __init__(self, most_bytes: int, largest_bytes: int) -> None:
        self.most = most_bytes
        self._largest = largest_bytes
        self._of_owner: Counter[str] = Counter()

    @property
    def held(self) -> int:
        return self._of_owner.total()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Raises `ApiError` (503) where there is no room; one upload alone always has it."""
        if request.method != "POST" or not request.path.startswith(LIMITED):
            return await handler(request)
        key, said = request.get(KEY), request.content_length
        owner = "" if key is None else key.id
        size = self._largest if said is None else min(said, self._largest)
        mine = self._of_owner[owner]
        full = self.held and self.held + size > self.most
        if full or (mine and mine + size > self.most // SHARES):
            raise ApiError(
                503,
                "busy",
                "No room for another upload of this size now; try again later.",
                retry_after_s=AGAIN_S,
            )
        self._of_owner[owner] += size
        try:
            return await handler(request)
        finally:
            self._of_owner[owner] -= size
            if not self._of_owner[owner]:
                del self._of_owner[owner]
