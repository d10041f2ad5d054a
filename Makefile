# Every target makes what it needs and nothing twice: a stamp file stands for each finished installation.
PYTHON ?= python3
PYTEST_ARGS ?= -n auto
BENCH_ARGS ?=

VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
# PyPI's own torch for Linux carries gigabytes of CUDA.
TORCH_INDEX := https://download.pytorch.org/whl/cpu

.PHONY: help digits test bench bench-compiled bench-peers conformance fuzz aarch64 keras clean
.DELETE_ON_ERROR:

help:
	@echo 'make digits          train the digit recogniser and draw digits.png'
	@echo 'make test            ruff, mypy and all tests, with the same examples each time'
	@echo 'make bench           the table of speed and memory, beside every installed peer'
	@echo 'make bench-compiled  the table of compiled functions, also of what the peers compile (ten minutes)'
	@echo 'make bench-peers     install TensorFlow, PyTorch and JAX to compare with'
	@echo 'make conformance     compare answers with the real TensorFlow'
	@echo 'make fuzz            the property tests with new seeds, then random programs for hours; prints the seed of a failure'
	@echo 'make aarch64         the tests of native code on an emulated AArch64 machine (Debian; hours)'
	@echo 'make keras           the tests that Keras ships (long)'
	@echo 'make clean           remove the environments that the targets above made'

digits: $(VENV)/digits.stamp
	$(BIN)/python examples/digits.py

test: $(VENV)/test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --hypothesis-profile=ci $(PYTEST_ARGS)

bench: $(VENV)/tapeflow.stamp
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

bench-compiled: $(VENV)/tapeflow.stamp
	$(BIN)/python benchmarks/compiled.py $(BENCH_ARGS)

bench-peers: $(PEERS)/tensorflow.stamp $(PEERS)/torch.stamp $(PEERS)/jax.stamp

conformance: $(VENV)/test.stamp $(PEERS)/tensorflow.stamp
	$(BIN)/python tests/conformance/run.py --tensorflow $(PEERS)/tensorflow/bin/python
	$(BIN)/python tests/conformance/pipelines_run.py --tensorflow $(PEERS)/tensorflow/bin/python
	$(BIN)/python tests/conformance/programs_run.py --tensorflow $(PEERS)/tensorflow/bin/python
	$(BIN)/python tests/conformance/complex_run.py --tensorflow $(PEERS)/tensorflow/bin/python
	$(BIN)/python tests/conformance/checkpoints_run.py --tensorflow $(PEERS)/tensorflow/bin/python

fuzz: $(VENV)/test.stamp
	$(BIN)/pytest -m hypothesis $(PYTEST_ARGS)
	FUZZ=20000 $(BIN)/pytest -x $(PYTEST_ARGS) tests/compile/test_random_programs.py tests/trace/test_programs.py tests/autograph/test_random_programs.py

aarch64: $(VENV)/test.stamp
	tests/aarch64.sh $(VENV)/aarch64 --maxfail=20 tests/compile

keras: $(VENV)/keras-tests.stamp
	$(BIN)/python tests/keras/run.py

clean:
	rm -rf $(VENV) $(PEERS)

$(VENV)/created.stamp:
	$(call create_venv,$(VENV))
	@touch $@

$(VENV)/tapeflow.stamp: pyproject.toml $(VENV)/created.stamp
	$(BIN)/python $(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/%.stamp: pyproject.toml $(VENV)/created.stamp
	$(BIN)/python $(PIP_INSTALL) --editable '.[$*]'
	@touch $@

$(PEERS)/tensorflow.stamp: PACKAGES := 'tensorflow-cpu==2.21.*'
$(PEERS)/torch.stamp: PACKAGES := --retries 1 --extra-index-url $(TORCH_INDEX) 'torch==2.13.0' numpy
$(PEERS)/jax.stamp: PACKAGES := jax
$(PEERS)/%.stamp:
	$(call create_venv,$(PEERS)/$*)
	$(PEERS)/$*/bin/python $(PIP_INSTALL) $(PACKAGES)
	@touch $@

define create_venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo 'tapeflow needs Python 3.11 or later; name one: make PYTHON=python3.11'; exit 1; }
@$(PYTHON) -m venv --clear $(1) || \
	{ echo 'No environment could be made. On Debian: apt install python3-venv'; exit 1; }
endef
