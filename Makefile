.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install install-dev demo test test-fast lint format bench faults mutation lock generate

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/python-ok:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else "Python %d.%d is not supported: run make with PYTHON=python3.11, 3.12 or 3.13." % v[:2])'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: requirements.lock pyproject.toml | .venv/python-ok
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/paystream install-kafka
	@touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-dev.lock
	@touch $@

install: .venv/installed  ## build .venv with everything that the pipeline runs on

install-dev: .venv/installed-dev  ## the same, and the tools of tests and lint

demo: install  ## bring the stack up, send a shop's traffic, show the result (ARGS="--payments 2000 --exit")
	$(BIN)/paystream demo $(ARGS)

test: install-dev  ## the whole test suite, on the real parts
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: install-dev  ## the tests that need no service, under a minute
	$(BIN)/pytest tests/unit tests/properties -m "not services" -x -q $(ARGS)

lint: install-dev  ## style, types, layers, sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install-dev  ## measure; JSON into bench/results
	$(BIN)/python -m bench $(ARGS)

faults: install-dev  ## the whole fault suite; figures into bench/results (ARGS="--seed 7" replays a schedule)
	$(BIN)/pytest tests/faults --run-all-faults --fault-figures bench/results/faults.json $(ARGS)

.mutation/installed: install-dev
	@$(BIN)/python -m venv .mutation
	.mutation/bin/pip install --quiet mutmut==3.8.1
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$(.mutation/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pipeline.pth
	@touch $@

mutation: .mutation/installed  ## change streams/domain in 2000 ways and see which the tests miss (ten minutes)
	nice -n 19 .mutation/bin/mutmut run --max-children 2 $(ARGS)
	.mutation/bin/mutmut export-cicd-stats
	.mutation/bin/mutmut results

generate: install-dev  ## write the generated pages and contracts anew
	$(BIN)/paystream generate

lock:  ## resolve the locks anew (needs uv)
	uv pip compile pyproject.toml --extra build --extra embedded --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --output-file requirements.lock
	uv pip compile pyproject.toml --extra build --extra embedded --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --constraint requirements.lock --output-file requirements-dev.lock
	$(BIN)/python -c 'from devstack.services.kafka_jars import write_lock; print(write_lock(), "jars")'
