SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

UV ?= uv
PYTHON ?= $(shell for name in python3.11 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { command -v "$$name"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
LOCK_HASH := $(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
STAMP := $(VENV)/.installed-$(LOCK_HASH)
SOURCES := cdp_platform cdp_platform_tests
COMPILE := pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras \
	--custom-compile-command "make lock" --group build --group demo --group dev --quiet

.PHONY: help demo ui install test test-all test-vendors emulators soak lint format lock clean

help:  ## Say what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP)  ## Install, then replay a week of real retail data: warehouse, audience, CRM and back
	@$(BIN)/cdp demo

ui: $(STAMP)  ## Open the lineage graph, the runs and the sandbox CRM in a browser
	@$(BIN)/cdp ui

install: $(STAMP)  ## Make .venv from requirements.lock

$(STAMP):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found. Install it, or name it: make demo PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { echo "$(VENV) could not be made: $(PYTHON) needs its venv module (on Debian: apt-get install python3-venv)." >&2; rm -rf $(VENV); exit 1; }
	@echo "Installing from requirements.lock (once per lock, a minute or two) …"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-*
	@touch $@

test: lint  ## Lint, then every test that is not slow
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-all: lint  ## Lint, then every test, with new examples where they are drawn
	@$(BIN)/python -m pytest -n 2 --dist loadfile --hypothesis-profile=searching

test-vendors: $(STAMP) emulators  ## Let the vendors' own SDKs judge the sandbox, and their warehouses' emulators our adapters
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-all.lock
	@$(BIN)/python -m pytest -n 2 --dist loadfile cdp_platform_tests/vendors cdp_platform_tests/warehouses

emulators: .emulators/crucible .emulators/fakesnow  ## Install the emulators of other warehouses, each into an environment of its own

.emulators/%: requirements-%.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found." >&2; exit 1; }
	@rm -rf $@ && "$(PYTHON)" -m venv $@
	@$@/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r $< || { rm -rf $@; exit 1; }

soak: $(STAMP)  ## Kill and disturb syncs at random for MINUTES=10, from a printed SEED
	@$(BIN)/python -m cdp_platform_tests.faults.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

lint: $(STAMP)  ## Style, types, and who imports whom
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP)  ## Let ruff put the code into shape
	@$(BIN)/ruff check --fix-only $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

lock:  ## Write the lock files anew from pyproject.toml (needs uv); add UPGRADE=--upgrade for newer versions
	@$(UV) $(COMPILE) $(UPGRADE) --output-file requirements.lock
	@$(UV) $(COMPILE) $(UPGRADE) --all-extras --group vendors --output-file requirements-all.lock
	@for emulator in crucible fakesnow; do \
		$(UV) pip compile --group $$emulator --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--custom-compile-command "make lock" --quiet $(UPGRADE) --output-file requirements-$$emulator.lock; done

clean:  ## Remove what was built; .cdp, the warehouse and its books, stays
	@rm -rf $(VENV) .emulators .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dbt_project/target dbt_project/logs
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
