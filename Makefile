# Every target sets up what it needs by itself: Python 3.11+ with venv and pip, and make, are enough.
PYTHON ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
INSTALL := sh scripts/install.sh $(BIN)/python

# With `make … PYTHON=python3.12`, a .venv of another Python is made anew.
ifneq ($(origin PYTHON),file)
$(if $(shell command -v $(PYTHON)),,$(error there is no $(PYTHON): say which Python to take, as in: make run PYTHON=python3.12))
$(shell sh scripts/venv.sh --retire $(PYTHON) $(VENV))
endif

# Tests start hundreds of processes: without bytecode that is kept, each would compile the whole package.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run help test tests test-lowest test-pythons announce lint types imports unit format reference pictures dashboard docs lock \
	prompts speech bench bench-quick bench-scenarios bench-inbound bench-recognition bench-background bench-barge-in fuzz soak mutants audit \
	stock-debian clean

run: $(VENV)/.runtime  ## serve the example configuration with the shipped prompts: ARGS='--port 9090 --admin-port 9091'
	$(BIN)/mediaserver serve --config config.example.toml $(ARGS)

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r target text; do \
		printf '%-16s %s\n' "$$target" "$$text"; done

test: announce lint  ## everything that the project is held to; ARGS=-x: arguments for pytest
	$(MAKE) --jobs 2 types tests

# Four processes that start together would each compile all tests, and all that they import.
tests: imports
	@$(BIN)/python -m pytest --collect-only --quiet --quiet >/dev/null 2>&1 || true
	$(MAKE) unit

announce:
ifndef ARGS
	@echo "This takes about 12 minutes on two cores, and at first one more to install what it needs."
endif

lint: $(VENV)/.dev  ## style and format, by ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## types, by mypy
	$(BIN)/mypy

imports: $(VENV)/.dev  ## which package may import which, by import-linter
	$(BIN)/lint-imports

# Many tests wait more than they work. Of these, which measure time or fill the machine, three at a time do no harm; of
# the others four. Those that take longest come first. Coverage is measured of those others alone, since it adds
# instructions to what it looks at.
TIMED := $(addprefix tests/,fuzz test_soak.py benchmarks faults playout/pacing/test_hot_path.py $(addprefix server/test_, \
	end_to_end.py hostile_peers.py many_calls.py redeploy.py slow_peers.py))

unit: $(VENV)/.dev  ## the tests alone; ARGS=tests/wire: some of them
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder -p tests.line_coverage \
		$(addprefix --ignore=,$(TIMED)) tests/use_cases tests/client tests/bridge tests
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(TIMED)
endif

format: $(VENV)/.dev  ## mend style and format, by ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

prompts: $(VENV)/.dev $(VENV)/.speech  ## make the shipped prompts again
	$(BIN)/python scripts/make_prompts.py

speech: $(VENV)/.speech  ## install what speaks and recognises without a network

reference: $(VENV)/.runtime  ## make docs/reference again, from the settings, events, metrics, commands and refusals
	$(BIN)/python -m scripts.reference

pictures: $(VENV)/.dev  ## draw the pictures of the docs again: of calls under virtual time, diagrams, the benchmarks' plots, the console
	$(BIN)/python -m scripts.pictures
	$(BIN)/python -m benchmarks.pacing.plot
	$(BIN)/python -m benchmarks.inbound.plot
	$(BIN)/python -m scripts.pictures.console

dashboard: $(VENV)/.dev  ## draw the picture of the dashboard again, from a run under load: 7 minutes, and prometheus in PATH
	$(BIN)/python -m scripts.pictures.dashboard $(ARGS)

docs: $(VENV)/.docs  ## make the docs site, in site/; a link that leads nowhere is an error
	$(BIN)/python -m sphinx -W --keep-going --quiet -c docs -d $(VENV)/doctrees . site
	@echo "site/index.html"

lock: $(VENV)/lock/bin/uv  ## resolve pyproject.toml again into requirements/*.txt, with hashes
	sh scripts/lock.sh $<

# An environment of its own for each: whatever is found there has nothing to do with the locked versions in .venv.
test-lowest: $(VENV)/lock/bin/uv  ## the tests with the oldest dependencies that pyproject.toml allows
	sh scripts/venv.sh $(PYTHON) $(VENV)-lowest
	$< pip compile --quiet --resolution lowest-direct --python $(VENV)-lowest/bin/python --group dev pyproject.toml \
		--no-header --no-annotate --output-file $(VENV)-lowest/requirements.txt
	$< pip compile --quiet --resolution lowest-direct --python $(VENV)-lowest/bin/python --group pipecat --no-deps \
		--no-header --no-annotate --output-file $(VENV)-lowest/pipecat.txt
	$(VENV)-lowest/bin/python -m pip install --quiet -r $(VENV)-lowest/requirements.txt
	$(VENV)-lowest/bin/python -m pip install --quiet --no-deps -r $(VENV)-lowest/pipecat.txt
	$(VENV)-lowest/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(VENV)-lowest/.made $(VENV)-lowest/.runtime $(VENV)-lowest/.dev
	$(MAKE) unit VENV=$(VENV)-lowest

