# A plain `make` lists the targets. Everything lives in .venv and .tools of this folder; the system is not touched.
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
PACKAGES := mesh backends tui screens tests tools
WORKERS ?= 3
ARGS ?=
# The environment is up to date when this file exists: its name is the checksum of all that went into it.
STAMP := .venv/.ready-$(shell cat requirements-dev.lock pyproject.toml | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-real lint fix snapshots screenshot rights bench proof tools lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv from requirements-dev.lock and install the project into it

demo: $(STAMP) ## open the app in its own lab of clusters and clouds (ARGS="--scenario fresh")
	$(BIN)/meshwright demo $(ARGS)

# Kept, whatever the caller's shell says: hundreds of processes start, and each would compile everything anew.
test test-real: export PYTHONDONTWRITEBYTECODE =

test: $(STAMP) ## the fast tests; no Go needed (ARGS="-k name")
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore=tests/real --ignore=tests/proof $(ARGS)

test-real: $(STAMP) tools ## the tests on real API servers, kubectl, helm, charts and the kernel (needs Go; root and nft)
	$(BIN)/python -m pytest -q -rs tests/real $(ARGS)

lint: $(STAMP) ## ruff, mypy --strict, the table of imports
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

fix: $(STAMP) ## let ruff repair and format what it can
	$(BIN)/ruff check --fix $(PACKAGES)
	$(BIN)/ruff format $(PACKAGES)

snapshots: $(STAMP) ## draw the expected pictures of all screens anew; read the diff
	MESHWRIGHT_UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest -q -n $(WORKERS) tests/test_screens

screenshot: $(STAMP) ## draw docs/mesh.svg from the lab
	PYTHONPATH=. $(BIN)/python tools/screenshot.py

rights: $(STAMP) ## write docs/rights, what reading and joining need of the clouds
	for purpose in check apply; do \
	  $(BIN)/meshwright rights --for $$purpose --cloud aws > docs/rights/iam-$$purpose.json && \
	  $(BIN)/meshwright rights --for $$purpose --cloud azure > docs/rights/azure-$$purpose.json || exit 1; \
	done

bench: $(STAMP) ## measure the budgets, as ratios to a peer in the same run
	$(BIN)/python -m tests.bench

proof: $(STAMP) ## the long proofs; writes docs/proof.md (about three quarters of an hour)
	$(BIN)/python -m tests.proof $(ARGS)

tools: ## build the pinned real servers of tools/ into .tools (about 10 min once, then cached)
	tools/build

lock: $(STAMP) ## renew both lock files from pyproject.toml (ARGS="--upgrade")
	$(UV) pip compile $(LOCK) pyproject.toml --extra lab -o requirements.lock $(ARGS)
	$(UV) pip compile $(LOCK) pyproject.toml --extra lab --group dev -o requirements-dev.lock $(ARGS)

clean: ## remove .venv, .tools and the caches of the checkers
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Asked when it is used: setup may just have put it there.
UV = $$(test -x $(BIN)/uv && echo $(BIN)/uv || echo uv)
LOCK := --universal --generate-hashes --no-header --quiet

$(STAMP):
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed; name it: make PYTHON=/path/to/python3 $@' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo 'Python lacks its venv module (Debian: python3-venv)' >&2; exit 1; }
	@test -x $(BIN)/uv || uv --version > /dev/null 2>&1 || $(BIN)/python -m pip install --quiet 'uv>=0.9,<1'
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@rm -f .venv/.ready-*; touch $@
