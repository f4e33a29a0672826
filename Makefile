# Two commands set everything up by themselves:  make demo   and   make test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DOCS_VENV ?= .venv-docs
CONSTRAINTS := constraints/cpu.txt
TOOLS := .venv-tools
PYTEST := MDTREE_CONSTRAINTS=$(CONSTRAINTS) $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
LOCK := $(BIN)/python -m uv pip compile --quiet --upgrade --no-annotate --python-version 3.11 \
	--custom-compile-command "make lock" --group build pyproject.toml
LOCK_TOOLS := $(filter-out --group build pyproject.toml,$(LOCK)) --universal --group tools -c constraints/cpu.txt

.PHONY: help demo test test-all test-newest test-oldest test-cpus test-workers-under-load lock check format lint types floors \
	audit tests gpu-check bench docs docs-serve clean

help:
	@echo "make demo     install, train two networks with a planted fault, find it"
	@echo "make test     install, then format check, lint, types, import floors and tests"
	@echo "make test-all the slow tests as well"
	@echo "make test-newest  the tests with the newest release of each dependency but torch"
	@echo "make test-oldest  the tests with the oldest releases that pyproject.toml admits"
	@echo "make test-cpus    what computes, as on other processors: the same verdicts, green tests"
	@echo "make lock     resolve the versions in constraints/ anew, from pyproject.toml"
	@echo "make coverage     the tests, and the share of the code that they run"
	@echo "make verifytypes  how complete the types of the exported names are"
	@echo "make wheel    build and check what the package index gets, in dist/"
	@echo "make smoke    install that wheel into an empty environment, and try it there"
	@echo "make axe      fetch axe-core (with npm), with which the tests check the page for accessibility"
	@echo "make hooks    run the checks of .pre-commit-config.yaml before each commit"
	@echo "make test-workers-under-load  the tests of workers, 20 times, while all cores are busy"
	@echo "make gpu-check the tests and the benchmark that need a GPU"
	@echo "make format   put the code into its form"
	@echo "make bench    the benchmarks whose tables are in docs/benchmarks.md"
	@echo "make docs     build the documentation into site/, with its own environment; a warning is an error"
	@echo "make docs-serve  show the documentation in a browser while you write"
	@echo "make clean    remove what these commands made"

demo: $(VENV)/.installed
	@echo "Training, measuring and judging two networks: about ten seconds"
	$(BIN)/mdtree demo --out mdtree-demo

test: check tests

test-all: check $(VENV)/.developing
	$(PYTEST) --hypothesis-profile new

check: format-check lint types floors audit

tests: $(VENV)/.developing
	@echo "Running the tests: about five minutes on two cores"
	$(PYTEST) -m "not slow"

# An environment for each: the constraints of one would be undone by another.
test-newest:
	$(MAKE) tests VENV=.venv-newest CONSTRAINTS=constraints/cpu.in

test-oldest: # torch comes as the build for NVIDIA GPUs, 3 GB: the index has no other that is as old
	$(MAKE) tests VENV=.venv-oldest CONSTRAINTS=constraints/oldest.txt

test-cpus: $(VENV)/.developing
	$(BIN)/python scripts/test_cpus.py

lock: $(VENV)/.locking
	$(LOCK) --universal --extra dev --extra bench --group lock -c constraints/cpu.in -o constraints/cpu.txt
	$(LOCK) --universal --extra docs -c constraints/cpu.txt -o constraints/docs.txt
	$(LOCK) --resolution lowest-direct --python-platform linux --extra dev -o constraints/oldest.txt
	$(LOCK_TOOLS) -o constraints/tools.txt

test-workers-under-load: $(VENV)/.developing
	$(BIN)/python scripts/under_load.py

gpu-check: $(VENV)/.developing
	$(PIP) install -c $(CONSTRAINTS) --no-build-isolation -e ".[bench]"
	$(BIN)/python -c "from mdtree.runtime.device import pick_device; pick_device('cuda')"
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python scripts/bench_metrics.py --device cuda --size 32 --widths 8,16,32,64,128 --runs 3 --parts wholes,batching

audit: $(VENV)/.developing # STRICT=1: what could not be checked is a failure
	$(BIN)/python scripts/audit.py $(if $(STRICT),--strict)

.PHONY: coverage verifytypes wheel smoke axe hooks
coverage: $(VENV)/.covering
	@echo "Running the tests under coverage: longer than without"
	$(PYTEST) -m "not slow" --cov --cov-report=term

# pyright judges the mdtree of the Python that is first on PATH
verifytypes: $(VENV)/.developing $(TOOLS)/.installed
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python scripts/type_completeness.py $(TOOLS)/bin/pyright

wheel: $(TOOLS)/.installed
	rm -rf dist
	$(TOOLS)/bin/python -m build --no-isolation --outdir dist .
	$(TOOLS)/bin/twine check --strict dist/*

smoke: wheel
	$(PYTHON) -m venv --clear .venv-wheel
	.venv-wheel/bin/python -m pip --disable-pip-version-check --quiet install -c $(CONSTRAINTS) dist/*.whl
	.venv-wheel/bin/python -I scripts/smoke_wheel.py

axe: # into .axe/; its version is locked in the script
	$(PYTHON) scripts/fetch_axe.py

hooks: $(TOOLS)/.installed
	$(TOOLS)/bin/pre-commit install

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

docs: $(DOCS_VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/python -m mkdocs build --strict

docs-serve: $(DOCS_VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/python -m mkdocs serve

clean:
	rm -rf $(VENV) .venv-newest .venv-oldest $(DOCS_VENV) site mdtree-demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf dist .venv-wheel $(TOOLS) .coverage .coverage.*

# The marks are written last, so an interrupted installation is done again.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@echo "Installing mdtree into $(VENV): about a minute, half of it for PyTorch"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c $(CONSTRAINTS) hatchling editables
	$(PIP) install -c $(CONSTRAINTS) --no-build-isolation -e .
	@touch $@

$(VENV)/.developing: $(VENV)/.installed
	@echo "Installing what the tests need into $(VENV): about a minute"
	$(PIP) install -c $(CONSTRAINTS) --no-build-isolation -e ".[dev]"
	@touch $@

$(VENV)/.locking:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c $(CONSTRAINTS) uv
	@touch $@

$(DOCS_VENV)/.installed: pyproject.toml constraints/docs.txt
	@echo "Installing what the documentation needs into $(DOCS_VENV): about a minute"
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip --disable-pip-version-check --quiet install -c constraints/docs.txt hatchling editables
	$(DOCS_VENV)/bin/python -m pip --disable-pip-version-check --quiet install -c constraints/docs.txt --no-build-isolation -e ".[docs]"
	@touch $@

$(VENV)/.covering: $(VENV)/.developing constraints/tools.txt
	$(PIP) install -c $(CONSTRAINTS) -c constraints/tools.txt coverage pytest-cov
	@touch $@

$(TOOLS)/.installed: constraints/tools.txt
	@echo "Installing what builds and checks the package into $(TOOLS): half a minute"
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip --disable-pip-version-check --quiet install -c constraints/cpu.txt -c constraints/tools.txt \
		build hatchling pre-commit "pyright[nodejs]" twine
	@touch $@
