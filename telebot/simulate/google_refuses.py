"""How Google refuses over gRPC: a status, and the details that its clients read.

Codes and details: https://docs.cloud.google.com/apis/design/errors; what its front end says of
keys: https://docs.cloud.google.com/docs/authentication/api-keys-use.
"""

from __future__ import annotations

from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf import any_pb2  # type: ignore[import-untyped]
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

DETAILS = "grpc-status-details-bin"
DOMAIN = "googleapis.com"
Code = grpc.StatusCode


class Unfit(Exception):
    """A request that is refused."""

    def __init__(self, code: Any, says: str, reason: str = "", retry_s: int = 0) -> None:
        super().__init__(says)
        self.code = code
        self.reason = reason
        self.retry_s = retry_s


BAD_KEY = Unfit(
    Code.INVALID_ARGUMENT, "API key not valid. Please pass a valid API key.", "API_KEY_INVALID"
)
BAD_TOKEN = Unfit(
    Code.UNAUTHENTICATED,
    "Request had invalid authentication credentials. Expected OAuth 2 access token.",
    "ACCESS_TOKEN_TYPE_UNSUPPORTED",
)
NOBODY = Unfit(
    Code.PERMISSION_DENIED,
    "Method doesn't allow unregistered callers (callers without established identity).",
)


def on_command(status: int) -> Unfit:
    """The fault of a name, as Google says it."""
    if status == 429:
        says = "Quota exceeded for quota metric 'Requests'."
        return Unfit(Code.RESOURCE_EXHAUSTED, says, "RATE_LIMIT_EXCEEDED", retry_s=1)
    return BAD_TOKEN if status == 401 else Unfit(Code.INTERNAL, "Internal error encountered.")


def invalid(says: str) -> Unfit:
    """A request that is not well formed."""
    return Unfit(Code.INVALID_ARGUMENT, says)


async def refuse(context: Any, fault: Unfit) -> None:
    """End the call with `fault`."""
    status = status_pb2.Status(code=fault.code.value[0], message=str(fault))
    if fault.reason:
        _pack(status, error_details_pb2.ErrorInfo(reason=fault.reason, domain=DOMAIN))
    if fault.retry_s:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.seconds = fault.retry_s
        _pack(status, info)
    details = ((DETAILS, status.SerializeToString()),) if status.details else ()
    await context.abort(fault.code, str(fault), details)


def _pack(status: Any, detail: Any) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)
