# The commands of the project; `make help` lists them. Set-up logic lives in .ci/, the locks are
# made from pyproject.toml by `make lock`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Passed on to the command behind the target: make run ARGS='--http 0.0.0.0:8080'
ARGS ?=
# UPGRADE=1 lets `make lock` move pins that still satisfy pyproject.toml.
UPGRADE ?=
UV ?= .venv/bin/uv
# Conversations mostly wait, so three processes are right for two cores, and a fourth for what they
# leave; tests/conftest.py says who does what. ARGS='-n 0' runs them one after another.
SIDE_BY_SIDE = -n 4 --dist loadscope --no-loadscope-reorder

.PHONY: help setup setup-dev peers run test soak lint bench lock clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup:  ## virtual environment and locked dependencies, nothing started
	@.ci/setup.sh runtime

setup-dev:  ## the same with tests and linters
	@.ci/setup.sh dev

peers:  ## programs the tests talk to, from Debian (root only; says what it skips)
	@.ci/peers.sh

run: setup  ## set-up, then the server on its embedded defaults (ARGS: telebot serve --help)
	@exec .venv/bin/telebot serve $(ARGS)

# Compiled once, not by each of a hundred processes: an environment may keep Python from doing so.
test: export PYTHONDONTWRITEBYTECODE =
# Models are opened and closed again in one process here, which glibc makes twice the memory of.
test: export MALLOC_ARENA_MAX = 2
test: export MALLOC_TRIM_THRESHOLD_ = 131072
test: setup-dev peers  ## set-up, then every test but the soak tests (ARGS: pytest's)
	@.venv/bin/python -m compileall -q -j 0 telebot bench
	@exec .venv/bin/python -m pytest -m "not soak" $(SIDE_BY_SIDE) $(ARGS)

soak: setup-dev peers  ## the tests that take longer than ten minutes
	@.venv/bin/python -m pytest -m soak --timeout 3600 $(ARGS) || { code=$$?; \
	  if [ $$code -eq 5 ]; then echo "no soak test in this version"; else exit $$code; fi; }

lint: setup-dev  ## style, types, direction of imports, YAML, shell, Dockerfile, Compose
	@.ci/lint.sh

bench: setup-dev  ## capacity and latency (ARGS: telebot bench --help)
	@exec .venv/bin/telebot bench $(ARGS)

lock:  ## make the locks from pyproject.toml anew (UPGRADE=1 moves the pins)
	@UV="$(UV)" .ci/lock.sh $(if $(UPGRADE),--upgrade)

clean:  ## remove the environment and every cache; data/ stays
	@rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './data/*' -prune -exec rm -rf {} +
