# One target a thing that people do; the work is in scripts/ and in the command `halab`. No absolute path appears here, so
# that a folder with a space in its name works.

SCENARIO  ?= primary-failure
INVENTORY ?= inventories/lab
PARTS     ?= static unit lab faults ha integration foreign molecule
ONLY      ?= all

# ansible-playbook is looked up on PATH by the driver; Ansible insists on a UTF-8 locale and on a home.
export PATH   := $(CURDIR)/.venv/bin:$(PATH)
export LC_ALL := C.UTF-8
export HOME   := $(or $(HOME),$(shell getent passwd $$(id -u) | cut -d: -f6))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup lab up chaos drills status heal down destroy test static unit live integration foreign faults defects mutation molecule lint format bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z ]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "  Parameters: SCENARIO=$(SCENARIO) INVENTORY=$(INVENTORY) PARTS='$(PARTS)'"

chaos: ## Set up, build the lab, kill the primary under load, say what was kept (SCENARIO=, INVENTORY=)
	@scripts/bootstrap
	@.venv/bin/halab chaos "$(SCENARIO)" -i "$(INVENTORY)"

drills: ## Run every scenario on INVENTORY, one table at the end (DRILLS='primary-failure switchover' for some)
	@scripts/bootstrap
	@.venv/bin/halab drills $(DRILLS) -i "$(INVENTORY)"

test: ## Set up and run every test; results in build/test (PARTS=)
	@scripts/bootstrap --dev
	@scripts/test $(PARTS)

setup: ## System packages and the Python environment in .venv
	@scripts/bootstrap

up: ## Create and provision the machines of INVENTORY
	@scripts/bootstrap
	@.venv/bin/halab up -i "$(INVENTORY)"

lab: up

status: ## Show who is what in the cluster of INVENTORY
	@scripts/bootstrap
	@.venv/bin/halab status -i "$(INVENTORY)"

heal: ## Undo every fault that is still in force
	@scripts/bootstrap
	@.venv/bin/halab heal -i "$(INVENTORY)"

down: ## Destroy the machines of INVENTORY
	@scripts/bootstrap
	@.venv/bin/halab down -i "$(INVENTORY)"

destroy: down

static: ## Static tests: lint, types, documentation, conventions
	@scripts/bootstrap --dev --no-lab
	@scripts/test static

lint: static

unit: ## Unit tests
	@scripts/bootstrap --dev --no-lab
	@scripts/test unit

live: ## Tests of machines (tests/lab), of faults on them, and of a cluster (inventories/minimal)
	@scripts/bootstrap --dev
	@scripts/test lab faults ha integration

integration: ## Run the integration collection on INVENTORY (ONLY=basic, citus, ha, cache, coverage or a class; DESTRUCTIVE=yes)
	@scripts/bootstrap --dev
	@scripts/integration "$(INVENTORY)" "$(ONLY)"

faults: ## Tests of faults: every family injected, seen, healed, and its driver killed (tests/faults)
	@scripts/bootstrap --dev
	@scripts/test faults

defects: ## Plant known-bad configurations in INVENTORY, one at a time: each must be found, its healthy twin kept
	@scripts/bootstrap --dev
	@.venv/bin/halab up -i "$(INVENTORY)"
	@.venv/bin/python -m pytest tests/defects --inventory "$(INVENTORY)" -v --timeout 900 $(DEFECTS)

mutation: ## Break the lines of checkers one at a time and expect their tests to notice (CHECKERS='bank counter' for some)
	@scripts/bootstrap --dev
	@.venv/bin/python -m tests.mutation $(CHECKERS)

foreign: ## What halab does on a cluster that it did not build, drills among it (tests/foreign)
	@scripts/bootstrap --dev
	@.venv/bin/python -m pytest tests/foreign -v $(FOREIGN)

molecule: ## Each role alone on bare machines, and a fault for each (MOLECULE='-k etcd', MOLECULE='--changed-since origin/main')
	@scripts/bootstrap --dev
	@.venv/bin/python -m pytest tests/molecule -v $(MOLECULE)

format: ## Format the Python files and repair what ruff can
	@scripts/bootstrap --dev --no-lab
	@.venv/bin/ruff check --fix --quiet .
	@.venv/bin/ruff format --quiet .

bench: ## Measure; writes docs/benchmarks.md (BENCH=--help says what can be left out)
	@scripts/bootstrap
	@.venv/bin/python -m halab.bench $(BENCH)

clean: ## Remove what set-up and tests made here (not runs, not labs)
	@rm -rf .venv .venv.lock build .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible src/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
