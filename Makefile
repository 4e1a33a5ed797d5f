# The two commands of the README, and what a contributor runs before a commit.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVE_STAMP := $(VENV)/.serve
DEV_STAMP := $(VENV)/.dev

.PHONY: help serve test check format bench gpu-check lock test-tools container-check clean

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

serve: $(SERVE_STAMP)  ## Install the light server and start it on 127.0.0.1:8000
	@exec $(BIN)/panoptes serve $(ARGS)

test: $(DEV_STAMP)  ## Install everything and run the tests
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(DEV_STAMP)  ## Format, lint and type-check, and hold the import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP)  ## Rewrite the code as `check` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV_STAMP)  ## Measure the server beside its ceiling and a naive one
	$(BIN)/python -m benchmarks $(ARGS)

# Installs nothing: a GPU's machine may have no network, and packages of its own.
gpu-check:  ## Check answers and measure throughput on a GPU, with the Python that is there
	$(firstword $(wildcard $(BIN)/python) $(PYTHON)) -m benchmarks.gpu $(ARGS)

lock: $(DEV_STAMP)  ## Lock the images' dependencies anew (ARGS=--upgrade for newer ones)
	PATH="$(CURDIR)/$(BIN):$$PATH" docker/lock.sh $(ARGS)

test-tools: $(DEV_STAMP)  ## Fetch what tests check against: schemas, checkov, promtool, perf_analyzer, panopticapi
	PYTHON=$(BIN)/python sh tests/tools.sh

container-check: $(DEV_STAMP)  ## Build images and run them hardened, without Docker (IMAGES=cpu,gpu,train): Debian, as root
	CONTAINER_CHECK=$(or $(IMAGES),cpu) $(BIN)/python -m pytest tests/docker -m container $(ARGS)

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) build/tools .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Everything includes the light server: after `make test`, `make serve` installs nothing more.
$(SERVE_STAMP): pyproject.toml
	@test -f $(DEV_STAMP) || { echo "Installing the server into $(VENV) …"; \
	    test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cpu]'; }
	@touch $@

$(DEV_STAMP): pyproject.toml
	@echo "Installing everything into $(VENV), torch too: some minutes …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@
