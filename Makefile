# Every target works on a fresh machine with Python >= 3.10 and make: what it needs is installed into .venv.

PYTHON ?= python3
VENV ?= .venv
DIR ?=
WEIGHTS ?=
PRESETS ?= guided-correspondence guided-correspondence-high correspondence+field
OUT ?= build/contact-sheet.png
SHEETS ?= build/blind
BUDGET ?= quick
PEER ?=
FUZZ ?=
EXEMPLARS ?=
FIGURES ?= figures
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
NATIVE = $(wildcard native/*.cpp native/*.hpp native/CMakeLists.txt)
SOURCES = texsynth tests samples benchmarks docs/reference.py

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs docs-reference docs-pictures bench bench-estimates bench-methods bench-peers bench-repair bench-studio fuzz figures samples contact-sheet blind clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

# One stamp per install. They depend on each other, so that make -j never runs pip twice at once.
$(VENV)/.created:
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml $(NATIVE) | $(VENV)/.created
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@

$(VENV)/.installed-docs: pyproject.toml $(VENV)/.installed-dev
	$(PIP) install --quiet --editable '.[docs]'
	@touch $@

demo: $(VENV)/.installed ## synthesize samples/brick.png to 512x512 and say where the picture is
	@mkdir -p out
	$(BIN)/texsynth synthesize samples/brick.png -o out/demo.png --force
	@echo "The picture: $(CURDIR)/out/demo.png"

test: $(VENV)/.installed-dev ## the whole test suite
	@$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev ## ruff, the formatter's opinion, and mypy
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## rewrite the sources as the formatter wants them
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# The site shows docs/reference/ as it is committed; a test compares that with the code.
docs: $(VENV)/.installed-docs ## build the site of docs/ into build/site, strictly and without the network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@! grep -rlE '(src|href)="https?://[^"]+\.(css|js|woff2?)"' build/site --include='*.html' # pages that load from elsewhere
	@echo "The site: $(CURDIR)/build/site/index.html"

docs-reference: $(VENV)/.installed ## write docs/reference/ again, after a change of options, settings or docstrings
	$(BIN)/python docs/reference.py

docs-pictures: $(VENV)/.installed-dev ## take the pictures of docs/guide/studio.md again, in the Chromium that is here
	PYTHONPATH=. $(BIN)/python tests/studio_pictures.py

bench: $(VENV)/.installed ## time and memory of whole commands (minutes; BENCH=--quick for a short one)
	$(BIN)/python benchmarks/field.py $(BENCH)

bench-estimates: $(VENV)/.installed ## memory and time that runs are said to take, beside what they take (half an hour; BENCH="--up-to 512")
	$(BIN)/python benchmarks/estimates.py $(BENCH)

bench-methods: $(VENV)/.installed ## DIR=folder of exemplars, WEIGHTS=vgg19 file [PRESETS="a b"]: presets side by side
	@test -n "$(DIR)" -a -n "$(WEIGHTS)" || { echo "usage: make bench-methods DIR=exemplars WEIGHTS=vgg19.safetensors" >&2; exit 2; }
	$(BIN)/python benchmarks/methods.py "$(DIR)"/*.* --weights "$(WEIGHTS)" --presets $(PRESETS)

bench-peers: $(VENV)/.installed ## PEER="program {exemplar} {width} {height} {output}" [BENCH="--sizes 512 1024"]: texsynth beside another program
	@test -n '$(PEER)' || { echo "usage: make bench-peers PEER='program {exemplar} ... {output}' (benchmarks/README.md has one)" >&2; exit 2; }
	$(BIN)/python benchmarks/peers.py '$(PEER)' $(BENCH)

bench-repair: $(VENV)/.installed ## [DIR=folder with stationary/]: repairs timed, and what was held out (minutes)
	$(BIN)/python benchmarks/repair.py $(if $(DIR),"$(DIR)")

bench-studio: $(VENV)/.installed ## [BENCH="--strokes 200"]: how soon the studio shows what was painted, and whether it grows (minutes)
	$(BIN)/python benchmarks/studio.py $(BENCH)

fuzz: $(VENV)/.installed ## [FUZZ="--tries N --seed S --jobs J --only KIND"]: 10,000 hostile inputs (an hour); findings go to findings/
	$(BIN)/python benchmarks/fuzz.py $(FUZZ)

# `make figures-grid` draws one of them.
FIGURE_WORDS = --budget $(BUDGET) -o "$(FIGURES)" $(if $(EXEMPLARS),--exemplars "$(EXEMPLARS)") \
	$(if $(WEIGHTS),--weights "$(WEIGHTS)")

figures: $(VENV)/.installed ## [BUDGET=quick|paper|smallest] [EXEMPLARS=folder] [WEIGHTS=vgg19 file]: the papers' figures; figures-NAME for one
	$(BIN)/python benchmarks/figures/everything.py $(FIGURE_WORDS)

figures-%: $(VENV)/.installed
	$(BIN)/python benchmarks/figures/$*.py $(FIGURE_WORDS)

samples: $(VENV)/.installed-dev ## make samples/ again from samples/generate.py
	$(BIN)/python samples/generate.py

contact-sheet: $(VENV)/.installed ## DIR=folder [OUT=sheet.png] [SHEET=options]: exemplars beside their results
	@test -n "$(DIR)" || { echo "usage: make contact-sheet DIR=folder-of-exemplars [OUT=sheet.png]" >&2; exit 2; }
	@mkdir -p "$(dir $(OUT))"
	$(BIN)/python benchmarks/contact_sheet.py "$(DIR)" -o "$(OUT)" $(SHEET)

# Of two presets, of two folders of results, or with VERDICTS the tally.
blind: $(VENV)/.installed ## DIR=exemplars PRESETS="a b", or A=folder B=folder [DIR=], then VERDICTS=csv [KEY= SHEETS=folder BLIND=options]: judged blind
	@test -n "$(VERDICTS)$(A)$(B)$(DIR)" || { echo "usage: make blind DIR=exemplars PRESETS='a b' | A=old B=new [DIR=exemplars] | VERDICTS=csv [KEY=file]" >&2; exit 2; }
	$(BIN)/python benchmarks/blind.py $(if $(KEY),--key "$(KEY)") $(BLIND) $(if $(VERDICTS),--verdicts "$(VERDICTS)",-o "$(SHEETS)" \
		$(if $(DIR),--exemplars "$(DIR)") $(if $(A)$(B),$(if $(A),--a "$(A)") $(if $(B),--b "$(B)"),--presets $(PRESETS)))

clean: ## remove what make made, .venv included
	rm -rf $(VENV) build out dist figures .pytest_cache .mypy_cache .ruff_cache
