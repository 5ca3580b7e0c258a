# `make book` builds the book, `make test` runs every check. Both start from nothing but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
PORT ?= 8000
CHAPTERS ?= book
# How many chapters, or tests, run side by side.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
export JOBS
# Programs are called as modules: the scripts in bin name the place where an environment was made.
RUN := $(VENV)/bin/python -m
JUPYTER_BOOK := $(VENV)/bin/python -c 'import sys; from jupyter_book.cli.main import main; sys.exit(main())'

# Each of these processes has its share of the cores: more threads than cores cost a tenth of the seconds of CPU.
html notebooks unit test: export NPROC := $(shell cores=$$(getconf _NPROCESSORS_ONLN); (echo $$((cores > $(JOBS) ? cores / $(JOBS) : 1))) 2>/dev/null || echo 1)
html notebooks unit test: export OPENBLAS_NUM_THREADS := $(NPROC)

# Every program is compiled once, and kept for every process.
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.jax_cache
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES := -1
# What its user set for other programs changes neither the book nor its tests.
unexport MPLBACKEND PYTHONHOME PYTHONOPTIMIZE PYTHONPATH PYTHONSTARTUP PYTHONWARNINGS
html notebooks: export IPYTHONDIR := $(CURDIR)/.ipython
export no_proxy := 127.0.0.1,localhost,$(no_proxy)
# What is built and checked here needs no accelerator. Set JAX_PLATFORMS to use yours.
export JAX_PLATFORMS ?= cpu

TESTED := tests gatedlib --doctest-modules --ignore tests/book/browser --ignore tests/types

# Claims, chapters and pages ask for the same results; within one build, or one run of the tests, each is computed once.
book test: export GATEDLIB_RESULTS := $(CURDIR)/.results

.PHONY: environment book html notebooks test quick unit lint claims lab serve clean lock benchmarks

# The one that is there is kept if it was made by this Python, in this folder, from these requirements.
environment:
	@$(PYTHON) .ci/environment.py $(VENV)

book: environment
	rm -rf .results
	$(MAKE) --no-print-directory html

html: environment
	@echo "Executing every chapter and building the book (some five minutes on two cores) …"
	rm -rf _build
	TQDM_DISABLE=1 $(JUPYTER_BOOK) build . --warningiserror --keep-going
	@echo "Done. Open _build/html/index.html in a browser, or run: make serve"

notebooks: environment
	$(RUN) pytest -n $(JOBS) --dist loadscope --nbval-lax --nbval-current-env $(CHAPTERS) -W default

# Everything that answers soon: what to run while writing.
quick: environment
	$(MAKE) --no-print-directory --jobs 2 lint unit

unit: environment
	$(RUN) pytest -n $(JOBS) --dist loadscope -m "not slow" $(TESTED)

lint: environment
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) codespell_lib

test: environment
	rm -rf .results
	$(MAKE) --no-print-directory lint
	$(RUN) pytest -n $(JOBS) --dist loadscope $(TESTED)
	$(RUN) pytest tests/types --jaxtyping-packages=gatedlib,beartype.beartype
	$(MAKE) --no-print-directory html
	$(MAKE) --no-print-directory notebooks
	$(RUN) pytest -n $(JOBS) tests/book/browser

# Claims that fail are an answer, not an error of make.
claims: environment
	@$(RUN) gatedlib claims --exit-zero $(if $(FIGURE),--figure $(FIGURE))

lab: environment
	$(RUN) jupyterlab --notebook-dir book $(if $(filter 0,$(shell id -u)),--allow-root)

serve: environment
	@$(VENV)/bin/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT)))' 2>/dev/null || \
		{ echo "Port $(PORT) cannot be used here. Choose another one: make serve PORT=8001"; exit 1; }
	@test -d _build/html || $(MAKE) --no-print-directory book
	@echo "The book is at http://localhost:$(PORT) (stop with Ctrl-C)"
	$(RUN) http.server --directory _build/html --bind 127.0.0.1 $(PORT)

benchmarks: environment
	$(RUN) benchmarks

# Pin anew what requirements.txt names, for every Python that pyproject.toml admits.
lock:
	uv pip compile --universal --python-version 3.11 --all-extras --no-header --no-annotate --quiet pyproject.toml -o requirements.txt

clean:
	rm -rf _build .venv* .node .ipython .jax_cache .results screenshots .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
