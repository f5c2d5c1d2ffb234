# The front door. Needs Python 3.11, git and make; everything else is put into .venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
export PYTHON
# With LC_ALL=C Python cannot read the path of an installation in a folder such as "Müller".
export PYTHONUTF8 := 1
BIN := .venv/bin

.PHONY: help demo test test-slow test-exhaustive test-debian test-containers test-k8s test-k8s-pods soak lint bench bench-synth bench-service bench-scale bench-aws bench-onprem lock docs clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

demo: ## deploy the platform on this machine and synthesize a real table through its API
	@scripts/venv.sh demo
	@$(BIN)/python scripts/demo.py

test: ## run all tests but the slow tiers (lint and types are in `make lint`)
	@scripts/venv.sh dev
	@scripts/test.sh "not slow and not debian and not containers and not exhaustive and not k8s and not pods"

test-slow: ## tests that take more than ten seconds each: whole deployments, outages, kills
	@scripts/venv.sh dev
	@scripts/test.sh "slow and not debian and not containers and not k8s and not pods and not exhaustive"

test-exhaustive: ## kills, faults and pairs of databases, all instead of a sample; before a release
	@scripts/venv.sh dev
	@scripts/test.sh exhaustive

test-debian: ## tests that need servers from Debian packages (root installs them)
	@scripts/debian.sh
	@scripts/venv.sh dev
	@scripts/test.sh debian

test-containers: ## the platform in real containers (root: podman, without a registry)
	@scripts/debian.sh containers
	@scripts/venv.sh dev
	@scripts/test.sh containers 0

test-k8s: ## tests on a real Kubernetes 1.20, built once a machine from Debian's source
	@scripts/venv.sh dev
	@$(BIN)/python -m tests.testbed.kube.build >/dev/null
	@scripts/test.sh "k8s and not exhaustive"

test-k8s-pods: ## the platform in pods that really run (root: kubelet, containerd, podman)
	@scripts/debian.sh pods
	@scripts/venv.sh dev
	@$(BIN)/python -m tests.testbed.kube.build >/dev/null
	@scripts/test.sh pods 0

soak: ## load and faults for SOAK_SECONDS (180) by SOAK_CLIENTS (200), then a verdict (root: with a full disk)
	@scripts/venv.sh dev
	@$(BIN)/python -W ignore -m tests.soak
	@SCHEMA_TEST_SECONDS=$${SOAK_SECONDS:-180} $(BIN)/python -m pytest -q tests/api/test_schema.py

lint: ## style, types and the import contracts
	@scripts/venv.sh dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: bench-synth bench-service bench-scale bench-aws bench-onprem ## run every benchmark; results go to benchmarks/RESULTS.md

bench-synth: ## quality, privacy and speed of the synthesizers, beside their peers
	@scripts/venv.sh dev
	@$(BIN)/python -m benchmarks.synth

bench-service: ## what the service costs beside the bare parts under it
	@scripts/venv.sh dev
	@$(BIN)/python -m benchmarks.service

bench-scale: ## rows per second of 1, 2 and 4 processes beside the limit of writing
	@scripts/venv.sh dev
	@$(BIN)/python -m benchmarks.scale

bench-aws: ## a plan of a hundred resources beside terraform's, on the AWS emulator
	@scripts/venv.sh dev
	@$(BIN)/python -m benchmarks.aws

bench-onprem: ## a plan and a deploy without changes beside helm's dry run, on a real API server
	@scripts/venv.sh dev
	@$(BIN)/python -m tests.testbed.kube.build >/dev/null
	@$(BIN)/python -W ignore -m benchmarks.onprem

docs: ## write docs/cli.md from the commands, and the chart's README from its values
	@scripts/venv.sh dev
	@$(BIN)/python scripts/docs.py
	@$(BIN)/python scripts/chart_docs.py

lock: ## rewrite requirements/*.txt from pyproject.toml
	@scripts/venv.sh dev
	@scripts/lock.sh

clean: ## remove .venv and caches (deployments are not touched: see `inferloop-tabular destroy`)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