test-pythons:  ## the tests with several: PYTHONS='python3.11 python3.12 python3.13 python3.14'
	set -e; for python in $(or $(PYTHONS),$(PYTHON)); do \
		$(MAKE) unit PYTHON=$$python VENV=$(VENV)-$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); done

bench: $(VENV)/.bench  ## what pacing costs, beside servers in Python and Go, into benchmarks/README.md: 15 minutes
	$(BIN)/python -m benchmarks.pacing --write $(ARGS)

bench-quick: $(VENV)/.bench  ## the same in two minutes, only printed
	$(BIN)/python -m benchmarks.pacing --quick $(ARGS)

bench-scenarios: $(VENV)/.bench  ## what crowds, reloads, starts and time do to it: ARGS='idle crowd hangups detectors hold-up console replace speech start drift memory'
	$(BIN)/python -m benchmarks.scenarios $(ARGS)

bench-inbound: $(VENV)/.bench  ## what a frame costs that is received as well, beside the same servers: 25 minutes; ARGS=--write writes it down
	$(BIN)/python -m benchmarks.inbound $(ARGS)

bench-recognition: $(VENV)/.bench  ## how many words PocketSphinx gets wrong on a telephone; ARGS=--write writes it down
	$(BIN)/python -m benchmarks.recognition $(ARGS)

bench-background: $(VENV)/.bench  ## what a frame costs that is mixed with a background; ARGS=--write writes it down
	$(BIN)/python -m benchmarks.background $(ARGS)

bench-barge-in: $(VENV)/.bench  ## what stops a prompt that speech may stop, and how soon; ARGS=--write writes it down
	$(BIN)/python -m benchmarks.barge_in $(ARGS)

fuzz: $(VENV)/.dev  ## hostile input of every kind, seed after seed, for so long: DURATION=30s|10m|1h
	$(BIN)/python -m tests.fuzz --duration $(or $(DURATION),10m)

soak: $(VENV)/.bench  ## calls come and go, and all that may go wrong, for so long: DURATION=10m|1h
	$(BIN)/python -m benchmarks.soak --duration $(or $(DURATION),1h) $(ARGS)

mutants: $(VENV)/.mutants  ## plant mistakes in the core, one by one, and tell which no test notices: ARGS='playout/pacing/pacer wire'
	$(BIN)/python -m scripts.mutants $(ARGS)

audit:  ## known vulnerabilities of what the container runs, by its locked versions
	sh scripts/venv.sh $(PYTHON) $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	$(VENV)/audit/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/runtime.txt

stock-debian:  ## README and tests on a Debian 12 as it is installed, as root: ARGS=none or some of the tests
	bash scripts/stock_debian.sh $(ARGS)

clean:  ## remove all that was made here
	rm -rf $(VENV) $(VENV)-* dist site soak-report .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.made:
	@sh scripts/venv.sh $(PYTHON) $(VENV)
	@touch $@

$(VENV)/lock/bin/uv: | $(VENV)/.made
	sh scripts/venv.sh $(PYTHON) $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.runtime: pyproject.toml requirements/build.txt requirements/runtime.txt | $(VENV)/.made
	@echo "Installing into $(VENV), which takes half a minute, or longer where the network is slow."
	$(INSTALL) requirements/build.txt requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt requirements/pipecat.txt
	$(INSTALL) requirements/dev.txt requirements/pipecat.txt
	touch $@

$(VENV)/.bench: $(VENV)/.runtime requirements/bench.txt requirements/speech.txt
	$(INSTALL) requirements/bench.txt requirements/speech.txt
	touch $@

$(VENV)/.docs: $(VENV)/.runtime requirements/docs.txt
	$(INSTALL) requirements/docs.txt
	touch $@

$(VENV)/.mutants: $(VENV)/.dev requirements/mutants.txt
	$(INSTALL) requirements/mutants.txt
	touch $@

$(VENV)/.speech: $(VENV)/.runtime requirements/speech.txt
	$(INSTALL) requirements/speech.txt
	touch $@
