# Two commands need nothing but python3 and make: `make run` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := requirements/environment.py
PIN := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url $(if $(UPGRADE),--upgrade)
LOCK := $(PIN) pyproject.toml requirements/build.in

.DEFAULT_GOAL := help
.PHONY: help run test long quick check lint type format bench soak fuzz collector gotools lock audit advisories clean

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo
	@echo "  ARGS=... is handed on (make test ARGS='-k kafka'); PYTHON=python3.12 picks the interpreter."

run: $(VENV)/.runtime ## start the service and play a recorded day with a regression through it
	@$(BIN)/driftline demo $(ARGS)

# A file's tests stay together, and at most four brokers run at once.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile

test: $(VENV)/.dev ## the tests but for the long ones; those of missing real parts are skipped, in CI they fail
	$(BIN)/python -m pytest $(PARALLEL) -m "not long" $(ARGS)

long: $(VENV)/.dev ## the long tests: crashes, faults of brokers, clusters, deployments, long simulations
	$(BIN)/python -m pytest $(PARALLEL) -m long $(ARGS)

quick: $(VENV)/.dev ## the tests that need no real Kafka, Prometheus or Alertmanager
	$(BIN)/python -m pytest $(PARALLEL) -m "not real" $(ARGS)

# In `make check test` the quick tests are a part of `test` and run once.
check: lint type $(if $(filter test,$(MAKECMDGOALS)),,quick) advisories ## what a change must pass: lint, types, quick tests, advisories

lint: $(VENV)/.dev ## style, format and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

type: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy
	$(BIN)/mypy -p tests.real
	$(BIN)/mypy tests/conftest.py tests/test_project.py $(SETUP) requirements/audit.py requirements/compile.py

format: $(VENV)/.dev ## put the code in the one format, and mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## spans per CPU second through the whole service
	$(BIN)/python -m benchmarks.bench $(ARGS)

soak: $(VENV)/.dev ## an hour of load while things fail (ARGS='--minutes 10 --engine kafka')
	$(BIN)/python -m benchmarks.soak $(ARGS)

fuzz: $(VENV)/.dev ## hostile requests, each time others (ARGS='--minutes 60'; ten by default)
	$(BIN)/python -m tests.fuzz $(ARGS)

collector: $(VENV)/.dev ## build the OpenTelemetry Collector that tests use, once (minutes; needs Go)
	$(BIN)/python -m tests.real.parts.collector

gotools: $(VENV)/.dev ## build kustomize, the parser of compose files and Prometheus 3, which tests use, once (minutes; needs Go)
	$(BIN)/python -m tests.real.parts.gotools

lock: $(VENV)/.dev ## write the lock files anew from pyproject.toml; UPGRADE=1 takes newer versions
	$(LOCK) -o requirements/runtime.lock
	$(LOCK) --extra dev -c requirements/runtime.lock -o requirements/dev.lock
	for extra in parquet compression models; do \
	  $(LOCK) --extra $$extra -c requirements/dev.lock -o requirements/$$extra.lock || exit 1; done
	$(PIN) requirements/compile.in -c requirements/dev.lock -o requirements/compile.lock

advisories: $(VENV)/.dev ## as audit, but where nobody can be asked it says so and does not fail
	$(BIN)/python requirements/audit.py --if-possible

audit: $(VENV)/.dev ## ask whether a locked package has known vulnerabilities (needs the network)
	$(BIN)/python requirements/audit.py

clean: ## remove the environment and everything built or cached here
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment: made once, again only when a lock or the project file changes ---

define NEEDS_PYTHON
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) was not found; Driftline needs Python 3.11 or newer." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is `$(PYTHON) -V 2>&1`; Driftline needs Python 3.11 or newer." >&2; \
		echo "If there is one under another name: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
endef

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml $(SETUP)
	$(NEEDS_PYTHON)
	@$(PYTHON) $(SETUP) runtime $(VENV)

$(VENV)/.dev: requirements/dev.lock pyproject.toml $(SETUP)
	$(NEEDS_PYTHON)
	@$(PYTHON) $(SETUP) dev $(VENV)
