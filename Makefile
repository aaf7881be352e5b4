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
	"$(PYTHON)" tests/conformance/run.py --command "$(abspath $(TARGET))/debug/logweir" --known tests/conformance/known.txt --compat 1.19 --differing tests/conformance/cases

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
fuzz: ## fuzz each target for TIME seconds (default 60), JOBS at once; needs cargo-fuzz
	TIME=$(or $(TIME),60) JOBS=$(or $(JOBS),1) tools/fuzz

# The long forms of tests: each reads how long from an environment variable. A part is a target of its own.
SOAK := LOGWEIR_REQUIRE_LIBCHDB=1 cargo test --locked --test whole -- --nocapture --test-threads 1

.PHONY: soak
soak: soak-kills soak-ambiguous soak-faults soak-cluster ## the long form of crash tests: KILLS=1000 AMBIGUOUS=500 FAULT_REPEATS=20

.PHONY: soak-kills
soak-kills: setup ## SIGKILL Logweir and ClickHouse under load, KILLS times (default 1000, a fourth of them into the store)
	LOGWEIR_KILLS=$$(( $(or $(KILLS),1000) * 3 / 4 )) $(SOAK) kills::into_a_server
	LOGWEIR_KILLS=$$(( $(or $(KILLS),1000) / 4 )) $(SOAK) kills::into_the_store

.PHONY: soak-ambiguous
soak-ambiguous: setup ## cut the connections of AMBIGUOUS inserts (default 500, half of them into the store)
	LOGWEIR_AMBIGUOUS=$$(( $(or $(AMBIGUOUS),500) / 2 )) $(SOAK) ambiguous::

.PHONY: soak-cluster
soak-cluster: setup ## kill aggregators, replicas and ZooKeeper of a cluster under load
	cargo test --locked -p logweir-testing cluster:: -- --ignored
	cargo test --locked --test whole cluster::survival -- --ignored --nocapture

.PHONY: soak-faults
soak-faults: setup ## end Logweir at each fault point, each pass FAULT_REPEATS times (default 20)
	LOGWEIR_FAULT_REPEATS=$(or $(FAULT_REPEATS),20) $(SOAK) faults::

.PHONY: crash
crash: ## cut the power SEEDS times (default 100000), on all cores; a seed that fails goes into engine/src/buffer/tests/seeds.txt
	CRASH_SEEDS=$(or $(SEEDS),100000) CRASH_FIRST=$(or $(FIRST),0) cargo test --release --locked -p logweir-engine --lib -- \
		--nocapture a_power_cut_at_any_step

.PHONY: bench
bench: build ## run the benchmark scenarios; ARGS="..." goes to the bench program
	cargo run --release --locked -p bench -- $(ARGS)

.PHONY: counts
counts: ## count instructions per record (needs valgrind); 5 % over those of bench/counts.json is an error
	cargo run --release --locked -p bench -- counts $(ARGS)

.PHONY: reference
reference: ## write docs/reference from the tables of parameters and the examples in docs/reference/examples
	cargo run --quiet --locked -- doc --all docs/reference

.PHONY: docs
docs: ## write the API documentation; `logweir doc KIND:PLUGIN` prints the parameters of a plugin
	cargo doc --workspace --no-deps --locked
