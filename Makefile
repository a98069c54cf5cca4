# `make run` needs nothing but Python >= 3.11 with its venv module; `make test` installs what the tests need.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
                      $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && exit; \
                  done; echo python3)
VENV   := .venv
BIN    := $(VENV)/bin
UV_COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
             --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-faults test-guarantee test-clients check demo bench bench-student lock clean

help:            ## what can be made
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## / — /'

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
	    { echo "Tailrace needs Python 3.11 or newer (Debian and Ubuntu: apt install python3 python3-venv)" >&2; exit 2; }
	@$(PYTHON) deploy/preflight.py
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml $(BIN)/python
	@echo "installing the locked dependencies into $(VENV) (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing what the tests need into $(VENV) (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.runtime                ## make .venv with all that `make run` needs

run: setup                             ## serve on http://127.0.0.1:4700
	@exec $(BIN)/tailrace serve

test: $(VENV)/.dev check               ## lint, types and every test but the heavy sets
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

test-faults: $(VENV)/.dev              ## 200 x kill -9 and the other slow faults (minutes)
	@$(BIN)/python -m pytest -m heavy tests/faults tests/e2e/test_classify_run_e2e.py

test-guarantee: $(VENV)/.dev           ## the student's guarantee over 2 x 200 streams (a quarter of an hour)
	@$(BIN)/python -m pytest -m heavy tests/classify/student -n 2

.venv-clients/.done: requirements-clients.lock pyproject.toml
	@echo "installing the official clients into .venv-clients (once)"
	@$(PYTHON) deploy/preflight.py
	@$(PYTHON) -m venv .venv-clients
	@.venv-clients/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-clients.lock
	@.venv-clients/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test-clients: .venv-clients/.done      ## the official clients, Node's where it is there; 1 GiB each way (minutes)
	@.venv-clients/bin/python -m pytest -m "clients or not heavy" tests/clients
	@.venv-clients/bin/python -m pytest -m heavy tests/e2e/test_large_e2e.py

check: $(VENV)/.dev                    ## ruff and mypy
	@$(BIN)/ruff check proxy exporters tests deploy
	@$(BIN)/ruff format --check -q proxy exporters tests deploy
	@$(BIN)/mypy

demo: $(VENV)/.dev                     ## real dialogues through the proxy: log, chains, export, verify
	@$(BIN)/python tests/demo.py

bench: $(VENV)/.dev                    ## the numbers of BENCHMARKS.md
	@$(BIN)/python -m tests.bench

bench-student: $(VENV)/.dev            ## the student's figures on test splits (TAILRACE_DATA: the data)
	@$(BIN)/python -m tests.bench.student

lock: $(VENV)/.dev                     ## resolve the two lock files anew, hashes included
	@$(UV_COMPILE) --group build -o requirements.lock
	@$(UV_COMPILE) --group dev -c requirements.lock -o requirements-dev.lock
	@$(UV_COMPILE) --group clients --no-strip-extras -o requirements-clients.lock

clean:                                 ## remove what make made; never the data folder
	@rm -rf $(VENV) .venv-clients build dist .mypy_cache .ruff_cache .hypothesis demo-out bench-out
