# `make run` needs nothing but Python >= 3.11 with its venv module; `make test` installs what the tests need.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
                      $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && exit; \
                  done; echo python3)
VENV   := .venv
BIN    := $(VENV)/bin
UV_LOCK    = $(BIN)/uv pip compile --universal --generate-hashes \
             --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q
UV_COMPILE = $(UV_LOCK) pyproject.toml --python-version 3.11

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-faults test-guarantee test-clients test-loaders flywheel check demo bench bench-student lock clean

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

# PyTorch comes first and by itself: the build that pip finds here (pyproject.toml says why it is in no lock).
TORCH := torch==2.13.0
PIP    = bin/python -m pip install -q --disable-pip-version-check
LOADERS := axolotl llamafactory nova

.venv-loaders/.done: requirements-loaders.lock pyproject.toml
	@echo "installing trainers and checkers into .venv-loaders (once, 2 GB)"
	@$(PYTHON) deploy/preflight.py
	@$(PYTHON) -m venv .venv-loaders
	@.venv-loaders/$(PIP) $(TORCH)
	@.venv-loaders/$(PIP) --no-deps --require-hashes -r requirements-loaders.lock
	@.venv-loaders/$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# nova wants Python 3.12; pyenv's counts where its shim names no version.
PYTHON312 ?= $(shell for each in $(PYTHON) python3.12 python3.13 $(HOME)/.pyenv/versions/3.1[23]*/bin/python; do \
                         $$each -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $$each && exit; \
                     done; echo python3.12)

.venv-loader-nova/.done: requirements-loader-nova.lock
	@echo "installing nova's checker into .venv-loader-nova (once, 0.7 GB)"
	@$(PYTHON312) -m venv .venv-loader-nova
	@.venv-loader-nova/$(PIP) --no-deps --require-hashes -r requirements-loader-nova.lock
	@touch $@

.venv-loader-%/.done: requirements-loader-%.lock
	@echo "installing $* into .venv-loader-$* (once, 1.5 to 3 GB)"
	@$(PYTHON) -m venv .venv-loader-$*
	@.venv-loader-$*/$(PIP) $(TORCH)
	@.venv-loader-$*/$(PIP) --no-deps --require-hashes -r requirements-loader-$*.lock
	@touch $@

test-loaders: .venv-loaders/.done      ## every target's file in the loader of its trainer (8 GB once, then minutes)
	@for each in $(LOADERS); do \
	    $(MAKE) --no-print-directory .venv-loader-$$each/.done || echo "without $$each: its tests are skipped" >&2; \
	done
	@.venv-loaders/bin/python -m pytest -m loaders tests/loaders --loaders-table exporters/README.md

flywheel: .venv-loaders/.done          ## a model learns from an export and answers in its teacher's place (20 minutes)
	@.venv-loaders/bin/python -m tests.flywheel

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

lock: $(VENV)/.dev                     ## resolve the lock files anew, hashes included
	@$(UV_COMPILE) --group build -o requirements.lock
	@$(UV_COMPILE) --group dev -c requirements.lock -o requirements-dev.lock
	@$(UV_COMPILE) --group clients --no-strip-extras -o requirements-clients.lock
	@$(UV_COMPILE) --group loaders --no-strip-extras -o requirements-loaders.lock
	@for each in axolotl llamafactory; do \
	    $(UV_LOCK) --python-version 3.11 --group pyproject.toml:loader-$$each -o requirements-loader-$$each.lock || exit; \
	done
	@$(UV_LOCK) --python-version 3.12 --group pyproject.toml:loader-nova -o requirements-loader-nova.lock

clean:                                 ## remove what make made; never the data folder
	@rm -rf $(VENV) .venv-clients .venv-loader* build dist .mypy_cache .ruff_cache .hypothesis demo-out bench-out
