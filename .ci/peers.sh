#!/usr/bin/env bash
# Installs the programs that the tests talk to, where that is possible: on Debian as root. Says
# what is missing elsewhere; the tests that need it are then skipped, and say so themselves.
set -euo pipefail

PEERS=(
    chromium chromium-driver postgresql redis-server espeak-ng sox
    baresip-core sip-tester sipsak kamailio kamailio-tls-modules rtpengine-daemon tshark
    nodejs node-ws node-typescript
)

say() { printf 'peers: %s\n' "$*" >&2; }

is_installed() {
    if command -v dpkg-query >/dev/null; then
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
    else
        command -v "$1" >/dev/null
    fi
}

missing=()
for package in "${PEERS[@]}"; do
    is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

is_debian=false
if command -v apt-get >/dev/null && grep -q '^ID=debian' /etc/os-release 2>/dev/null; then
    is_debian=true
fi
if [ "$is_debian" = false ] || [ "$(id -u)" -ne 0 ]; then
    why='not root'
    [ "$is_debian" = true ] || why='not Debian'
    say "$why, so not installed and their tests are skipped: ${missing[*]}"
    exit 0
fi

# Packages must not start their services: the tests start their own, on ports of their own.
# An image that brings a policy of its own keeps it.
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
made_policy=false
trap 'rm -f "$log"; [ "$made_policy" = false ] || rm -f "$policy"' EXIT
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    made_policy=true
fi

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" </dev/null >"$log" 2>&1
}

say "installing ${missing[*]} (about a minute)"
if ! { apt update && apt install --no-install-recommends "${missing[@]}"; }; then
    tail -n 15 "$log" >&2
    say "not installed, their tests are skipped: ${missing[*]}"
    # On a build machine a silent loss of tests would pass for success.
    [ -z "${CI:-}" ] || exit 1
fi
