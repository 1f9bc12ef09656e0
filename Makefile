# The four words of this house: demo, test, check, bench. Needed beforehand: Python >= 3.11 with venv, git, make.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SECONDS ?=
ONLY ?=
STEPS ?=
STATES ?=
SEED ?=

.PHONY: demo test check bench test-faults test-interop test-model test-day fuzz test-crash lock tools clean help

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/run.stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: $$($(PYTHON) --version)"; exit 1; }
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/run.stamp ## The simulated line, the agent, a park and a live view (SECONDS=25 ends by itself)
	@$(BIN)/edge-agent demo $(if $(SECONDS),--seconds $(SECONDS))

check: $(VENV)/dev.stamp ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo 2>&1 | tail -n 3

tools: ## Programs the tests need from Debian's packages (only when allowed to install)
	@tests/tools.sh

test: $(VENV)/dev.stamp tools ## All tests but the long fault and crash suites
	@$(BIN)/python -m pytest -q -n 3 --dist loadfile

test-faults: $(VENV)/dev.stamp ## Hostile and dead devices, and all faults of docs/faults.md (RUNS=8: short, with 8 kills; SEED=1)
	@$(BIN)/python -m tests.faults $(if $(RUNS),--quick --kills $(RUNS)) $(if $(SEED),--seed $(SEED))

test-interop: $(VENV)/dev.stamp ## Against pyModbusTCP, the C library snap7, node-opcua and sparkplug-payload; installs them in var/
	@INTEROP=1 $(BIN)/python -m pytest -q tests/interop

test-model: $(VENV)/dev.stamp ## Windows and alarms against a second, plain implementation (STEPS=1000000 SEED=1)
	@$(BIN)/python -m tests.model $(if $(STEPS),--steps $(STEPS)) $(if $(SEED),--seed $(SEED))

test-day: $(VENV)/dev.stamp ## A day over HJ 212 in a minute, acknowledgements lost, line cut, agent restarted (SEED=1)
	@$(BIN)/python -m tests.day $(if $(SEED),--seed $(SEED))

test-crash: $(VENV)/dev.stamp tools ## Power cuts enumerated at every system call (STATES=6000 SEED=1; STATES=400 is short)
	@$(BIN)/python -m tests.crash $(if $(STATES),--states $(STATES)) $(if $(SEED),--seed $(SEED))

fuzz: $(VENV)/dev.stamp ## Coverage-guided fuzzing of every parser that meets a PLC's bytes (SECONDS=60 SEED=1)
	@$(BIN)/python -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/dev.stamp tools ## Whole-way cost beside bare clients, highest rate, wear (QUICK=1 is short; ONLY=mqtt,rate)
	@$(BIN)/python -m tests.bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

lock: ## Locks the dependencies anew, with hashes and without an index host
	@$(BIN)/python -m piptools compile -q --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header -o requirements.lock requirements.in
	@$(BIN)/python -m piptools compile -q --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header -o requirements-dev.lock requirements-dev.in

clean: ## Removes what was made here
	@rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
