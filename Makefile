.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
SHARED_STACK_TESTS := $(addprefix tests/e2e/test_,every_card.py docs_commands.py kill_each_child.py)
RESOLVE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: help install up demo check fix test test-secure lint bench faults mutation generate lock audit

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/python-ok:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else "Python %d.%d is not supported. Run make with PYTHON=python3.11, 3.12 or 3.13." % v[:2])'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: requirements-dev.lock pyproject.toml | .venv/python-ok
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/paystream install-kafka
	@touch $@

install: .venv/installed  ## build .venv: the pipeline, the local stack, the tools of tests and lint

up: install  ## start the local stack in the foreground (ARGS="--brokers 3 --workers 2")
	$(BIN)/paystream up $(ARGS)

demo: install  ## start the local stack, send a shop's traffic, show the result (ARGS="--payments 2000 --exit")
	$(BIN)/paystream demo $(ARGS)

check: install  ## the inner loop, under a minute: format, lint, types, layers, unit tests
	$(MAKE) lint
	$(BIN)/pytest tests/unit tests/properties -m "not services" -n logical -q $(ARGS)

fix: install  ## apply what the formatter, the linter and the generators can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/paystream generate

test: install  ## the whole test suite, on the real parts
	$(BIN)/pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(ARGS)

test-secure: install  ## the end-to-end tests of the shared stack, on `paystream up --secure` (a few minutes)
	PAYSTREAM_TEST_SECURE=1 $(BIN)/pytest $(SHARED_STACK_TESTS) $(ARGS)

lint: install  ## style, spelling, types, layers, links, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/paystream generate --check
	$(BIN)/pytest tests/architecture -q

bench: install  ## measure; JSON into bench/results
	$(BIN)/python -m bench $(ARGS)

faults: install  ## the whole fault suite; figures into bench/results (ARGS="--seed 7" replays a schedule)
	$(BIN)/pytest tests/faults --run-all-faults --fault-figures bench/results/faults.json $(ARGS)

.mutation/installed: install
	@$(BIN)/python -m venv .mutation
	.mutation/bin/pip install --quiet mutmut==3.8.1
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$(.mutation/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pipeline.pth
	@touch $@

mutation: .mutation/installed  ## change streams/domain in 2000 ways and see which the tests miss (ten minutes)
	nice -n 19 .mutation/bin/mutmut run --max-children 2 $(ARGS)
	.mutation/bin/mutmut export-cicd-stats
	.mutation/bin/mutmut results

.audit/installed:
	@$(PYTHON) -m venv .audit
	.audit/bin/pip install --quiet pip-audit==2.10.1 cyclonedx-bom==7.5.0
	@touch $@

audit: .audit/installed  ## known vulnerabilities of both locks, SBOMs into build/sbom (ARGS=--require: fail if not all were audited)
	.audit/bin/python devstack/dependency_audit.py $(ARGS)

generate: install  ## write the generated pages, contracts and locks of schema ids
	$(BIN)/paystream generate

lock:  ## resolve the locks (needs uv): production first, then with the local stack and the tools
	$(RESOLVE) --extra build --output-file requirements.lock
	$(RESOLVE) --extra build --extra embedded --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	$(BIN)/python -c 'from devstack.services.kafka_jars import write_lock; print(write_lock(), "jars")'
