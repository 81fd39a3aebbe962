"""`python -m bench [WHAT] …`: run (the default), ramp, noise, offline, failover, sip, sip-media,
profile, load, wide, gateway (its load and its upstream: gateway-load, gateway-upstream)."""

from __future__ import annotations

import importlib
import sys

MODULES = {
    "run": "bench.run",
    "ramp": "bench.ramp",
    "noise": "bench.noise",
    "offline": "bench.offline",
    "failover": "bench.failover",
    "profile": "bench.cpu_profile",
    "load": "bench.phone_load",
    "noise-load": "bench.noise_load",
    "wide": "bench.wide",
    "sip": "bench.sip",
    "sip-load": "bench.sip_load",
    "sip-media": "bench.sip_media",
    "sip-media-server": "bench.sip_media_server",
    "gateway": "bench.gateway",
    "gateway-load": "bench.gateway_load",
    "gateway-upstream": "bench.gateway_upstream",
}


def main() -> int:
    arguments = sys.argv[1:]
    what = "run"
    if arguments and not arguments[0].startswith("-"):
        what = arguments.pop(0)
    if what not in MODULES:
        print(f"{__doc__}\nnot known: {what!r}", file=sys.stderr)
        return 2
    return int(importlib.import_module(MODULES[what]).main(arguments) or 0)


if __name__ == "__main__":
    sys.exit(main())
