# Every target installs what it needs. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PYTHONPATH := $(CURDIR)/operator:$(CURDIR)/workloads:$(CURDIR)
# A user's own cluster: make demo KUBECONFIG=~/.kube/config. The environment's KUBECONFIG is not taken for it.
ifeq ($(origin KUBECONFIG),command line)
DEMO_OPTIONS += --kubeconfig $(KUBECONFIG)
endif
unexport KUBECONFIG

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-integration test-e2e lint format type verify crds protos lock cluster cluster-down image bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make the development environment in .venv

$(READY): lock/dev.txt lock/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Ballast needs Python 3.11 or later: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@echo "making $(VENV) (the first time downloads torch: about 5 GB with its CUDA libraries)"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: install your system's python3-venv package" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r lock/build.txt
	@$(BIN)/uv pip sync --quiet --system-certs --compile-bytecode --require-hashes --python $(BIN)/python lock/dev.txt
	@touch $@

demo: $(READY)  ## an embedded cluster, the operator, real training: watch it work (minutes)
	@$(BIN)/python -m tests.demo $(DEMO_OPTIONS) $(ARGS)

test: $(READY)  ## everything: lint, types, rendered files, unit, property, integration, e2e
	@$(BIN)/python -m tests.stages

test-fast: $(READY)  ## unit and property tests (seconds)
	@$(BIN)/pytest -q tests/unit tests/property $(ARGS)

test-integration: $(READY)  ## parts against real programs
	@$(BIN)/pytest tests/integration $(ARGS)

test-e2e: $(READY)  ## the whole system on the embedded cluster
	@$(BIN)/pytest tests/e2e $(ARGS)

lint: $(READY)  ## ruff and the import layers
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-logo

format: $(READY)  ## format and sort imports
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

type: $(READY)  ## mypy, strict
	@$(BIN)/mypy

verify: $(READY)  ## are rendered files and locks fresh?
	@$(BIN)/python -m ballast.api.crds --check charts/ballast/crds && $(BIN)/python -m tests.protos --check && $(BIN)/python -m tests.locks --check

crds: $(READY)  ## render the CRDs from the API models
	@$(BIN)/python -m ballast.api.crds --write charts/ballast/crds

protos: $(READY)  ## render the messages of the kubelet's gRPC interfaces
	@$(BIN)/python -m tests.protos --write

lock: $(READY)  ## bring lock/*.txt up to date with pyproject.toml
	@$(BIN)/python -m tests.locks $(ARGS)

cluster: $(READY)  ## bring the embedded cluster up
	@$(BIN)/python -m tests.cluster up $(ARGS)

cluster-down: $(READY)  ## remove it and everything it made
	@$(BIN)/python -m tests.cluster down $(ARGS)

image: $(READY)  ## build the container images
	@$(BIN)/python -m tests.cluster.images $(ARGS)

bench: $(READY)  ## benchmarks, a JSON object a line: make bench BENCH=operator
	@$(BIN)/python -m tests.bench $(BENCH) $(ARGS)

clean: cluster-down  ## remove the environment and caches of this checkout
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
