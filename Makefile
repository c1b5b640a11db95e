# The two commands of the README are `make run` and `make test`; each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
OLDEST := .venv-oldest/bin
OLDEST_PYTHON ?= $(shell command -v python3.11 || echo $(PYTHON))

.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow test-oldest lint types format smoke bench clean

help:
	@echo "make run    the double-descent sweep, its table and its figure"
	@echo "make test   the tests (under 3 minutes once set up)"
	@echo "also: test-slow test-oldest lint types format smoke bench clean"

setup: .venv/.ready

.venv/.ready: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hw6 needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

run: setup
	$(BIN)/python -m hw6.run -cn double_descent hydra.sweep.dir=outputs/double_descent/main changed=rerun
	$(BIN)/python -m hw6.aggregate outputs/double_descent/main
	$(BIN)/python -m hw6.plot outputs/double_descent/main

test: setup
	$(BIN)/python -m pytest -q -n auto

test-slow: setup
	$(BIN)/python -m pytest -q -m slow -n auto --strict-skips

# On the oldest versions that pyproject.toml allows, and the oldest Python where it is there; tells what the tests cover.
test-oldest: .venv-oldest/.ready
	$(OLDEST)/python -m pytest -q -n auto --cov --cov-report=term:skip-covered --no-cov-on-fail

.venv-oldest/.ready: requirements-oldest.txt pyproject.toml
	$(OLDEST_PYTHON) -m venv .venv-oldest
	$(OLDEST)/python -m pip install --quiet --disable-pip-version-check -r requirements-oldest.txt
	$(OLDEST)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

smoke: setup
	rm -rf outputs/smoke
	$(BIN)/python -m hw6.run -m 'p=range(5,200)' lambda=tuned hydra.sweep.dir=outputs/smoke
	$(BIN)/python -m hw6.aggregate outputs/smoke
	$(BIN)/python -m hw6.plot outputs/smoke

bench: setup
	$(BIN)/python benchmarks/main_command.py
	$(BIN)/python benchmarks/solver.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/initialization.py
	$(BIN)/python benchmarks/residual.py
	$(BIN)/python benchmarks/stm_conv.py

clean:
	rm -rf .venv .venv-oldest build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
