# `make run` starts everything, `make test` proves it; both set up what they need.
# PYTHON=... names the interpreter that makes the environment.

PYTHON ?= python3
PY := .venv/bin/python
TEST_PROCESSES ?= 2
STAMP := .venv/made-for

.PHONY: help setup run test check format bench peers lock FORCE
.DEFAULT_GOAL := help

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile

setup: $(STAMP) ## make .venv and install what the lock names
	@:

# An environment remembers where it stands: one that was copied or moved along with its folder is made anew.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): FORCE
endif
$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Firingline needs Python 3.11 or newer; name one with: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3" >&2; exit 1; }
	@[ "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" ] && $(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || { \
	  echo "This Python cannot make virtual environments; install its venv and ensurepip parts (Debian, Ubuntu: python3-venv)." >&2; exit 1; }
	@rm -f $(STAMP)
	@echo "Installing what requirements-dev.lock names (a minute the first time)."
	@$(PY) -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r requirements-dev.lock
	@$(PY) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@printf '%s\n' "$(CURDIR)" > $(STAMP)

run: setup ## start the range: PostgreSQL, gateway, five workers; Ctrl-C stops them
	@$(PY) -m ops.cli up

test: setup ## the whole test suite, against an embedded PostgreSQL
	@$(PY) -m pytest -n $(TEST_PROCESSES) --dist worksteal

check: setup ## format, lint, types, import contracts
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-logo

format: setup ## format and mend what can be mended by itself
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

bench: setup ## what is measured, beside its limit and its peers
	@$(PY) -m ops.cli bench

peers: setup ## the other queues that the bench measures beside ours: pgqueuer, and graphile-worker where npm is
	@$(PY) -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r requirements-bench.lock
	@if command -v npm >/dev/null; then npm ci --silent --ignore-scripts --no-audit --no-fund --prefix bench/graphile_worker; \
	  else echo "npm is not here: the bench leaves graphile-worker out."; fi

lock: setup ## resolve the dependencies anew, for every platform
	@$(PY) -m uv --version >/dev/null 2>&1 || $(PY) -m pip install --disable-pip-version-check --quiet uv
	@$(PY) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements.lock
	@$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --extra bench -c requirements-dev.lock pyproject.toml -o requirements-bench.lock
	@if command -v npm >/dev/null; then \
	  npm update --silent --package-lock-only --omit-lockfile-registry-resolved --prefix bench/graphile_worker; fi
