# Everything the project does, by one word each. Needs Python 3.11 with venv, and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

# bash counts its own life in SECONDS: here the word belongs to make alone.
SECONDS ?=
unexport SECONDS

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench format lock clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | sed -e :a -e 's/^\(.\{1,14\}\)|/\1 |/;ta' -e 's/|//'

setup: .venv/.ready  ## create .venv from requirements.lock

# The lock is complete, so pip has nothing to resolve; bytecode is written when a module is first used.
.venv/.locked: requirements.lock
	@echo "Installing $$(grep -c '^[a-z]' $<) packages into .venv (half a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile --no-deps --require-hashes -r $<
	@touch $@

# pip checks hashes or installs in place, never both at once.
.venv/.ready: .venv/.locked pyproject.toml
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: setup  ## run the whole system on sample leads: make demo SECONDS=180, or until Ctrl-C
	@$(BIN)/leadnurture demo $(if $(SECONDS),--seconds $(SECONDS))

test: setup  ## run the test suite: make test ARGS="-k wave"
	@$(BIN)/pytest --numprocesses=auto $(ARGS)

check: setup  ## check style, types, imports, dependencies and the sample company
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml leadnurture flows
	$(BIN)/python -m tests.advisories
	$(BIN)/python -m pip check
	$(BIN)/leadnurture check

bench: setup  ## print the benchmark table
	@$(BIN)/python -m tests.databases $(BIN)/leadnurture bench $(ARGS)

format: setup  ## format the code and repair what ruff can repair
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: setup  ## write requirements.lock from pyproject.toml: make lock ARGS=--upgrade
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --group dev --output-file requirements.lock $(ARGS) pyproject.toml

clean:  ## remove .venv and caches; the data in .leadnurture stay
	rm -rf .venv .coverage htmlcov build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
