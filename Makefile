# Two commands set everything up by themselves:  make demo   and   make test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
CONSTRAINTS := constraints/cpu.txt
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: help demo test test-all check format lint types floors audit tests gpu-check bench clean

help:
	@echo "make demo     install, train two networks with a planted fault, find it"
	@echo "make test     install, then format check, lint, types, import floors and tests"
	@echo "make test-all the slow tests as well"
	@echo "make gpu-check the tests and the benchmark that need a GPU"
	@echo "make format   put the code into its form"
	@echo "make bench    the benchmarks whose tables are in docs/benchmarks.md"
	@echo "make clean    remove what these commands made"

demo: $(VENV)/.installed
	$(BIN)/mdtree demo --out mdtree-demo

test: check tests

test-all: check $(VENV)/.developing
	$(PYTEST)

check: format-check lint types floors audit

tests: $(VENV)/.developing
	$(PYTEST) -m "not slow"

gpu-check: $(VENV)/.developing
	$(PIP) install -c $(CONSTRAINTS) -e ".[bench]"
	$(BIN)/python -c "from mdtree.device import pick_device; pick_device('cuda')"
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python scripts/bench_metrics.py --device cuda --size 32 --widths 8,16,32,64,128 --runs 3 --parts wholes,batching

audit: $(VENV)/.developing
	$(BIN)/python scripts/audit.py

.PHONY: format-check
format-check: $(VENV)/.developing
	$(BIN)/ruff format --check .

lint: $(VENV)/.developing
	$(BIN)/ruff check .

types: $(VENV)/.developing
	$(BIN)/mypy

floors: $(VENV)/.developing
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.developing
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed
	$(BIN)/python scripts/bench_measure.py

clean:
	rm -rf $(VENV) mdtree-demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The marks are written last, so an interrupted installation is done again.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c $(CONSTRAINTS) -e .
	@touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(PIP) install -c $(CONSTRAINTS) -e ".[dev]"
	@touch $@
