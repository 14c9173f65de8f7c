# Every target does its own set-up: a local virtual environment with the pinned packages and the compiled extension.
# Stamp files in the environment make a second run quick. PYTHON=python3.13 VENV=.venv313 uses another interpreter.

PYTHON ?= python3
VENV ?= .venv
# Cargo's profile for the extension: `dev` builds in seconds, for tests that time nothing.
PROFILE ?= release

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUST_SOURCES := $(shell find src crates -name '*.rs' -o -name Cargo.toml) build.rs .cargo/config.toml
PYTHON_SOURCES := $(shell find python -name '*.py')
DEBUG := .cache/debug
COLLECTOR := .cache/collector/otelcol
COLLECTOR_MANIFEST := tests/integration/collector/builder.yaml
COLLECTOR_VERSION := $(shell sed -n 's/^  version: //p' $(COLLECTOR_MANIFEST))
SANITIZE := .cache/sanitize
BENCHES := .cache/benches
# What docs/site/requirements.in lists.
SITE := .cache/site-packages
# The host's triple. A sanitizer needs it by name, so that cargo builds the programs of the build itself without it.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
# Most tests wait for processes, deadlines and timers, so that three at a time on two cores end sooner.
TEST_PROCESSES ?= 3
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := $(sort $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs))))

# Lint, tests and maturin build for the same interpreter, so that none of them makes another rebuild pyo3.
export PYO3_PYTHON := $(abspath $(BIN)/python)

.DEFAULT_GOAL := help
.PHONY: help demo test test-matrix test-slice test-debug canary nightly packages examples conformance contrib
.PHONY: sanitize races miri fuzz lint typing docs docs-test interpreters collector requirements clean
.PHONY: screenshots bench bench-quick bench-load bench-peers bench-packages plots instructions instructions-against
.PHONY: build pgo wheels test-wheel cross-check sdist description licenses deny workflows release-check release-requirements
.DELETE_ON_ERROR:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# --- Programs that the machine must have: one line for each that is missing ------------------------------------------

have = $(shell command -v $(1) 2>/dev/null)
python_probe = import ensurepip, sys, venv; print("ready" if sys.version_info >= (3, 10) else "old")
python_state = $(shell $(PYTHON) -c '$(python_probe)' 2>/dev/null)
# Tests that need it are skipped elsewhere.
MYSQL = $(if $(call have,mariadb_config),$(VENV)/.mysql)
need_python = $(if $(filter ready,$(python_state)),,$(error install Python 3.10 or newer with venv \
	(Debian: apt-get install python3-venv), or name it: make PYTHON=/path/to/python3))
