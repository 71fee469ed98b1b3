# make quickstart   from nothing to a trained model and its first transcript, in about ten minutes
# make test         checks and tests; what `.ci/run` calls
# make check        lint, formatting, types, the layers of the house
# make bench        measures the speed of everything, renews the tables of BENCHMARKS.md
# make results      writes docs/results.md anew from the runs kept in docs/runs
# make gpu          what only a GPU can show: its tests, then its speed, into gpu.json
# make prove        the long proofs: whole trainings, installations in clean environments
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES := $(shell $(PYTHON) -c 'import os; print(os.cpu_count())')
# Tests wait for servers, browsers and processes of their own: one worker more than there are cores.
WORKERS := $(shell expr $(CORES) + 1)
DEMO := data/demo
RUN := runs/quickstart
export PYTHONUTF8 := 1
# Compiled tests are kept: to compile them takes a third of the time until the first of them runs.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: quickstart test check bench results gpu prove clean
.DELETE_ON_ERROR:

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[demo,train]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet -c constraints.txt -e '.[demo,train,dev]'
	touch $@

quickstart: $(VENV)/installed
	@echo '== A small Korean corpus of synthesised speech =='
	$(BIN)/sorigeul prepare demo $(DEMO)
	@echo '== Training; every line is an epoch =='
	$(BIN)/sorigeul train $(DEMO) $(RUN) --preset quickstart
	@echo '== Voices never heard in training (synthesised speech: not a figure for real recordings) =='
	$(BIN)/sorigeul evaluate $(RUN) $(DEMO) --worst 2 --json $(RUN)/test.json
	@echo '== One recording, and where the model listened for each character =='
	@line=$$(sed -n 1p $(DEMO)/test.jsonl); \
	file=$$(printf '%s' "$$line" | sed 's/.*"source": "\([^"]*\)".*/\1/'); \
	printf 'said:  %s\n' "$$(printf '%s' "$$line" | sed 's/.*"text": "\([^"]*\)".*/\1/')"; \
	printf 'heard: '; $(BIN)/sorigeul transcribe $(RUN) "$$file" --attention $(RUN)/attention.png
	@echo 'The attention plot: $(RUN)/attention.png'

test: check
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-dev
	$(BIN)/sorigeul bench --report BENCHMARKS.md

results: $(VENV)/installed
	$(BIN)/python benchmarks/results.py write

gpu: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -m gpu
	$(BIN)/sorigeul bench training steps search --json | tee gpu.json

prove: $(VENV)/installed-dev
	OMP_NUM_THREADS=$(CORES) $(BIN)/python -m pytest -q -m prove --timeout 3600

clean:
	rm -rf $(VENV) build *.egg-info
