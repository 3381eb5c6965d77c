# Every target sets up what it needs by itself: Python 3.11+, pip and make are enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test lint types imports unit format lock prompts speech bench bench-quick bench-scenarios bench-inbound fuzz soak mutants audit clean

run: $(VENV)/.runtime  ## serve the example configuration with the shipped prompts
	$(BIN)/mediaserver serve --config config.example.toml

test: lint types imports unit  ## everything the project is held to

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

# These wait more than they work, so two at a time do no harm; others measure time, or want the machine for themselves.
SIDE_BY_SIDE := $(addprefix tests/,audio bridge client deploy handlers playout session speech streams tutorial twin \
	use_cases wire $(addprefix server/test_,access.py audiosocket.py audiosocket_ports.py chan_websocket.py \
	config_reload.py life.py refusals.py tls.py) $(addprefix test_,cli.py config.py container.py docs.py store.py webhooks.py))

unit: $(VENV)/.dev
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest $(addprefix --ignore=,$(SIDE_BY_SIDE))
endif

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

prompts: $(VENV)/.dev $(VENV)/.speech  ## make the shipped prompts again
	$(BIN)/python scripts/make_prompts.py

speech: $(VENV)/.speech  ## install what speaks and recognises without a network

lock:  ## resolve pyproject.toml again into requirements/*.txt, with hashes
	$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/python -m pip install --quiet uv
	sh scripts/lock.sh $(VENV)/lock/bin/uv

bench: $(VENV)/.bench  ## what pacing costs, beside a bare loop and a naive server, into benchmarks/README.md: 6 minutes
	$(BIN)/python -m benchmarks.pacing --write $(ARGS)

bench-quick: $(VENV)/.bench  ## the same in a minute, only printed
	$(BIN)/python -m benchmarks.pacing --quick $(ARGS)

bench-scenarios: $(VENV)/.bench  ## what crowds, reloads, starts and time do to it: ARGS='idle crowd replace speech start drift memory'
	$(BIN)/python -m benchmarks.scenarios $(ARGS)

bench-inbound: $(VENV)/.bench  ## what a received frame costs, beside a bare aiohttp reader
	$(BIN)/python -m benchmarks.inbound $(ARGS)

fuzz: $(VENV)/.dev  ## hostile input of every kind, seed after seed, for so long: DURATION=30s|10m|1h
	$(BIN)/python -m tests.fuzz --duration $(or $(DURATION),10m)

soak: $(VENV)/.bench  ## calls come and go, and all that may go wrong, for so long: DURATION=10m|1h
	$(BIN)/python -m benchmarks.soak --duration $(or $(DURATION),1h) $(ARGS)

mutants: $(VENV)/.mutants  ## plant mistakes in the core, one by one, and tell which no test notices: ARGS='playout/pacer wire'
	$(BIN)/python scripts/mutants.py $(ARGS)

audit:  ## known vulnerabilities of what the container runs, by its locked versions
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	$(VENV)/audit/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/runtime.txt

clean:
	rm -rf $(VENV) dist mutants soak-report .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml requirements/build.txt requirements/runtime.txt | $(VENV)/bin/python
	$(PIP) --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	$(PIP) --require-hashes -r requirements/dev.txt
	touch $@

$(VENV)/.bench: $(VENV)/.runtime requirements/bench.txt requirements/speech.txt
	$(PIP) --require-hashes -r requirements/bench.txt -r requirements/speech.txt
	touch $@

$(VENV)/.mutants: $(VENV)/.dev requirements/mutants.txt
	$(PIP) --require-hashes -r requirements/mutants.txt
	touch $@

$(VENV)/.speech: $(VENV)/.runtime requirements/speech.txt
	$(PIP) --require-hashes -r requirements/speech.txt
	touch $@
