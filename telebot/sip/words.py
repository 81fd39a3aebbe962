"""The words of SIP: reason phrases, what we can do, what we take."""

from __future__ import annotations

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "NOTIFY")
# of RFC 3261 and its extensions; what is not among them is 501, the others 405
KNOWN = frozenset(
    "INVITE ACK CANCEL BYE OPTIONS REGISTER INFO PRACK UPDATE REFER NOTIFY SUBSCRIBE MESSAGE "
    "PUBLISH".split()
)
EXTENSIONS = ("timer", "100rel")
ALLOW = ("Allow", ", ".join(METHODS))
CAPABILITIES = (ALLOW, ("Supported", ", ".join(EXTENSIONS)))
OFFERED = (ALLOW, ("Supported", "timer"))  # in requests: we acknowledge no provisional responses
REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    469: "Bad Info Package",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}


def reason(status: int) -> str:
    """The phrase of a status, RFC 3261 section 21 and its extensions."""
    return REASONS.get(status, "Unknown")
