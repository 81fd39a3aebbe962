"""Which web pages of other origins may use `/v1/voice` and `/v1/audio`: the list `voice.origins`.

Cross-origin resource sharing (https://fetch.spec.whatwg.org/#http-cors-protocol) for those alone,
each by its own name, without credentials: a key goes in a header, which a page must hold itself.
Answers of every kind get the headers, errors too. WebSockets ask `allows`, since browsers send
`Origin` with an upgrade and leave the rest to the server (RFC 6455 section 10.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import hdrs, web

from telebot.web.errors import Handler, error

OPEN = ("/v1/voice/", "/v1/audio/", "/v1/models")
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
HEADERS = "Authorization, Content-Type, Accept, Idempotency-Key, X-Passphrase"
READABLE = (
    "Idempotent-Replayed, Retry-After, x-attempts, x-cache, x-content-filter, x-cost, "
    "x-cost-currency, x-cost-saved, x-failed, x-generation-id, x-provider, x-queue-wait-ms, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-sample-rate, x-skipped"
)
MAX_AGE_S = 600


class Origins:
    """Knows the origins. `base` tells the scheme and host by which a request came."""

    def __init__(self, listed: Iterable[str], base: Callable[[web.Request], str]) -> None:
        self._listed = frozenset(listed)
        self._base = base

    def allows(self, request: web.Request) -> bool:
        """Whether the page that a request comes from may; one from no page may."""
        origin = request.headers.get(hdrs.ORIGIN)
        return origin is None or origin in self._listed or origin == self._own(request)

    def _own(self, request: web.Request) -> str:
        scheme, _, rest = self._base(request).partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Goes first: a preflight brings no key."""
        asks = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if request.method != hdrs.METH_OPTIONS or not asks or not _open(request):
            return await handler(request)
        if not self.allows(request):
            return error(403, "Pages of this origin may not; see voice.origins.", "wrong_origin")
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(MAX_AGE_S),
        }
        return web.Response(status=204, headers=headers)

    async def tell(self, request: web.Request, response: web.StreamResponse) -> None:
        """For `on_response_prepare`."""
        if not _open(request):
            return
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and self.allows(request):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = READABLE


def _open(request: web.Request) -> bool:
    return request.path.startswith(OPEN)
