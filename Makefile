# One front door: `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where things that are not built here are kept between runs (Python packages, the ClickHouse engine).
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/logweir
export LOGWEIR_CACHE := $(CACHE)

PYTHON := $(CACHE)/python/bin/python3
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 16

.PHONY: setup
setup: ## install what tests and the quickstart need (Debian, Python and npm packages, libchdb.so)
	tools/setup test

.PHONY: libchdb
libchdb: ## fetch the ClickHouse engine of the embedded store (npm's @chdb/lib-linux-x64-gnu) into the cache
	tools/fetch-libchdb

.PHONY: build
build: ## build the program with optimisations
	tools/setup run
	cargo build --release --locked

.PHONY: run
run: build ## run the quickstart: sample logs into the embedded store, and queries on them
	tools/quickstart

.PHONY: test
test: setup ## pass every test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked
	tools/fuzz-replay
	cargo build --locked
	"$(PYTHON)" tests/conformance/run.py --command "$(abspath $(TARGET))/debug/logweir" --known tests/conformance/known.txt --jobs 4 tests/conformance/cases

.PHONY: conformance
conformance: ## the conformance cases alone; CASES=word,word selects
	cargo build --locked
	"$(PYTHON)" tests/conformance/run.py --command "$(abspath $(TARGET))/debug/logweir" $(if $(CASES),--filter $(CASES)) --log-tail 15 --jobs 4 tests/conformance/cases

.PHONY: lint
lint: ## format, clippy, and the dependency policy (needs cargo-deny)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo deny --offline check bans licenses sources

.PHONY: fuzz
fuzz: ## fuzz each target for SECONDS_EACH (default 60); needs cargo-fuzz and a nightly toolchain
	cd fuzz && for target in $$(cargo +nightly fuzz list); do \
		cargo +nightly fuzz run "$$target" -- -max_total_time=$(or $(SECONDS_EACH),60); done

.PHONY: crash
crash: ## cut the power SEEDS times (default 100000), on all cores; a seed that fails goes into engine/src/buffer/tests/seeds.txt
	CRASH_SEEDS=$(or $(SEEDS),100000) CRASH_FIRST=$(or $(FIRST),0) cargo test --release --locked -p logweir-engine --lib -- \
		--nocapture a_power_cut_at_any_step

.PHONY: bench
bench: build ## run the benchmark scenarios; ARGS="..." goes to the bench program
	cargo run --release --locked -p bench -- $(ARGS)

.PHONY: docs
docs: ## write the API documentation; `logweir doc KIND:PLUGIN` prints the parameters of a plugin
	cargo doc --workspace --no-deps --locked
