# Everything a fresh machine needs: `make demo` and `make test` set themselves up.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
SLOW_STAMP := $(VENV)/.installed-slow

.PHONY: help demo test test-slow check bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml .ci/setup
	@bash .ci/setup $(VENV)
	@touch $@

demo: $(STAMP) ## Evolve a real scheduling heuristic for about three minutes, verify it, write a report
	@bash .ci/demo $(VENV)

test: $(STAMP) ## Run the default test suite (under 8 minutes)
	@$(PY) -m pytest

$(SLOW_STAMP): $(STAMP) .ci/setup-slow
	@bash .ci/setup-slow $(VENV)
	@touch $@

test-slow: $(SLOW_STAMP) ## Install PyTorch and the other extras, run their tests and those that take longer
	@$(PY) -m pytest -m 'slow or stack'

check: $(STAMP) ## Formatting, lint, types
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@root=$$PWD; for task in $(dir $(wildcard src/breeder/suites/*/*/task.toml)); do \
	  (cd $$task && $$root/$(VENV)/bin/mypy --strict --ignore-missing-imports --config-file= \
	    --cache-dir=$$root/.mypy_cache/suites --explicit-package-bases $$(ls *.py | grep -v '^initial')) || exit 1; done

bench: $(STAMP) ## Print the tables of RESULTS.md (long; see benchmarks/README.md)
	@$(PY) benchmarks/all.py

clean: ## Remove what the targets made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache demo-run
