# Switchboard. `make` lists what there is to do. Nothing is needed but Python 3.11 or newer and make.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# The first of these that is new enough builds the virtual environment; `make PYTHON=/path/to/python` names another.
PYTHON ?=
PYTHONS := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-input -qq --require-hashes
# How many processes run the tests (pytest-xdist); `make test WORKERS=0` runs them in one.
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest -q
# Each has a database of its own on the Redis server, which has 16.
SPREAD := -n $(WORKERS) --maxprocesses 12
# The tests that kill processes wait more than they work: one process per set-up, and one for the rest
# (tests/scheduling.py).
SIDE_BY_SIDE := $(if $(filter 0,$(WORKERS)),-n 0,-n 4 --dist loadgroup)
PYTEST_ARGS ?=

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set-up ---------------------------------------------------------------------------------------------------
$(VENV)/.made:
	@found=; for python in $(PYTHONS); do \
	    if command -v $$python >/dev/null 2>&1 && \
	       $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "Switchboard needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || echo none)." >&2; \
	    echo "  Debian 12, Ubuntu 24.04: sudo apt install python3 python3-venv" >&2; \
	    echo "  Fedora: sudo dnf install python3    macOS: brew install python" >&2; \
	    echo "  or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	if ! $$found -c 'import venv, ensurepip' 2>/dev/null; then \
	    echo "$$found ($$($$found --version)) lacks venv, which makes virtual environments." >&2; \
	    echo "  Debian, Ubuntu: sudo apt install python3-venv   (or $$($$found -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'))" >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version)"; \
	$$found -m venv $(VENV)
	@touch $@

# What running needs (make demo).
$(VENV)/.runtime: $(VENV)/.made requirements.txt
	@echo "Installing requirements.txt"
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

# What building and testing needs as well.
$(VENV)/.development: $(VENV)/.made requirements-dev.txt
	@echo "Installing requirements-dev.txt"
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@ $(VENV)/.runtime

.PHONY: setup
setup: $(VENV)/.development  ## the virtual environment with everything, from the hashed lock

.PHONY: hooks
hooks: setup  ## install the git hooks (lint before each commit)
	@$(BIN)/pre-commit install

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
.PHONY: lock
lock: setup  ## compile requirements*.in into the hashed requirements*.txt (UPGRADE=1 takes newer releases)
	$(LOCK) $(if $(UPGRADE),--upgrade) requirements.in -o requirements.txt
	$(LOCK) $(if $(UPGRADE),--upgrade) requirements-sqs.in -o requirements-sqs.txt
	$(LOCK) $(if $(UPGRADE),--upgrade) requirements-dev.in -o requirements-dev.txt

# --- running --------------------------------------------------------------------------------------------------
.PHONY: demo
demo: $(VENV)/.runtime  ## everything on this machine, and a question asked; ONCE=1 ends after the answer, PORT=, FLOWER_PORT=
	@$(BIN)/python -m apps.operations.demo $(if $(ONCE),--once)

.PHONY: dev
dev: $(VENV)/.runtime  ## the demo's processes with DEBUG, restarted when a file changes
	@$(BIN)/python -m apps.operations.demo --dev

# --- checks ---------------------------------------------------------------------------------------------------
# Settings of a production that exists nowhere: nothing here is connected to.
PRODUCTION = env ENV_FILE=/dev/null DEBUG=false HTTPS=true ALLOWED_HOSTS=switchboard.example.com \
	SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))')" \
	ENCRYPTION_KEYS="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))')" \
	REDIS_URL=redis://127.0.0.1:6379/15 BROKER_URL= DATABASE_URL=sqlite:///$(CURDIR)/var/check.sqlite3

.PHONY: lint
lint: setup  ## ruff, the house rule, bandit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit -q -c pyproject.toml -r apps project manage.py

.PHONY: types
types: setup  ## mypy with django-stubs
	$(PRODUCTION) $(BIN)/mypy

.PHONY: wiring
wiring: setup  ## migrations are complete, settings of a production pass Django's own checks
	@mkdir -p var
	$(PRODUCTION) $(BIN)/python manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

.PHONY: docs
docs: setup  ## docs/reference/configuration.md anew, from the settings
	@mkdir -p var
	$(PRODUCTION) $(BIN)/python manage.py configuration_page

.PHONY: check
check: lint types wiring test chaos-ci  ## everything that must be green: lint, types, wiring, test, a short chaos

.PHONY: audit
audit: setup  ## known holes in what we depend on (asks the package index)
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements.txt -r requirements-sqs.txt

# --- tests ----------------------------------------------------------------------------------------------------
# 1. everything on SQLite and the server in the box; 2. again on TEST_DATABASE_URL and TEST_REDIS_URL, where they are
# set; 3. the tests that kill processes, once, on servers of their own, the three set-ups side by side.
# A mock of the chat APIs from npm; without npm its tests are skipped, and say so.
AIMOCK := tests/fakes/ai/aimock
$(AIMOCK)/node_modules/.made: $(AIMOCK)/package-lock.json
	@if command -v npm >/dev/null 2>&1; then \
	    echo "Installing $(AIMOCK)"; \
	    npm ci --prefix $(AIMOCK) --ignore-scripts --no-audit --no-fund --silent && touch $@ || \
	        echo "npm could not install it: the tests on it are left out."; \
	else \
	    echo "No npm: the tests on aimock ($(AIMOCK)) are left out."; \
	fi

.PHONY: test
test: setup $(AIMOCK)/node_modules/.made  ## set-up and all tests; TEST_DATABASE_URL, TEST_REDIS_URL, TEST_RABBITMQ_URL add servers of yours
	TEST_EMBEDDED=1 $(PYTEST) $(SPREAD) -m "not survival" $(PYTEST_ARGS)
	@if [ -n "$$TEST_DATABASE_URL" ]; then \
	    echo "Again on PostgreSQL (TEST_DATABASE_URL)"; $(PYTEST) $(SPREAD) -m "not survival" $(PYTEST_ARGS); fi
	$(PYTEST) $(SIDE_BY_SIDE) -m survival $(PYTEST_ARGS)


# --- under fire -------------------------------------------------------------------------------------------------
# chaos/README.md. `make chaos` takes half an hour; what `make check` runs has a fixed seed and takes minutes.
CHAOS_SECONDS ?=
SEED ?=
SETUPS ?=
CHAOS_ARGS ?=
.PHONY: chaos
chaos: setup  ## ten minutes of faults for each set-up; CHAOS_SECONDS=, SEED=, SETUPS=
	$(BIN)/python -m chaos $(if $(CHAOS_SECONDS),--seconds $(CHAOS_SECONDS)) $(if $(SEED),--seed $(SEED)) \
	    $(if $(SETUPS),--setups $(SETUPS)) $(CHAOS_ARGS)

.PHONY: chaos-mutations
chaos-mutations: setup  ## one promise broken at a time: the checker must notice each; MUTATION_ARGS="--deep --write" asks the state machine too
	$(BIN)/python -m chaos.mutations $(MUTATION_ARGS)

.PHONY: chaos-ci
chaos-ci: setup  ## a minute of faults on all set-ups side by side, the same ones each time
	$(BIN)/python -m chaos --profile ci $(CHAOS_ARGS)


# --- the yardstick ----------------------------------------------------------------------------------------------
.PHONY: bench
bench: setup  ## throughput, latency, growth, beside a tuned peer (bench/README.md); about half an hour, a quiet machine
	$(BIN)/python -m bench.run --backlog $(BENCH_ARGS)
	$(BIN)/python -m bench.claims
