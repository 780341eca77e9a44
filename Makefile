# The project's commands. CI and the README use these and no others.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3.10 || command -v python3)
VENV := .venv
CONTAINER_VENV := .venv-container
REQUIREMENTS := requirements-dev.txt
STOCK_VENV := .venv-stock
STOCK_REQUIREMENTS := benchmarks/requirements-stock.txt
CONTAINER_REQUIREMENTS := container/requirements.txt tests/unit/container/requirements.txt
# In the place of the shell, which would not pass a SIGTERM on.
STACK := exec env PYTHONPATH=include $(VENV)/bin/python -m local_stack
BENCH := PYTHONPATH=plugins:include:. $(VENV)/bin/python -W ignore
PYTEST := $(VENV)/bin/python -m pytest
PROCESSES ?= 3
AT_ONCE := -n $(PROCESSES) --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help run ui test test-unit test-container test-integration test-docker test-compose test-e2e test-deployment test-kill test-bench lint format bench wheel lock clean setup setup-container setup-stock

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: setup ## retrain once on the local AWS and show the result; RUN='--conf {"epochs":5}' passes params; ENGINE=docker|process
	@$(STACK) run $(RUN)

ui: setup ## keep the same stack up and print the address of Airflow; UI='--port 8080 --scheduled'; ENGINE=docker|process
	@$(STACK) ui $(UI)

setup: ## make or update the Python environment
	@"$(PYTHON)" include/local_stack/bootstrap.py $(VENV) $(REQUIREMENTS)

setup-container:
	@"$(PYTHON)" include/local_stack/bootstrap.py $(CONTAINER_VENV) $(CONTAINER_REQUIREMENTS)

setup-stock:
	@"$(PYTHON)" include/local_stack/bootstrap.py $(STOCK_VENV) $(STOCK_REQUIREMENTS)

test: test-unit test-container test-integration test-docker test-e2e ## all tests but those of Compose, deployments, kills and benchmarks, the quick ones first

test-unit: setup ## rules and logic, no socket: seconds
	$(PYTEST) tests/unit --ignore=tests/unit/container $(AT_ONCE)

test-container: setup-container ## the training and serving programs, really run
	$(CONTAINER_VENV)/bin/python -m pytest tests/unit/container

test-integration: setup ## provider and local AWS over HTTP, real processes: minutes
	$(PYTEST) tests/integration tests/engines -m "not docker" --ignore=tests/integration/benchmarks/test_waiting.py --ignore=tests/integration/benchmarks/test_swap.py $(AT_ONCE)

test-docker: setup ## a real Docker engine and registry; skipped without them, unless REQUIRE_DOCKER=1
	$(PYTEST) tests/docker tests/engines -m docker

test-compose: setup ## the stack of docker-compose.yaml, both executors: minutes; skipped without Docker as above
	$(PYTEST) tests/compose

test-e2e: setup ## real Airflow, real container: minutes
	$(PYTEST) tests/e2e --ignore=tests/e2e/test_kill.py --ignore=tests/e2e/deployment

test-deployment: setup ## the queue for an endpoint, the way back, candidates, champions and the clean-up in the real Airflow: minutes
	$(PYTEST) tests/e2e/deployment

test-kill: setup ## what each kind of kill does, with schedulers and triggerers that crash: minutes
	$(PYTEST) tests/e2e/test_kill.py

test-bench: setup ## that the longer benchmarks run, in their smallest size: minutes
	$(PYTEST) tests/integration/benchmarks/test_waiting.py tests/integration/benchmarks/test_swap.py

lint: setup setup-container ## style, types, direction of imports, Dockerfiles, shell scripts, CloudFormation
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy plugins/sagemaker_byoc include/local_aws include/local_stack dags tests/unit/sagemaker_byoc tests/unit/local_aws tests/unit/local_stack tests/integration tests/docker tests/engines tests/compose tests/e2e tests/support tests/conftest.py
	MYPYPATH=benchmarks:benchmarks/in_airflow $(VENV)/bin/mypy benchmarks
	MYPYPATH=container $(VENV)/bin/mypy --python-executable $(CONTAINER_VENV)/bin/python container include/data tests/unit/container
	PYTHONPATH=plugins:include $(VENV)/bin/lint-imports
	$(VENV)/bin/hadolint $$(find . -name Dockerfile -not -path './.*')
	$(VENV)/bin/shellcheck .ci/run .ci/engine
	$(VENV)/bin/cfn-lint include/events/*.json

format: setup ## put the sources into the project's format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: setup setup-stock ## what we claim about speed, measured beside its peer: most of an hour
	$(BENCH) benchmarks/dag_import.py
	$(BENCH) benchmarks/no_change_build.py
	$(BENCH) benchmarks/engine_overhead.py
	$(BENCH) benchmarks/chain.py
	$(BENCH) benchmarks/detection.py
	$(BENCH) benchmarks/swap.py
	$(BENCH) benchmarks/waits.py
	$(BENCH) benchmarks/waits.py --waits 10000 --sides ours

wheel: setup ## build the provider's wheel into dist/
	$(VENV)/bin/python -m build --no-isolation --wheel --outdir dist .

lock: ## resolve all requirements anew into requirements.lock
	@"$(PYTHON)" -m venv --clear .venv-lock
	@sed '/^-[cr]/d' requirements.txt requirements-dev.txt include/compose/requirements.txt > .venv-lock/requirements.txt
	@.venv-lock/bin/python -m pip install --quiet --requirement .venv-lock/requirements.txt
	@{ sed -n 1p requirements.lock; .venv-lock/bin/python -m pip freeze; } > .venv-lock/lock
	@mv .venv-lock/lock requirements.lock
	@rm -r .venv-lock

clean: ## remove environments and everything the stack made, but for images in a Docker engine
	rm -rf $(foreach venv,$(VENV) $(CONTAINER_VENV) $(STOCK_VENV),$(venv) $(venv).lock $(venv).log) .local dist build