need_cargo = $(if $(call have,cargo),,$(error install the Rust toolchain, cargo was not found: https://rustup.rs))
need_cc = $(if $(call have,cc),,$(error install a C compiler, cc was not found (Debian: apt-get install gcc libc6-dev)))
need_go = $(if $(call have,go),,$(error install Go to build the Collector: https://go.dev/dl))
need_rust_linters = $(if $(and $(call have,cargo-fmt),$(call have,cargo-clippy)),,$(error \
	install rustfmt and clippy: rustup component add rustfmt clippy))
need_fuzzer = $(if $(shell cargo +nightly fuzz --version 2>/dev/null),,$(error install nightly Rust and cargo-fuzz: \
	rustup toolchain install nightly && cargo install cargo-fuzz --locked))
need_nightly = $(if $(shell cargo +nightly --version 2>/dev/null),,$(error \
	install nightly Rust: rustup toolchain install nightly))
need_rust_src = $(if $(wildcard $(shell rustc +nightly --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library),,$(error \
	install the sources of nightly Rust: rustup component add rust-src --toolchain nightly))
need_miri = $(if $(shell cargo +nightly miri --version 2>/dev/null),,$(error \
	install Miri: rustup component add miri rust-src --toolchain nightly))
libasan = $(shell cc -print-file-name=libasan.so)
need_libasan = $(if $(findstring /,$(libasan)),,$(error \
	install GCC's AddressSanitizer, libasan.so was not found (Debian: apt-get install gcc)))
need_cxx = $(if $(call have,c++),,$(error \
	install a C++ compiler for libFuzzer, c++ was not found (Debian: apt-get install g++)))

# --- Set-up ----------------------------------------------------------------------------------------------------------

$(VENV)/.created:
	$(need_python)$(need_cargo)$(need_cc)
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Only the packages that the demo needs, in the versions of the development set.
$(VENV)/.examples: requirements-dev.txt examples/requirements.txt $(VENV)/.created
	$(PIP) install --quiet --constraint requirements-dev.txt maturin --requirement examples/requirements.txt
	@touch $@

# Without a part of the closure, pip could not resolve it on a free-threaded Python.
$(VENV)/.dev: requirements-dev.txt tests/matrix/without_wheels.txt $(VENV)/.created
	$(BIN)/python tests/matrix/requirements.py >$(VENV)/requirements.txt
	$(PIP) install --quiet --no-deps --requirement $(VENV)/requirements.txt
	@touch $@

$(VENV)/.mysql: requirements-mysql.txt $(VENV)/.dev
	$(PIP) install --quiet --requirement requirements-mysql.txt
	@touch $@

# Python files are used in place. Only the compiled part is built again, when one of its sources has changed.
$(VENV)/.extension: $(RUST_SOURCES) Cargo.toml Cargo.lock pyproject.toml $(VENV)/.examples
	$(need_cargo)$(need_cc)
	VIRTUAL_ENV=$(abspath $(VENV)) PIP_QUIET=1 PIP_CONSTRAINT=$(abspath requirements-dev.txt) \
		$(BIN)/maturin develop --profile $(PROFILE) --locked
	@touch $@

# --- Targets ---------------------------------------------------------------------------------------------------------

demo: $(VENV)/.extension ## run an instrumented Flask program against the built-in receiver and check its trace
	$(BIN)/python examples/demo.py

test: $(VENV)/.dev $(MYSQL) $(VENV)/.extension ## run the Rust and Python tests (with the Collector if `make collector` was run)
	$(need_cargo)$(need_cc)
	cargo test --locked --workspace
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) -m "not alone and not environments"
	$(BIN)/python -m pytest -m alone
	$(BIN)/python tests/conformance/run.py

# INTERPRETERS="3.10 3.14" runs some; PROFILE=dev and `-m "not alone"` are what a run beside other work takes.
INTERPRETERS ?= 3.10 3.11 3.12 3.13 3.14 3.14t
test-matrix: ## run `make test` on each of INTERPRETERS, keep the results, and make docs/platforms.md anew
	$(need_python)$(need_cargo)$(need_cc)
	$(PYTHON) tests/matrix/run.py $(INTERPRETERS)
	$(PYTHON) tests/matrix/table.py

# DEBUG_TESTS and INTERPRETERS say what. The builds share Cargo's folder, so that only PyO3 and otel-rs are compiled anew.
test-slice: ## run some tests on each of INTERPRETERS as `make test-debug` does, and keep no results
	$(need_python)$(need_cargo)$(need_cc)
	PROFILE=dev TEST_PROCESSES=$(TEST_PROCESSES) $(PYTHON) tests/matrix/run.py --scope core --debug \
		$(addprefix --only ,$(DEBUG_TESTS)) $(INTERPRETERS)

# Where pyenv or the machine has no such Python.
interpreters: $(INTERPRETERS:%=.cache/interpreters/%/.ready) ## get each of INTERPRETERS that this machine lacks

.cache/interpreters/%t/.ready:
	tests/matrix/build_interpreter.sh $*t $(@D)
	@touch $@

.cache/interpreters/%/.ready:
	tests/matrix/unpack_interpreter.sh $* $(@D)
	@touch $@

# A copy of the package, so that the release build stays in place; PYTHONPATH comes before the environment's packages.
$(DEBUG)/.extension: $(RUST_SOURCES) $(PYTHON_SOURCES) Cargo.toml Cargo.lock $(VENV)/.dev
	$(need_cargo)$(need_cc)
	cargo build --locked --lib
	rm -rf $(DEBUG)
	mkdir -p $(DEBUG)
	cp -r python/otel_rs $(DEBUG)/otel_rs
	rm -f $(DEBUG)/otel_rs/_native*.so
	cp $(or $(CARGO_TARGET_DIR),target)/debug/libotel_rs.* $(DEBUG)/
	cp $(DEBUG)/libotel_rs.$(if $(filter Darwin,$(shell uname)),dylib,so) $(DEBUG)/otel_rs/_native.so
	@touch $@

# DEBUG_TESTS="tests/trace tests/logs" runs some folders.
test-debug: $(VENV)/.dev $(VENV)/.extension $(DEBUG)/.extension ## run the Python tests with overflow checks, debug assertions and Python's development mode
	PYTHONPATH=$(abspath $(DEBUG)) $(BIN)/python -c \
		'import os, sys; from otel_rs import _native; sys.exit(not os.path.samefile(os.path.dirname(_native.__file__), sys.argv[1]))' \
		$(DEBUG)/otel_rs
	PYTHONDEVMODE=1 PYTHONPATH=$(abspath $(DEBUG)) $(BIN)/python -m pytest -n $(TEST_PROCESSES) -m "not installed" $(DEBUG_TESTS)

# A debug build of the extension, in a copy of the package, that checks every access to memory.
$(SANITIZE)/.extension: $(RUST_SOURCES) $(PYTHON_SOURCES) Cargo.toml Cargo.lock $(VENV)/.dev
	$(need_cargo)$(need_cc)$(need_nightly)
	CARGO_TARGET_DIR=$(SANITIZE)/target RUSTFLAGS=-Zsanitizer=address \
		cargo +nightly build --locked --lib --target $(HOST)
	rm -rf $(SANITIZE)/package
	mkdir -p $(SANITIZE)/package
	cp -r python/otel_rs $(SANITIZE)/package/otel_rs
	rm -f $(SANITIZE)/package/otel_rs/_native*.so
	cp $(SANITIZE)/target/$(HOST)/debug/libotel_rs.so $(SANITIZE)/package/otel_rs/_native.so
	@touch $@

# It forks while other threads allocate: in the child the lock of AddressSanitizer's own allocator is taken for ever.
NOT_SANITIZED := tests/process/test_fork.py::test_forks_while_other_threads_make_spans

# PYTHONMALLOC makes Python's own blocks come from malloc, so that they are checked too. Only the Rust tests look for
# leaks: the interpreter leaves many blocks behind. tests/process/test_leaks.py finds leaks without a sanitizer.
sanitize: $(VENV)/.dev $(VENV)/.extension $(SANITIZE)/.extension ## run Rust tests and Python tests under AddressSanitizer; needs nightly Rust and GCC
	$(need_cargo)$(need_cc)$(need_nightly)$(need_libasan)
	CARGO_TARGET_DIR=$(SANITIZE)/target RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=1 \
		cargo +nightly test --locked --package otel-rs-core --target $(HOST) --lib --test fuzz
	LD_PRELOAD=$(libasan) ASAN_OPTIONS=detect_leaks=0:handle_segv=0 PYTHONMALLOC=malloc \
		PYTHONPATH=$(abspath $(SANITIZE)/package) $(BIN)/python -m pytest --timeout=300 -m sanitize --deselect $(NOT_SANITIZED)

# It skips the clients' tests: their deadlines are too short for ThreadSanitizer.
races: ## run the Rust tests under ThreadSanitizer; needs nightly Rust with its sources
	$(need_cargo)$(need_cc)$(need_nightly)$(need_rust_src)
	CARGO_TARGET_DIR=$(SANITIZE)/threads RUSTFLAGS=-Zsanitizer=thread \
		cargo +nightly test -Zbuild-std --locked --package otel-rs-core --package otel-rs-view --target $(HOST) --lib -- --skip client::

# Modules without input and output. Only the fuzz targets read files: their seeds.
MIRI_TESTS := process::fork:: process::published:: process::report:: process::shared:: batch_processor::queue:: \
	export::counters:: export::split:: metrics:: propagate:: \
	$(addsuffix ::tests,$(addprefix otlp::,attributes batch log_record memory metric span wire))

miri: ## run the Rust tests that do no input and output under Miri
	$(need_cargo)$(need_cc)$(need_miri)
	CARGO_TARGET_DIR=.cache/miri MIRIFLAGS=-Zmiri-disable-isolation \
		cargo +nightly miri test --locked --package otel-rs-core --lib -- $(MIRI_TESTS)
	CARGO_TARGET_DIR=.cache/miri MIRIFLAGS=-Zmiri-disable-isolation \
		cargo +nightly miri test --locked --package otel-rs-core --test fuzz -- attributes json log_records measurements metrics propagation spans

nightly: $(VENV)/.dev $(VENV)/.extension ## run 10,000 generated span programs on each way to the collector, and the long forms of the faults
	OTEL_RS_TEST_PROFILE=nightly $(BIN)/python -m pytest --timeout=3600 tests/differential/test_programs.py tests/faults

packages: $(VENV)/.dev $(VENV)/.extension ## run third-party packages on otel-rs and on the stock SDK, each in an environment of its own
	$(BIN)/python -m pytest --timeout=1200 tests/integration/packages/check.py

docs-test: $(VENV)/.dev $(VENV)/.extension ## run every command and program of the pages, also those that need a network or a database
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --timeout=600 tests/docs

examples: $(VENV)/.dev $(MYSQL) $(VENV)/.extension ## run all tests of the examples, also those that install packages (minutes the first time)
	$(BIN)/python -m pytest --timeout=1200 tests/integration/examples

# Inputs that fail are in fuzz/artifacts; fuzz/corpus grows from run to run.
fuzz: ## run each fuzz target for FUZZ_SECONDS (60); needs nightly Rust and cargo-fuzz
	$(need_cargo)$(need_cc)$(need_cxx)$(need_fuzzer)
	mkdir -p $(FUZZ_TARGETS:%=fuzz/corpus/%)
	cargo +nightly fuzz build
	set -e; for target in $(FUZZ_TARGETS); do \
		cargo +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1; \
	done

conformance: $(VENV)/.dev $(VENV)/.extension ## run upstream's own tests with otel-rs installed over the SDK
	$(BIN)/python tests/conformance/run.py

canary: $(VENV)/.dev $(VENV)/.extension ## the same on the newest SDK there is, pre-releases too: what the next release will break
	$(BIN)/python tests/conformance/run.py --newest

contrib: $(VENV)/.dev $(VENV)/.extension ## run the instrumentations' own tests alone, a part of `make conformance`
	$(BIN)/python tests/conformance/run.py --contrib-only

lint: $(VENV)/.dev ## check formatting, clippy, ruff, mypy, and the floors of the house
	$(need_cargo)$(need_cc)$(need_rust_linters)
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo fmt --check --manifest-path benches/peers/rust_sdk/Cargo.toml
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet --noconftest tests/test_house.py
	$(BIN)/python tests/matrix/table.py --check
	$(BIN)/python release/table.py --check
	$(BIN)/python release/licenses.py --check
	$(BIN)/python release/description.py --check

$(SITE)/.installed: docs/site/requirements.txt
	$(need_python)
	rm -rf $(SITE)
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement $<
	@touch $@

docs: $(SITE)/.installed ## build the site into .cache/site; a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict

# What programs import, and the compiled module under it.
TYPED := $(addprefix otel_rs.,_native exporter logs metrics testing trace)

# The compiled module is imported, and compared with its stubs.
typing: $(VENV)/.dev $(VENV)/.extension $(SITE)/.installed ## check that the public types are complete, and the stubs true
	PATH=$(abspath $(BIN)):$$PATH $(SITE)/bin/basedpyright --project tests/typing
	PATH=$(abspath $(BIN)):$$PATH $(SITE)/bin/basedpyright --verifytypes otel_rs --ignoreexternal
	$(BIN)/mypy tests/typing
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml --allowlist tests/typing/stubtest.txt $(TYPED)

# benches/requirements.txt says why they are in a folder of their own.
$(BENCHES)/.packages: benches/requirements.txt $(VENV)/.dev
	rm -rf $(BENCHES)
	$(PIP) install --quiet --no-deps --target $(BENCHES) --requirement benches/requirements.txt
	@touch $@

bench-packages: $(BENCHES)/.packages ## install what the benchmark of whole requests needs besides

bench: $(VENV)/.extension $(BENCHES)/.packages ## compare with the stock SDK on this machine: whole requests, then each span, measurement and log line
	$(BIN)/python benches/applications/run.py
	$(BIN)/python benches/run.py

bench-quick: $(VENV)/.extension $(BENCHES)/.packages ## the same in two minutes: a Flask request and a few rows
	$(BIN)/python benches/applications/run.py --quick
	$(BIN)/python benches/run.py --rounds 1 --only current http http-cpu-grpc unsampled histogram log

bench-load: $(VENV)/.extension ## make 10,000 spans a second, and as many as there can be, with each SDK
	$(BIN)/python benches/load.py

bench-peers: $(VENV)/.extension ## compare an HTTP span with those of other packages, and of opentelemetry_sdk from Rust
	$(need_cargo)
	$(BIN)/python benches/peers/run.py

# Not among the development packages: only who draws the picture needs it.
PLOTS := .cache/plots
plots: ## draw docs/images/benchmarks.svg from the newest results
	$(PYTHON) -m venv $(PLOTS)
	$(PLOTS)/bin/python -m pip --disable-pip-version-check install --quiet matplotlib==3.11.2
	$(PLOTS)/bin/python benches/plot.py $(lastword $(sort $(wildcard benches/results/requests-*.json))) \
		$(lastword $(sort $(wildcard benches/results/peers-*.json))) docs/images/benchmarks.svg

screenshots: $(VENV)/.extension ## draw docs/images/view-*.png; needs Debian's chromium and chromium-driver
	$(BIN)/python -m tests.support.screenshots

instructions: $(VENV)/.dev $(VENV)/.extension ## count the instructions of each benchmark row; fail if one is 3% above its budget; needs valgrind
	$(BIN)/python benches/instructions.py --check --count 1024

# BASE's own Makefile and benchmarks count, on this machine, with this interpreter.
BASE ?= origin/main
AGAINST := .cache/against
instructions-against: $(VENV)/.dev $(VENV)/.extension ## the same, with the counts of the commit BASE (origin/main) as the budget
	rm -rf $(AGAINST)
	git worktree prune
	git worktree add --quiet --detach $(AGAINST) $(BASE)
	$(MAKE) --directory $(AGAINST) PYTHON=$(abspath $(BIN)/python) PROFILE=$(PROFILE) .venv/.dev .venv/.extension
	cd $(AGAINST) && .venv/bin/python benches/instructions.py --save --count 1024
	$(BIN)/python benches/instructions.py --check --count 1024 --budget $(AGAINST)/benches/instructions.json

build: $(VENV)/.examples ## build the wheel for the environment's Python into dist/
	$(need_cargo)$(need_cc)
	$(BIN)/maturin build --release --locked --interpreter $(BIN)/python --out dist

# --- Wheels and releases (docs/releasing.md) -------------------------------------------------------------------------

RELEASE := .cache/release
# On Windows an environment's programs are elsewhere.
RELEASE_BIN := $(RELEASE)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# `make wheels WHEEL_TARGETS=aarch64-unknown-linux-gnu WHEEL_PYTHONS="3.11 3.14t"` builds two.
WHEEL_TARGETS ?= x86_64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-unknown-linux-gnu aarch64-unknown-linux-musl
WHEEL_PYTHONS ?= 3.10 3.11 3.12 3.13 3.14 3.14t
# WHEEL_PROFILE=dev says in minutes whether wheels work somewhere; they are large and slow, and nothing to publish.
WHEEL_PROFILE ?= release
WHEELS := dist/wheels$(if $(filter release,$(WHEEL_PROFILE)),,-$(WHEEL_PROFILE))
# The oldest C libraries that wheels run on: glibc of 2012, musl of 2020. For macOS and Windows there is no choice.
WHEEL_PLATFORM = $(if $(findstring linux-gnu,$(1)),--zig --compatibility manylinux_2_17,$(if $(findstring \
	linux-musl,$(1)),--zig --compatibility musllinux_1_2,))
need_rustup = $(if $(call have,rustup),,$(error install rustup to build for other platforms: https://rustup.rs))

$(RELEASE)/.ready: release/requirements.txt
	$(need_python)
	rm -rf $(RELEASE)
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE_BIN)/python -m pip --disable-pip-version-check install --quiet --only-binary=:all: --require-hashes --requirement release/requirements.txt
	@touch $@

# Which branches programs take most, for wheels of this machine's own target: docs/decisions/0031-profile-guided-wheels.md.
# llvm-profdata is of rustup, or of Debian (llvm-22), which reads what rustc 1.95 writes.
PGO := .cache/pgo
RUSTUP_PROFDATA = $(shell rustc --print sysroot)/lib/rustlib/$(HOST)/bin/llvm-profdata
LLVM_PROFDATA ?= $(firstword $(wildcard $(RUSTUP_PROFDATA)) $(call have,llvm-profdata-22))
guided = $(if $(filter release-$(HOST),$(WHEEL_PROFILE)-$(1)),$(if $(wildcard \
	$(PGO)/otel-rs.profdata),RUSTFLAGS=-Cprofile-use=$(abspath $(PGO)/otel-rs.profdata)))

pgo: $(VENV)/.dev $(VENV)/.extension bench-packages ## count what benches/applications/train.py does; `make wheels` then optimises for it
	$(need_cargo)$(need_cc)
	$(if $(LLVM_PROFDATA),,rustup component add llvm-tools)
	rm -rf $(PGO)/package $(PGO)/raw
	RUSTFLAGS=-Cprofile-generate cargo build --release --locked --lib --target $(HOST) --target-dir $(PGO)/target
	mkdir -p $(PGO)/package
	cp -r python/otel_rs $(PGO)/package/otel_rs
	rm -f $(PGO)/package/otel_rs/_native*.so
	cp $(PGO)/target/$(HOST)/release/libotel_rs.so $(PGO)/package/otel_rs/_native.so
	PYTHONPATH=$(abspath $(PGO)/package) $(BIN)/python benches/applications/train.py $(PGO)/raw
	$(or $(LLVM_PROFDATA),$(RUSTUP_PROFDATA)) merge --output $(PGO)/otel-rs.profdata $(PGO)/raw

wheels: $(WHEEL_TARGETS:%=wheels-%) ## build wheels for WHEEL_TARGETS and WHEEL_PYTHONS into dist/wheels, and check each
	$(RELEASE_BIN)/python release/check_wheels.py --profile $(WHEEL_PROFILE) $(WHEELS)/*.whl

# zig compiles C and links, against the C library of any platform.
wheels-%: $(RELEASE)/.ready
	$(need_cargo)$(need_rustup)
	rustup target add $*
	env -u PYO3_PYTHON $(call guided,$*) PATH="$(abspath $(RELEASE_BIN)):$$PATH" maturin build --profile $(WHEEL_PROFILE) --locked --target $* \
		$(call WHEEL_PLATFORM,$*) --interpreter $(WHEEL_PYTHONS) --out $(WHEELS)

# In an environment of its own, without the source tree's package.
WHEEL ?= $(wildcard $(WHEELS)/otel_rs-*-cp311-manylinux*_x86_64.whl)
WHEEL_TESTS ?= tests/trace tests/metrics tests/logs tests/propagate
test-wheel: $(RELEASE)/.ready ## run WHEEL_TESTS against WHEEL, one of `make wheels` that this machine can run
	$(RELEASE_BIN)/python release/suite.py --processes $(TEST_PROCESSES) $(WHEEL) $(WHEEL_TESTS)

# Compiles and does not link: neither an interpreter nor Microsoft's libraries are needed.
cross-check: $(RELEASE)/.ready ## check that the Rust code compiles for Windows
	$(need_cargo)$(need_rustup)
	rustup target add x86_64-pc-windows-gnu
	env -u PYO3_PYTHON PYO3_CROSS=1 PYO3_CROSS_PYTHON_VERSION=3.11 PATH="$(abspath $(RELEASE_BIN)):$$PATH" \
		cargo-zigbuild check --locked --workspace --lib --target x86_64-pc-windows-gnu

# SDIST_PROFILE=dev for a quick one: the wheel is thrown away.
SDIST_PROFILE ?= release
sdist: $(RELEASE)/.ready ## build the source distribution into dist/, then a wheel of it with nothing but the registries, and try that
	$(need_cargo)$(need_cc)
	rm -f dist/*.tar.gz
	$(RELEASE_BIN)/maturin sdist --out dist
	$(RELEASE_BIN)/python release/check_sdist.py --profile $(SDIST_PROFILE) dist/*.tar.gz

description: ## make release/description.md, the package's page, of README.md
	$(PYTHON) release/description.py

licenses: ## make THIRD_PARTY_LICENSES.txt of Cargo.lock
	$(need_cargo)
	$(PYTHON) release/licenses.py

need_deny = $(if $(shell cargo deny --version 2>/dev/null),,$(error install cargo-deny: cargo install cargo-deny --locked))
deny: ## check licences, sources and duplicates of the crates; needs cargo-deny
	$(need_cargo)$(need_deny)
	cargo deny --offline --locked check licenses bans sources

need_actionlint = $(if $(call have,actionlint),,$(error install actionlint: \
	go install github.com/rhysd/actionlint/cmd/actionlint@latest))
workflows: $(RELEASE)/.ready ## check .github/workflows; needs actionlint
	$(need_actionlint)
	actionlint
	$(RELEASE_BIN)/zizmor --offline --persona=pedantic --no-progress .github

# TAG=v0.1.0
release-check: $(RELEASE)/.ready ## check that dist/ can be published as the release TAG
	$(RELEASE_BIN)/python release/check_release.py $(TAG) dist/*.tar.gz dist/wheels/*.whl
	$(RELEASE_BIN)/twine check --strict dist/*.tar.gz dist/wheels/*.whl

# --universal: one file for all platforms and Pythons.
release-requirements: $(VENV)/.dev ## pin the packages of release/requirements.in again
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header \
		release/requirements.in --output-file release/requirements.txt

collector: $(COLLECTOR) ## build the OpenTelemetry Collector for the integration tests (needs Go)

# -e: `go mod tidy` also wants the modules that only the components' tests import. With -e it warns, and does not stop,
# when the module proxy does not have one of them.
$(COLLECTOR): $(COLLECTOR_MANIFEST)
	$(need_go)
	mkdir -p $(@D)
	GOFLAGS="$$(go env GOFLAGS) -e" \
		go run go.opentelemetry.io/collector/cmd/builder@v$(COLLECTOR_VERSION) --config $(COLLECTOR_MANIFEST)
	@touch $@

# Uses the oldest supported Python, so that every pin can be installed on all supported versions.
requirements: requirements-dev.txt.new docs/site/requirements.txt.new ## pin the packages of the files *.in again (PYTHON=python3.10)

%.txt.new: %.in
	$(need_python)
	rm -rf .cache/requirements
	$(PYTHON) -m venv .cache/requirements
	.cache/requirements/bin/python -m pip install --quiet --requirement $<
	echo '# Made from $(<F) by `make requirements PYTHON=python3.10`.' > $*.txt
	.cache/requirements/bin/python -m pip freeze >> $*.txt

clean: ## remove everything that was built or installed
	rm -rf $(VENV) .cache target fuzz/target dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f python/otel_rs/_native*.so
