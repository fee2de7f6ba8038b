# Two commands matter: `make demo` and `make test`. Both set up everything they need.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
WORKSPACE ?= zhiliu-data
DEMO ?= serve
PORT ?= 8000

.PHONY: demo test test-slow check fmt bench docs clean
.DEFAULT_GOAL := help

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.ready: pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "need $(PYTHON); set PYTHON=path to a Python 3.11+" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,text,dev]'
	@touch $@

demo: $(VENV)/.ready  ## real feed log -> trained models -> table on future days -> the feed in a browser (DEMO=headless: no server)
	$(BIN)/zhiliu --workspace $(WORKSPACE) demo --data data/kuairand --then $(DEMO) --port $(PORT)

test: check  ## everything CI runs
	@bash scripts/ensure-chromium.sh
	$(BIN)/python -m pytest

test-slow: $(VENV)/.ready  ## the long ones too: 100 x kill -9, full-size quality
	$(BIN)/python -m pytest -m slow

check: $(VENV)/.ready  ## lint, format, types, import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fmt: $(VENV)/.ready  ## format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.ready  ## figures of docs/benchmarks.md
	$(BIN)/python benchmarks/events.py
	$(BIN)/python benchmarks/feed.py

docs: $(VENV)/.ready  ## run every code block of the documentation
	$(BIN)/python -m pytest tests/docs

clean:  ## forget the environment and the demo's workspace
	rm -rf $(VENV) $(WORKSPACE)
