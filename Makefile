# make run · make test · make check · make bench · make ocr FILE=…
# Everything is set up where it is missing: Python 3.11 or newer, make and a C library are enough.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8000
FORMAT ?= text
# Of the time that tests take on two cores, a third is waiting.
JOBS   ?= 3

GOT       := $(VENV)/got
GOT_TESTS := tests/unit/test_got_engine.py tests/integration/test_got_pages.py

WEB         := apps/api/web
WEB_SOURCES := $(WEB)/index.html $(WEB)/vite.config.ts $(shell find $(WEB)/src $(WEB)/public -type f)

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help web web-if-possible run up ocr test got test-got fuzz check format bench bench-peers bench-scale bench-gpu chaos requirements setup clean

help:
	@echo "make run               start everything, read two samples, keep serving (FILE=… reads that file, PORT=…)"
	@echo "make web               build the viewer (make run does it, too)"
	@echo "make ocr FILE=…        read one document and print its text (FORMAT=json: one JSON object a page)"
	@echo "make test              every test, against real Redis, Postgres and S3 servers"
	@echo "make test-got          the tests of GOT-OCR 2.0, which need torch: its build for CPUs is fetched once (make got)"
	@echo "make fuzz              damaged documents at random (ARGS='--cases 20000 --seed 7')"
	@echo "make check             formatting, lint, types, which package may import which, known vulnerabilities"
	@echo "make bench             accuracy and speed through the queue and next to other OCR systems"
	@echo "make bench-peers       the second half of it (ARGS='--presets fast,balanced,accurate --cold')"
	@echo "make bench-scale       leases, tickets, a million waiting documents, fairness, and a day simulated (ARGS='leases')"
	@echo "make bench-gpu         pages a second on a GPU (ARGS='--batches 4,8'; Error 3: there is none)"
	@echo "make chaos             read 2,000 pages while everything around is killed or away; then count every page (ARGS='--seed 2')"
	@echo "make requirements      compile the pinned requirement files (UPGRADE=--upgrade)"

setup: $(VENV)/.installed

# --no-deps: the file is complete, and leaves out two of the three OpenCV builds its packages ask for.
$(VENV)/.installed: requirements.txt requirements/schemas.txt packages/shared/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Quire needs Python 3.11 or newer ($$($(PYTHON) --version 2>&1)). Name one: make run PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV) (about 2 GB, once) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.txt -r requirements/schemas.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e packages/shared
	@touch $@

# The viewer. `make web` builds it or fails; what can do without it asks for `web-if-possible`.
web: setup $(WEB)/dist/index.html

$(WEB)/node_modules/.package-lock.json: $(WEB)/package.json $(WEB)/package-lock.json | setup
	@$(WEB)/npm.sh ci --no-fund --no-audit --loglevel=error
	@touch $@

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(WEB_SOURCES)
	@$(WEB)/npm.sh run --silent build -- --logLevel warn
	@touch $@

web-if-possible: setup
	@$(MAKE) --no-print-directory web >/dev/null 2>&1 || echo "The viewer could not be built and is left out (make web says why)." >&2

run up: setup web-if-possible
	@$(BIN)/quire up --port $(PORT) $(if $(FILE),--file "$(FILE)")

ocr: setup
	@test -n "$(FILE)" || { echo "Name a document: make ocr FILE=path/to/document.pdf" >&2; exit 2; }
	@PYTHONPATH=apps/worker $(BIN)/python -m ocr --format $(FORMAT) "$(FILE)"

test: setup web-if-possible
	@$(BIN)/python -m pytest $(if $(TESTS),$(TESTS),-n $(JOBS) --dist loadfile)

# Beside the environment, not in it: PaddleOCR imports torch wherever it finds it, which takes time and memory.
got: $(GOT)/.installed

$(GOT)/.installed: apps/worker/requirements-got-cpu.txt | setup
	@rm -rf $(GOT)
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --target $(GOT) -r $< || \
	  { echo "torch could not be installed. PIP_EXTRA_INDEX_URL=… make got: PyTorch's page on installation names the address of builds for CPUs. Needs Linux on x86-64 and Python 3.11." >&2; exit 1; }
	@touch $@

test-got: got
	@PYTHONPATH=$(CURDIR)/$(GOT) $(BIN)/python -m pytest $(if $(TESTS),$(TESTS),-n $(JOBS) --dist loadfile $(GOT_TESTS))

fuzz: setup
	@PYTHONPATH=apps/worker:packages/shared $(BIN)/python -m tests.fuzz $(ARGS)

check: setup web-if-possible
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PYTHONPATH=apps/worker:apps/api:packages/shared $(BIN)/lint-imports
	@if [ -d $(WEB)/node_modules ]; then $(WEB)/npm.sh run --silent types; else echo "The types of the viewer were not checked: npm ci failed."; fi
	@$(BIN)/python requirements/audit.py

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup
	@PYTHONPATH=apps/worker $(BIN)/python -m benchmarks
	@PYTHONPATH=apps/worker $(BIN)/python -m benchmarks.uploads
	@PYTHONPATH=apps/worker $(BIN)/python -m benchmarks.scale
	@PYTHONPATH=apps/worker $(BIN)/python -m benchmarks.peers

bench-peers: setup
	@PYTHONPATH=apps/worker $(BIN)/python -m benchmarks.peers $(ARGS)

bench-scale: setup
	@PYTHONPATH=apps/worker $(BIN)/python -m benchmarks.scale $(ARGS)

bench-gpu: setup
	@PYTHONPATH=apps/worker $(BIN)/python -m benchmarks.gpu $(ARGS)

chaos: setup
	@PYTHONPATH=apps/worker $(BIN)/python -m tests.chaos $(ARGS)

requirements: setup
	@UPGRADE="$(UPGRADE)" requirements/compile.sh

clean:
	rm -rf $(VENV) .quire $(WEB)/node_modules $(WEB)/dist
