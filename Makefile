# One private virtual environment, locked dependencies, nothing installed by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# Two more than there are processors: tests wait for servers most of their time.
PYTEST_WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)
# Compiled once here: where the environment forbids writing bytecode, every start of a server would
# compile everything anew, for several seconds.
INSTALL = $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-native-asan serve format lint types lock bench bench-api bench-callbacks bench-cloud bench-listing bench-micro bench-scale bench-server clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## prepare the virtual environment (the other targets call it)

$(STAMP): requirements-bootstrap.lock requirements-dev.lock pyproject.toml setup.py $(wildcard src/longshore/native/*.[ch]) Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Longshore needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock
	@$(INSTALL) --require-hashes -r requirements-dev.lock 2>$(VENV)/setup.log || { \
		cat $(VENV)/setup.log >&2; grep -q quickjs $(VENV)/setup.log || exit 1; \
		echo "Trying again without quickjs, which needs a C compiler where it comes as source:" \
			"callbacks in JavaScript will be refused." >&2; \
		awk '/^[^ #]/ { leave_out = /^quickjs==/ } !leave_out' requirements-dev.lock >$(VENV)/without-quickjs.lock \
			&& $(INSTALL) --require-hashes -r $(VENV)/without-quickjs.lock; }
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@$(BIN)/python -m longshore.native
	@touch $@

demo: setup ## archive a real folder through the REST API of a temporary server
	@$(BIN)/longshore demo

test: lint types ## every check and every test
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal

test-native-asan: setup ## test the native loops with AddressSanitizer and UBSan
	@$(BIN)/python -m tests.native.sanitized

serve: setup ## run a server on 127.0.0.1:8080 with its data in ./data
	@$(BIN)/longshore serve --data-dir data

bench: setup ## compare with rclone, rsync, cp and fpsync, see docs/benchmarks
	@$(BIN)/python -m benchmarks.peers $(BENCH)

bench-micro: setup ## time single functions
	@$(BIN)/python -m pytest -q -p no:xdist benchmarks/micro

bench-server: setup ## measure start, idling and the first file of a run
	@$(BIN)/python -m benchmarks.bench_server

bench-scale: setup ## measure memory and catalogue over a million files, in folders and in one
	@$(BIN)/python -m benchmarks.bench_scale $(BENCH)
	@$(BIN)/python -m benchmarks.bench_scale --one-folder $(BENCH)

bench-cloud: setup ## compare with rclone and s5cmd, into a bucket and back
	@$(BIN)/python -m benchmarks.bench_cloud $(BENCH)

bench-listing: setup ## list a bucket of ten million keys
	@$(BIN)/python -m benchmarks.bench_listing $(BENCH)

bench-callbacks: setup ## measure how many decisions callbacks make per CPU-second
	@$(BIN)/python benchmarks/bench_callbacks.py

format: setup ## rewrite the code in the project's format
	@$(BIN)/ruff format src tests benchmarks
	@$(BIN)/ruff check --fix --quiet src tests benchmarks

lint: setup ## check format and lint rules
	@$(BIN)/ruff format --check --quiet src tests benchmarks
	@$(BIN)/ruff check --quiet src tests benchmarks

types: setup ## check the types
	@$(BIN)/mypy

bench-api: setup ## measure pages out of a million tasks, on SQLite and on PostgreSQL
	@$(BIN)/python -m benchmarks.bench_api --database sqlite
	@$(BIN)/python -m benchmarks.bench_api --database postgresql

lock: setup ## pin the dependencies again, with hashes and without index addresses
	@echo 'uv==$(shell $(BIN)/uv --version 2>/dev/null | cut -d" " -f2)' | $(BIN)/uv pip compile --quiet --universal --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --python-version 3.11 - -o requirements-bootstrap.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		--python-version 3.11 pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		--python-version 3.11 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove everything that was made here, except the data of `make serve`
	rm -rf $(VENV) src/longshore/native/*.so build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
