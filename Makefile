# Everything from a fresh clone. Assumed: a python3 (3.11 or newer) with venv and pip; uv is used when it is there.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two workers with one thread each are faster than one process with two threads, and never fight for the cores.
WORKERS ?= 2
DEMO_OUTPUT ?= demo-output
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

.PHONY: help setup demo demo-quick test test-quick check format lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(STAMP) ## create .venv and install the package with the pinned versions

# uv knows nothing of pip's own configuration (mirrors, wheel folders): where uv cannot find a version, pip does it.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once; minutes on a slow connection) ..." >&2
	@if command -v uv >/dev/null && [ -z "$${PIP_FIND_LINKS:-}$${PIP_INDEX_URL:-}" ] \
	    && uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; then :; \
	else $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'; fi
	@touch $@

demo: $(STAMP) ## train one model twice (SFT, contrastive), compare, write an HTML report (6 to 15 minutes)
	$(BIN)/gmr demo --output $(DEMO_OUTPUT)

demo-quick: $(STAMP) ## the same story in about a minute
	$(BIN)/gmr demo --quick --output $(DEMO_OUTPUT)

test: $(STAMP) ## the whole test suite
	$(PYTEST)

test-quick: $(STAMP) ## the test suite without the slow tests
	$(PYTEST) -m 'not slow'

check: $(STAMP) ## format, lint, types, floors, tests of style
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest tests/style

format: $(STAMP) ## rewrite the sources in the house's format
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

# The build tag of a CPU-only torch ("2.13.0+cpu") is cut off, so that the same pin fits every platform; packages that
# only some platforms have (nvidia-*, triton) follow from torch's own pin.
lock: ## write constraints.txt from what is installed in .venv now
	$(BIN)/python -m pip list --format=freeze --exclude-editable --exclude pip --exclude setuptools \
	  | grep -viE '^(nvidia-|cuda-|triton)' | sed -E 's/\+[A-Za-z0-9.]+$$//' | LC_ALL=C sort -f > constraints.txt
	@touch $(STAMP)

clean: ## remove the environment, caches and demo output
	rm -rf $(VENV) $(DEMO_OUTPUT) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
