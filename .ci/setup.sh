#!/usr/bin/env bash
# Sets up .venv from the locks, every file checked against its hash, and telebot itself on top.
#
#   .ci/setup.sh dependencies   what the server needs, without telebot itself (image layers)
#   .ci/setup.sh runtime        the server
#   .ci/setup.sh dev            the server, its tests and its linters
#
# Needs a Python of the supported range that has pip (22.3 or later) or ensurepip; no network
# and under a second when nothing changed. Debian's python3 comes without ensurepip, so pip runs
# from outside the environment and none is put into it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

level="${1:-runtime}"
venv=.venv
done_stamp=$venv/.set-up       # what is installed; written last
incomplete=$venv/.incomplete   # present from the first write to the last

say() { printf 'set-up: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

case $level in
    dependencies) rank=1 lock=requirements.lock size='1 GB' ;;
    runtime) rank=2 lock=requirements.lock size='1 GB' ;;
    dev) rank=3 lock=requirements-dev.lock size='1.6 GB' ;;
    *) fail "unknown level '$level' (dependencies, runtime or dev)" ;;
esac

# Settings that would send packages elsewhere or add to the lock; an operator's index, mirror,
# certificates, cache and time-outs stay as they are.
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_CONSTRAINT \
    PIP_REQUIREMENT PIP_EDITABLE PIP_DRY_RUN PIP_UPGRADE PIP_PRE PIP_NO_BINARY PIP_ONLY_BINARY \
    PIP_REQUIRE_VIRTUALENV PIP_IGNORE_INSTALLED PIP_VERBOSE PIP_BUILD_CONSTRAINT

# -- what is there already ---------------------------------------------------------------------

# The stamp is three lines: where the environment stands, what it was made from, how far it got.
here=$PWD
inputs=$(cat pyproject.toml requirements-build.lock requirements.lock requirements-dev.lock | cksum)

stamp_line() { sed -n "${1}p" "$done_stamp" 2>/dev/null || true; }

is_current() {
    [ ! -e "$incomplete" ] && [ "$(stamp_line 1)" = "$here" ] && [ "$(stamp_line 2)" = "$inputs" ] &&
        [ "$(stamp_line 3)" -ge "$rank" ] 2>/dev/null && "$venv/bin/python" -c '' 2>/dev/null
}

if is_current; then exit 0; fi

# Two set-ups at once would write over each other; the second waits and finds the work done.
if command -v flock >/dev/null; then
    exec 9<.ci/setup.sh
    flock -w 1200 9 || fail "another set-up has held this directory for 20 minutes"
    if is_current; then exit 0; fi
fi

# -- which Python, which pip -------------------------------------------------------------------

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
pip_is_recent='import pip, sys; v = pip.__version__.split("."); sys.exit((int(v[0]), int(v[1])) < (22, 3))'

has_pip() { "$1" -c "$pip_is_recent" 2>/dev/null; }
has_ensurepip() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# Version managers leave shims on the path that only print an error: each candidate is run.
find_python() {
    local name found=''
    for name in python3.13 python3.12 python3.11 python3; do
        "$name" -c "$supported" 2>/dev/null || continue
        found=$name
        if has_pip "$name" || has_ensurepip "$name"; then
            echo "$name"
            return
        fi
    done
    [ -z "$found" ] || fail "$found has no pip 22.3 or later (Debian: apt-get install python3-pip)"
    fail "no Python 3.11, 3.12 or 3.13 on the path (Debian 12: apt-get install python3 python3-pip)"
}

python=$(find_python)

# -- the environment ---------------------------------------------------------------------------

# A package cut off half-way can look installed, so an interrupted environment is made anew,
# and so is one whose scripts point to another directory or whose Python has gone.
remove_if_broken() {
    [ -d "$venv" ] || return 0
    if [ -e "$incomplete" ]; then
        say "the last set-up was interrupted; starting afresh"
    elif [ -e "$done_stamp" ] && [ "$(stamp_line 1)" != "$here" ]; then
        say "$venv was made in another directory; starting afresh"
    elif ! "$venv/bin/python" -c "$supported" 2>/dev/null; then
        say "$venv has no working Python 3.11 to 3.13; starting afresh"
    else
        return 0
    fi
    rm -rf "$venv"
}

pip_install() {
    "${pip[@]}" install --quiet --no-input --no-user --disable-pip-version-check \
        --progress-bar off --no-warn-script-location --root-user-action ignore \
        --no-build-isolation --no-deps "$@"
}

remove_if_broken
mkdir -p "$venv"
: >"$incomplete"
rm -f "$done_stamp"
if [ ! -x "$venv/bin/python" ]; then
    say "creating $venv with $("$python" --version) (seconds)"
    "$python" -m venv --without-pip "$venv"
fi
if has_pip "$python"; then
    pip=("$python" -m pip --python "$venv/bin/python")
else
    "$venv/bin/python" -m ensurepip >/dev/null
    pip=("$venv/bin/python" -m pip)
fi

# Build isolation would fetch setuptools unpinned and unchecked, so the locked one is put in first
# and builds what has no wheel: docopt, and telebot itself.
say "installing $(grep -c '^[a-z0-9]' "$lock") locked packages (about a minute, $size on disk)"
pip_install --require-hashes --only-binary :all: -r requirements-build.lock
pip_install --require-hashes --use-pep517 -r "$lock"
if [ "$rank" -ge 2 ]; then
    say "installing telebot (seconds)"
    # A newer pip shows setuptools' advice on editable installs, at length, through --quiet.
    PYTHONWARNINGS=ignore pip_install --no-index --editable .
fi

printf '%s\n' "$here" "$inputs" "$rank" >"$done_stamp.new"
mv "$done_stamp.new" "$done_stamp"
rm -f "$incomplete"
say "ready"
