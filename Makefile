# Two commands: `make course` runs the course, `make test` proves that it works. `make` alone lists them all.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
PROFILE ?= quick
NOTEBOOK ?=
TABLE ?=
ARGS ?=
export TF_CPP_MIN_LOG_LEVEL := 3
# Two processes with a thread each get more done than one with two.
TWO := OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: help course solutions sweep site app test test-browser faults bench bench-peers bench-parts bench-steps bench-feed bench-course test-colab address lock format clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s%s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

course: $(INSTALLED)  ## execute all notebooks, or NOTEBOOK=02, and make the website: build/site/
	$(BIN)/python -m course run --notebook "$(NOTEBOOK)" --profile $(PROFILE) $(ARGS)

# `make test` checks them as they are.
solutions: $(INSTALLED)  ## execute the solutions to the exercises
	$(BIN)/python -m course run --solutions --notebook "$(NOTEBOOK)" $(ARGS)

# One notebook for each row of a CSV file of its parameters: make sweep NOTEBOOK=02 TABLE=rows.csv
sweep: $(INSTALLED)  ## one notebook for each row of a table: NOTEBOOK=02 TABLE=rows.csv
	$(BIN)/python -m course sweep "$(NOTEBOOK)" "$(TABLE)" $(ARGS)

# The notebooks with the outputs they have, as a website in build/site/.
site: $(INSTALLED)  ## the notebooks with the outputs they have, as a website
	$(BIN)/python -m course site

app: $(INSTALLED)  ## serve the page: what changed between two pictures of yours
	$(BIN)/python -m whatchanged app --model-path build/05_t_blip2/model \
		--defect-model build/02_resnet18_defects/model.safetensors $(ARGS)

# Fast tests first, then those that start processes, the notebooks last: each is executed once, without a network,
# against its committed outputs. They and the tests that execute one share two processes, so the longest begin. The last
# asks the models that those of TRAINED leave, so it comes after these, where all of them were executed.
NOTEBOOKS ?= 05 03 04 02 01
TRAINED := 02 03 04 05
LAST = $(if $(filter-out $(NOTEBOOKS),$(TRAINED)),,notebooks/06_*.ipynb)
SLOW ?= slow
EXECUTE := PYTHONPATH=tests:tests/notebooks:tests/offline $(TWO) -m "$(SLOW)" --dist loadscope --no-loadscope-reorder \
	-p nbval_figures --nbval --nbval-current-env --nbval-cell-timeout=2400 --nbval-sanitize-with tests/nbval_sanitize.cfg
test: $(INSTALLED)  ## lint, types, unit tests, and every notebook against its outputs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(TWO) -m "not slow and not process"
	$(TWO) -m "process and not slow"
	$(EXECUTE) $(foreach number,$(NOTEBOOKS),notebooks/$(number)_*.ipynb) tests
	$(if $(LAST),$(EXECUTE) $(LAST))

# The app and the site in a real browser: it needs Chromium (on Debian: apt-get install chromium). The app alone first, for
# some of it must answer in time.
test-browser: $(INSTALLED)  ## the page and the website in Chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/browser/test_app*.py
	$(TWO) tests/browser --ignore-glob="*/test_app*.py"

# The notebooks as Colab opens them, and in the lowest versions of all: two environments in build/colab, 8 GB each, made
# once. COLAB_PYTHON=/path/to/python3.13; one part of it: ARGS="-k 'setup and not lowest'".
COLAB_PYTHON ?= python3.13
LOWEST_PYTHON ?= $(PYTHON)
test-colab: $(INSTALLED)  ## the notebooks as in Colab, and in the lowest versions; needs python3.13, 20 GB
	COLAB_PYTHON="$(COLAB_PYTHON)" LOWEST_PYTHON="$(LOWEST_PYTHON)" $(BIN)/python -m pytest tests/colab -m "" $(ARGS)

# Kills at random moments, full disks and read-only ones; it takes long, and needs root for the disks.
faults: $(INSTALLED)  ## kills at random moments, full disks, lost machines; needs root
	PYTHONPATH=tests $(BIN)/python -m pytest tests/faults

bench: $(INSTALLED)  ## speed, as ratios in one run
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest benchmarks -o addopts="" -p no:cacheprovider -s \
		--benchmark-columns=min,median --benchmark-group-by=group

# Beside other tools, which are installed into build/peers only (it needs npm, and takes ImageMagick if it is there).
bench-peers: $(INSTALLED)  ## speed beside other tools; needs npm
	$(BIN)/python -m pip install --quiet --upgrade --no-deps --target build/peers/python -r benchmarks/requirements.txt
	cp benchmarks/package.json build/peers/ && npm install --silent --prefix build/peers
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/peers.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/wishes.py

# Every notebook: seconds, memory, and whether it puts out again what is committed. On one core: taskset -c 0 make ...
bench-course: $(INSTALLED)  ## seconds and memory of each notebook
	$(BIN)/python benchmarks/whole_course.py $(NOTEBOOK)

# DBSCAN beside scikit-learn, scenes a second, and what it takes to start.
bench-parts: $(INSTALLED)  ## DBSCAN, scenes a second, what it takes to start
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/parts.py

# What a training step costs, beside the plain loop of PyTorch.
bench-steps: $(INSTALLED)  ## what a training step costs
	$(BIN)/python benchmarks/training_steps.py

bench-feed: $(INSTALLED)  ## how busy the feed keeps the CPU, or a GPU
	$(BIN)/python benchmarks/training_feed.py

# After a change of requirements.txt or constraints.txt: the same versions with the hashes of their files, and the
# licences of all. It needs uv and pip-licenses.
lock: $(INSTALLED)  ## requirements.lock and docs/licences.md; needs uv and pip-licenses
	uv pip compile requirements.txt -c constraints.txt --generate-hashes --no-header --no-annotate --quiet \
		--python-version 3.11.7 --python-platform x86_64-manylinux_2_28 --output-file requirements.lock
	sed -i '/^|/d' docs/licences.md && pip-licenses --python $(BIN)/python --with-system --format markdown --order license >> docs/licences.md

# A Colab badge, a notebook that finds the course by itself: make address REPOSITORY=https://github.com/owner/name
address: $(INSTALLED)  ## where your copy is on GitHub, for Colab: REPOSITORY=...; empty takes it out
	$(BIN)/python -m course address "$(REPOSITORY)"

format: $(INSTALLED)  ## format modules and notebooks
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The stamp is newer than what it was installed from, so that a second run installs nothing.
$(INSTALLED): requirements.txt constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	touch $@

clean:  ## delete build/ and .venv/
	rm -rf build .venv
