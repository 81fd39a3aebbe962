"""The words in which OpenAI's wire, and the wires that copy it, tell an error: what each means.

Needs no SDK; `openai_errors.py` knows the exceptions of OpenAI's.
https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from pipecat.utils.errors import ErrorCategory, classify_http_status_code

# an error's `code`, else its `type`
WORDS = {
    "invalid_api_key": ErrorCategory.AUTHENTICATION,
    "authentication_error": ErrorCategory.AUTHENTICATION,
    "insufficient_permissions": ErrorCategory.AUTHORIZATION,
    "permission_error": ErrorCategory.AUTHORIZATION,
    "unsupported_country_region_territory": ErrorCategory.AUTHORIZATION,
    "insufficient_quota": ErrorCategory.QUOTA,
    "credit_balance_exhausted": ErrorCategory.QUOTA,
    "rate_limit_exceeded": ErrorCategory.RATE_LIMIT,
    "rate_limit_error": ErrorCategory.RATE_LIMIT,
    "requests": ErrorCategory.RATE_LIMIT,
    "tokens": ErrorCategory.RATE_LIMIT,
    "invalid_request_error": ErrorCategory.INVALID_REQUEST,
    "server_error": ErrorCategory.SERVER,
}
# a session that has lasted as long as one may: a new one is as good as this was
OVER = "session_expired"
CAPACITY_EXCEEDED = 498  # https://console.groq.com/docs/errors


def category_of(error: object) -> ErrorCategory:
    """The kind of an error object as it stands on the wire: ``{message, type, code, param}``;
    copies of the wire put an HTTP status into `code`."""
    if not isinstance(error, dict):
        return ErrorCategory.SERVER
    code, kind = error.get("code"), error.get("type")
    if isinstance(code, int):
        return classify_http_status_code(code)
    if code == OVER:
        return ErrorCategory.CONNECTIVITY
    return WORDS.get(str(code)) or WORDS.get(str(kind)) or ErrorCategory.SERVER
