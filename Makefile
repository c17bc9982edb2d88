# Everything a person or a machine does here. The first target makes its own environment in .venv.
.DEFAULT_GOAL := help
.PHONY: help rehearse test test-nightly check format bench bench-http bench-correctness judge-alerts loadtest observe prometheus clean
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/made
PACKAGES := gateway simulator loadtests
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What `make rehearse`, `make test` and `make bench` hand on.
ARGS ?=
TEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

rehearse: $(MADE) ## run a whole text bank in virtual time: make rehearse ARGS="--contacts 1000 --seed 7"
	@$(BIN)/textbank rehearse $(ARGS)

# Towns of several processes mostly wait: their tests come after the others, two towns at a time.
test: $(MADE) prometheus ## run the tests: make test ARGS="tests/core -k hours"
	$(BIN)/python -m pytest -q $(TEST_ARGS) $(or $(ARGS),--ignore tests/end_to_end)
	$(if $(ARGS),,$(BIN)/python -m pytest -q -n 2 --dist load tests/end_to_end)
	@$(BIN)/python -m dashboards.programs --tell

test-nightly: $(MADE) ## kills at every step, 200 over HTTP, the database's faults, freezes (about 80 minutes): ARGS="-k kills"
	$(BIN)/python -m pytest -q -s -m nightly tests $(ARGS)

check: $(MADE) ## lint, format, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(MADE) ## put every file into shape
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .

bench: $(MADE) ## measure the hot paths and a whole bank of 250,000 contacts (about 5 minutes)
	$(BIN)/python -m pytest -q benchmarks $(ARGS)
	$(BIN)/python -m benchmarks.rehearsal

bench-http: $(MADE) ## measure gateway and carrier over real HTTP (about 15 minutes): ARGS="--only whole-life,bare"
	$(BIN)/python -m benchmarks.http $(ARGS)

bench-correctness: $(MADE) ## numbers bought, duplicates, losses, judged by the carrier's ledger (about 2 minutes)
	$(BIN)/python -m benchmarks.correctness $(ARGS)

loadtest: $(MADE) ## 20,000 texts over HTTP on this machine, judged by the ledger (five minutes when it is quiet): ARGS="--contacts 2000"
	$(BIN)/textbank load election-day $(ARGS)

judge-alerts: $(MADE) prometheus ## the alerts on rehearsed days, healthy and not (an hour or two; goes on where it was): ARGS="--minutes 30 --jobs 2"
	$(BIN)/python -m benchmarks.alert_days $(ARGS)

observe: $(MADE) prometheus ## a real Prometheus with our rules: ARGS="--gateway 127.0.0.1:18800 --carrier 127.0.0.1:8900"
	$(BIN)/python -m dashboards.observe $(ARGS)

prometheus: $(MADE) ## unpack Debian's Prometheus into the environment, for make observe and the tests; needs no root
	@$(BIN)/python -m dashboards.programs --get

clean: ## remove the environment and everything built
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks

# Says in one line what is wrong with the Python, before anything is made.
NEW_ENOUGH = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes
TOO_OLD = Python 3.11 or later is needed, and $(PYTHON) is not that: name another, such as make PYTHON=python3.12

# Debian may have Python and pip without ensurepip: pip then puts itself into the new environment.
$(BIN)/python:
	$(if $(shell $(NEW_ENOUGH)),,$(error $(TOO_OLD)))
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(VENV)/bin/python install --quiet pip; }

# Brought up to date whenever the requirements or the pins change.
$(MADE): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,load,parquet,traces]'
	@touch $@
