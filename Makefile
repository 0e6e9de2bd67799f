# What people type. PYTHON says with which Python: make PYTHON=python3.12 run

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run test test-long soak bench clean

help:
	@echo "make run        start the bridge on a simulated pool (Ctrl-C stops it)"
	@echo "make test       check style and types, run the tests (under 10 minutes)"
	@echo "make test-long  run the tests that take minutes"
	@echo "make soak       run the tests with full counts"
	@echo "make bench      measure EnumerateInstances beside nginx"
	@echo "make clean      remove everything that was made here"

run: $(VENV)/installed
	@$(BIN)/xen-cim run

test: $(VENV)/tox-installed
	@$(BIN)/tox run --quiet

test-long: $(VENV)/tox-installed
	@$(BIN)/tox run --quiet --quiet -e long

soak: $(VENV)/tox-installed
	@$(BIN)/tox run --quiet --quiet -e soak

bench: $(VENV)/test-installed
	@$(BIN)/python bench/enumerate_instances.py

clean:
	rm -rf $(VENV) .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis build xen_cim.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "This needs Python 3.11 or later; name one: make PYTHON=python3.11 run" >&2; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "$(PYTHON) cannot make $(VENV); on Debian, install python3-venv" >&2; exit 1; }

$(VENV)/installed: pyproject.toml | $(BIN)/python
	@echo "Installing the project into $(VENV) ..."
	@$(PIP) --editable '.[clients]'
	@touch $@

$(VENV)/test-installed: pyproject.toml | $(BIN)/python
	@echo "Installing the project and what its tests need into $(VENV) ..."
	@$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/tox-installed: | $(BIN)/python
	@$(PIP) 'tox>=4.20'
	@touch $@
