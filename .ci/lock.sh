#!/usr/bin/env bash
# Makes the three locks from pyproject.toml: what builds, what serves, what tests; and that of the
# gateway which the benchmark compares with. Each is good for every supported platform and Python,
# and holds hashes but no word of the index it came from.
# Arguments go to uv (--upgrade moves pins that would otherwise stay).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv="${UV:-.venv/bin/uv}"
if ! command -v "$uv" >/dev/null; then
    echo "lock: $uv is missing; run 'make setup-dev' first, or name another by UV=" >&2
    exit 1
fi
python=.venv/bin/python
[ -x "$python" ] || python=python3

compile() {
    local lock=$1
    shift
    echo "lock: $lock (seconds)" >&2
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --no-emit-find-links --no-emit-build-options \
        --output-file "$lock" "$@" >/dev/null
    if grep -nE '://|^ *--(index|extra-index|find-links|trusted)|^-' "$lock"; then
        echo "lock: $lock names where it came from" >&2
        exit 1
    fi
}

build_requirements=$(mktemp)
trap 'rm -f "$build_requirements"' EXIT
"$python" - >"$build_requirements" <<'PYTHON'
import pathlib, tomllib
project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())
print("\n".join(project["build-system"]["requires"]))
PYTHON

compile requirements-build.lock --no-annotate "$@" "$build_requirements"
compile requirements.lock "$@" pyproject.toml
# The tools may not pull the server's own pins along: what is tested is what is served.
compile requirements-dev.lock --constraint requirements.lock --extra dev "$@" pyproject.toml
compile bench/litellm.lock "$@" bench/litellm.in
