# `make help` lists what can be made. All of it starts from nothing but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
REQUIREMENTS := requirements.txt
PORT ?= 8000
CHAPTERS ?= book
# How many chapters, or tests, run side by side.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
export JOBS
# Programs are called as modules: the scripts in bin name the place where an environment was made.
RUN := $(VENV)/bin/python -m
JUPYTER_BOOK := $(VENV)/bin/python -c 'import sys; from jupyter_book.cli.main import main; sys.exit(main())'

# Each of these processes has its share of the cores: more threads than cores cost a tenth of the seconds of CPU.
html notebooks unit checks test: export NPROC := $(shell cores=$$(getconf _NPROCESSORS_ONLN); (echo $$((cores > $(JOBS) ? cores / $(JOBS) : 1))) 2>/dev/null || echo 1)
html notebooks unit checks test: export OPENBLAS_NUM_THREADS := $(NPROC)

# Every program is compiled once, and kept for every process.
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.jax_cache
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES := -1
# Else what a program is known by holds the folder's path, in JAX before 0.12, and another folder has to compile it anew.
export JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES := none
# What its user set for other programs changes neither the book nor its tests.
unexport MPLBACKEND PYTHONHOME PYTHONOPTIMIZE PYTHONPATH PYTHONSTARTUP PYTHONWARNINGS
html notebooks: export IPYTHONDIR := $(CURDIR)/.ipython
export no_proxy := 127.0.0.1,localhost,$(no_proxy)
# What is built and checked here needs no accelerator. Set JAX_PLATFORMS to use yours.
export JAX_PLATFORMS ?= cpu

TESTED := tests gatedlib book/gatedlib_book --doctest-modules --ignore tests/book/browser --ignore tests/types

# Claims, chapters and pages ask for the same results; within one build, or one run of the tests, each is computed once.
book test notebooks: export GATEDLIB_RESULTS := $(CURDIR)/.results

.PHONY: help environment book html pdf notebooks test checks browser quick unit lint claims lab serve matrix package lock benchmarks clean

# What `make` alone makes.
help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' Makefile

# The one that is there is kept if it was made by this Python, in this folder, from these requirements.
environment: ## .venv, with everything that requirements.txt names
	@$(PYTHON) .ci/environment.py $(VENV) $(REQUIREMENTS)
	@$(VENV)/bin/python .ci/compiled.py "$$JAX_COMPILATION_CACHE_DIR"

book: environment ## execute every chapter and build _build/html (6 to 17 minutes on two cores)
	rm -rf .results
	$(MAKE) --no-print-directory html

html: environment
	@echo "Executing every chapter and building the book (6 to 17 minutes on two cores) …"
	rm -rf _build
	TQDM_DISABLE=1 $(JUPYTER_BOOK) build . --warningiserror --keep-going
	@echo "Done. Open _build/html/index.html in a browser, or run: make serve"

pdf: environment ## the built book as one PDF, _build/gatedlib.pdf (needs Chromium; two minutes)
	@test -d _build/html || $(MAKE) --no-print-directory book
	$(VENV)/bin/python .ci/pdf.py

notebooks: environment ## run every cell of every chapter under nbval, twice
	$(RUN) pytest -p tests.twice -n $(JOBS) --dist loadscope --nbval-lax --nbval-current-env $(CHAPTERS) -W default

# Everything that answers soon: what to run while writing.
quick: environment ## lint, types, and every test that answers soon (two to five minutes)
	$(MAKE) --no-print-directory --jobs 2 lint unit

unit: environment
	$(RUN) pytest -n $(JOBS) --dist loadscope -m "not slow" $(TESTED)

lint: environment ## style, types, spelling
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) codespell_lib

test: environment ## every check, the book and its pages in a browser (17 to 45 minutes)
	rm -rf .results
	@echo "1 of 5: style, types and spelling"
	$(MAKE) --no-print-directory lint
	@echo "2 of 5: tests of the library, of all claims, and where each must fail: half of the time"
	$(MAKE) --no-print-directory checks
	@echo "3 of 5: the book"
	$(MAKE) --no-print-directory html
	@echo "4 of 5: every cell of every chapter, twice"
	$(MAKE) --no-print-directory notebooks
	@echo "5 of 5: the pages in a browser"
	$(MAKE) --no-print-directory browser

# All tests but those that look at the built book.
checks: environment
	$(RUN) pytest -n $(JOBS) --dist loadscope $(TESTED)
	$(RUN) pytest tests/types --jaxtyping-packages=gatedlib,beartype.beartype

browser: environment
	$(RUN) pytest -n $(JOBS) tests/book/browser

# Claims that fail are an answer, not an error of make.
claims: environment ## measure the claims of the paper; FIGURE=2 for one figure, SEEDS=1000 for fresh networks
	@$(RUN) gatedlib_book claims --exit-zero $(if $(FIGURE),--figure $(FIGURE)) $(if $(SEEDS),--first-seed $(SEEDS))

lab: environment ## open the chapters in JupyterLab
	@case "$$PWD" in *[][*?]*) \
		echo "In a folder whose name holds [, ], * or ? JupyterLab finds no extensions: explorers will not move. Rename it.";; esac
	$(RUN) jupyterlab --notebook-dir book --MappingKernelManager.transport_encryption=auto $(if $(filter 0,$(shell id -u)),--allow-root)

serve: environment ## show the built book at localhost; PORT=8001 for another port
	@$(VENV)/bin/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT)))' 2>/dev/null || \
		{ echo "Port $(PORT) cannot be used here. Choose another one: make serve PORT=8001"; exit 1; }
	@test -d _build/html || $(MAKE) --no-print-directory book
	@echo "The book is at http://localhost:$(PORT) (stop with Ctrl-C)"
	$(RUN) http.server --directory _build/html --bind 127.0.0.1 $(PORT)

# Every Python and both ends of the versions: more than one machine has is said to be skipped.
matrix: environment ## the quick tests on every Python there is, with lowest and newest versions
	$(PYTHON) .ci/matrix.py

package: environment ## build the wheel, and try it in an empty environment
	$(VENV)/bin/python .ci/package.py

benchmarks: environment ## measure speed and memory
	$(RUN) benchmarks

# For every Python that pyproject.toml admits; Binder installs what a reader needs, and no tools. A release candidate,
# such as 3.12.0rc1, is neither below nor above 3.12 by its full version; by its version it is 3.12.
EXPORT := uv export --quiet --frozen --all-extras --no-hashes --no-emit-project --no-annotate --no-header
lock: ## pin the newest versions anew (needs uv)
	uv lock --upgrade
	$(EXPORT) -o requirements.txt
	$(EXPORT) --no-default-groups -o binder/requirements.txt
	sed -i.bak "s/python_full_version \([<>=]*\) '\(3\.[0-9]*\)'/python_version \1 '\2'/" requirements.txt binder/requirements.txt
	rm requirements.txt.bak binder/requirements.txt.bak

clean: ## remove what was built
	rm -rf _build .venv* .node .ipython .jax_cache .results screenshots .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build dist
