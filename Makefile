# The two commands a newcomer needs are `make run` and `make test`; both make .venv themselves.
# The work is done by the scripts in scripts/, which can be run on their own.

PORT ?= 8501
export PORT

.DEFAULT_GOAL := help
.PHONY: help install install-dev run demo test test-all lint format bench lock sbom audit fuzz screenshots clean

help: ## Show this list
	@echo "make TARGET [PORT=8501] [PYTHON=python3.11] [EXTRAS=cpu|gpu]; GRPO_STUDIO_HOME says where runs are kept"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' Makefile | expand -t 14

install: ## Make .venv with what the studio needs
	@scripts/install.sh run

install-dev: ## Make .venv with the tools for tests as well
	@scripts/install.sh dev

run: install ## Open the studio on http://127.0.0.1:8501
	@scripts/run.sh

demo: install ## Train the demo without a browser and print the curve
	@.venv/bin/python -m core prepare
	@.venv/bin/python -m core train --size demo

test: install-dev ## Style, types, unit, page and browser tests
	@scripts/test.sh quick

test-all: install-dev ## The same with the slow tests
	@scripts/test.sh all

lint: install-dev ## Style and types only
	@scripts/test.sh lint

format: install-dev ## Put the code into the project's style
	@.venv/bin/python -m ruff format .
	@.venv/bin/python -m ruff check --fix .

bench: install-dev ## Measure speed and memory, results under benchmarks/
	@.venv/bin/python -m core prepare
	@CHROMIUM=$$(scripts/chromium.sh) .venv/bin/python -m benchmarks

lock: ## Write requirements.lock and requirements-gpu.lock anew
	@scripts/lock.sh all

sbom: ## Write sbom.json and sbom-gpu.json, the lists of packages, anew from the locks
	@scripts/sbom.sh write

audit: ## Look all packages up in a database of known holes; needs a network
	@scripts/sbom.sh audit

fuzz: install-dev ## Feed the parsers with thousands of damaged files
	@OMP_WAIT_POLICY=PASSIVE FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-3000} .venv/bin/python -m pytest -q tests/fuzz

screenshots: install-dev ## Take the pictures of README.md and docs/ from the running studio; some twenty minutes
	@.venv/bin/python -m core prepare
	@CHROMIUM=$$(scripts/chromium.sh) .venv/bin/python scripts/screenshots.py

clean: ## Remove .venv and caches; runs and models stay
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache test-results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
