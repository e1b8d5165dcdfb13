# Everything that is run by hand or by .ci/run. `make help` lists it; CONTRIBUTING.md tells when to use what.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Another one: make PYTHON=python3.12 ...
PYTHON ?= $(shell hack/python)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

# Test processes at once. Each that needs servers starts its own Postgres, Valkey and control plane (about 500 MB).
WORKERS ?= 2
# Integration tests wait for servers as much as they compute.
INTEGRATION_WORKERS ?= 4
# Plants of `make demo-fleet`.
N ?= 1000
# Fault tests wait for leases to end far more than they compute: 90 minutes of waiting, and 10 of a core.
FAULT_WORKERS ?= 8
# Tests of a group share servers, and the longest begin first (`lasts`), not the largest groups.
GROUPS := --dist loadgroup --no-loadscope-reorder
# Seconds that `make bench-scale` observes: an interval and two minutes.
OBSERVE ?= 720
PYTEST := $(BIN)/python -m pytest
SHORT := $(PYTEST) -m "not fault"

##@ Set up

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

.PHONY: venv
venv: $(READY) ## The virtual environment .venv: the product (.venv/bin/solarinvest) and the development tools

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); needed is Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into $(VENV): one to two minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: ## Renew requirements/*.txt from pyproject.toml (hashes for every platform and Python 3.11 to 3.13)
	@PYTHON=$(PYTHON) hack/lock

##@ See it run

.PHONY: demo
demo: $(READY) ## Start the whole system in the background and show `kubectl get plants`
	@$(BIN)/python -m hack.demo up

.PHONY: demo-status
demo-status: ## Show the demo's processes and plants (exit code 3 unless all run)
	@test -x $(BIN)/python || { echo "The demo does not run. Start it with: make demo"; exit 3; }
	@$(BIN)/python -m hack.demo status

.PHONY: demo-down
demo-down: ## End the demo: no process is left, its data is removed
	@test ! -x $(BIN)/python || $(BIN)/python -m hack.demo down

.PHONY: demo-fleet
demo-fleet: $(READY) ## On the running demo: N (1000) plants polled each minute for a few minutes, and their lags
	@test -f .demo/env || { echo "The demo does not run. Start it with: make demo"; exit 3; }
	@source .demo/env && $(BIN)/python -m hack.fleet --plants $(N)

##@ Check

.PHONY: test
test: ## Everything below down to `integration`: what a change must pass, under 10 minutes
	@$(MAKE) lint format-check types imports deps generated unit chart contract integration

.PHONY: lint
lint: $(READY) ## Ruff's rules
	$(BIN)/ruff check .

.PHONY: format-check
format-check: $(READY) ## Is everything formatted?
	$(BIN)/ruff format --check .

.PHONY: types
types: $(READY) ## mypy --strict
	$(BIN)/mypy

.PHONY: imports
imports: $(READY) ## The import contracts of pyproject.toml
	$(BIN)/lint-imports

.PHONY: generated
generated: $(READY) ## Is everything that `make generate` makes up to date?
	$(BIN)/python -m hack.generate --check

.PHONY: unit
unit: $(READY) ## Pure code: no server, no socket, no clock
	$(SHORT) -n $(WORKERS) tests/unit

.PHONY: chart
chart: $(READY) ## The Helm chart, rendered without a cluster
	$(SHORT) -n $(WORKERS) tests/chart

.PHONY: contract
contract: $(READY) ## One suite a port, over every implementation of it
	$(SHORT) -n $(WORKERS) tests/contract

.PHONY: integration
integration: $(READY) ## Real Postgres, Valkey and API server, and the short fault tests
	$(SHORT) -n $(INTEGRATION_WORKERS) $(GROUPS) tests/integration tests/faults

.PHONY: test-faults
test-faults: $(READY) ## Kill, freeze and cut off real processes, with long outages: 8 to 10 minutes
	$(PYTEST) -m fault -n $(FAULT_WORKERS) $(GROUPS) tests/faults

.PHONY: quality
quality: $(READY) ## False alarms and detection delays on a simulated year of 20 places: about 10 minutes (docs/quality.md)
	$(BIN)/solarinvest quality

.PHONY: deps
deps: $(READY) ## Is every library that is imported declared, and every declared one imported?
	$(BIN)/deptry controller integrations

.PHONY: audit
audit: $(READY) ## Is anything known against the pinned dependencies? Fails, too, where the service cannot be asked
	@$(BIN)/python -m hack.audit

.PHONY: sbom
sbom: $(READY) ## Print the bill of materials (CycloneDX) of .venv; the image has its own
	@$(BIN)/python hack/sbom.py

.PHONY: image
image: $(READY) ## Build the image solarinvest-monitor of all roles (needs docker)
	@$(BIN)/python -m hack.image build

.PHONY: image-verify
image-verify: $(READY) ## Build it twice from nothing: the same layers, and nothing in it that should not be (docs/image.md)
	@$(BIN)/python -m hack.image verify

.PHONY: bench
bench: bench-peer ## Polls a second and CPU a poll of the product and its peers, 5 rounds in turn: about 15 minutes (docs/performance.md)
	@$(BIN)/python -m benchmarks

.PHONY: bench-quick
bench-quick: bench-peer ## The same with fewer plants and rounds: under 3 minutes
	@$(BIN)/python -m benchmarks --quick

.PHONY: soak
soak: $(READY) ## A simulated month of 200 plants on a real Postgres: as fast, as small at its end? About 10 minutes (docs/performance.md)
	@$(BIN)/python -m benchmarks.soak

.PHONY: bench-scale
bench-scale: $(READY) ## The whole system with 1,000 and 10,000 Plants on a real API server: about 35 minutes (N=100000, OBSERVE=3600 seconds)
	@$(BIN)/python -m benchmarks.scale --plants $(if $(filter file,$(origin N)),1000 10000,$(N)) --observe $(OBSERVE)

# BullMQ and Prisma: without Node and npm the other subjects are measured. Prisma's schema engine, a download, is not needed to generate.
.PHONY: bench-peer
bench-peer: $(READY)
	@if command -v npm > /dev/null; then \
	  cd benchmarks/peers/bullmq && { test -d generated || { npm ci --silent && npm run --silent generate > /dev/null; }; }; \
	else echo "bullmq-prisma is left out: it needs Node 20 and npm"; fi

.PHONY: e2e
e2e: $(READY) ## The chart in a kind cluster of its own, as README says, and tests/e2e in it: under 15 minutes (KEEP=1 keeps the cluster)
	@$(BIN)/python -m hack.e2e

##@ Change

.PHONY: generate
generate: $(READY) ## Make what is made from other files: the chart's copy of the resource definition, schema, tables, docs/rules.md
	$(BIN)/python -m hack.generate

.PHONY: format
format: $(READY) ## Format, and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
