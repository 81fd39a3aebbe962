#!/usr/bin/env bash
# Runs every linter, also after one has failed, and names those that did.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
PATH="$PWD/.venv/bin:$PATH"

failed=()
check() {
    local name=$1 output
    shift
    # No wheel of shellcheck or hadolint exists for some machines; the others do check.
    if ! command -v "$1" >/dev/null; then
        printf 'lint: %s skipped, %s is not installed\n' "$name" "$1"
    elif output=$("$@" 2>&1); then
        printf 'lint: %s ok\n' "$name"
    else
        printf 'lint: %s FAILED\n%s\n' "$name" "$output"
        failed+=("$name")
    fi
}

check style ruff check --quiet .
check format ruff format --check --quiet --diff .
check types mypy
check imports lint-imports --no-logo
check yaml yamllint --strict config docker .yamllint.yaml
check shell shellcheck .ci/run .ci/*.sh
check dockerfile hadolint docker/Dockerfile docker/kamailio/Dockerfile
check compose check-jsonschema --builtin-schema vendor.compose-spec \
    docker/compose.yaml docker/compose.sip.yaml

if [ ${#failed[@]} -gt 0 ]; then
    printf 'lint: %d failed: %s\n' "${#failed[@]}" "${failed[*]}"
    exit 1
fi
