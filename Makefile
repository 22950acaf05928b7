# make demo       see stolen models found: installs into .venv, then runs `sacfast demo`
# make test       the tests, lint and types (at most 12 minutes after the install)
# make test-all   the long tests too
# make test-simd  the tests of the probes under pillow-simd (needs libjpeg-dev and zlib1g-dev)
# make sanitize   the tests of the kernels with the addresses and undefined behaviour checked
# make hostsim    the CUDA kernels on the CPU under a judge, and the mutation test (some minutes)
# make sass       whether the machine code of the CUDA kernels spills registers (needs CUDA built)
# make gpu        on a machine with an NVIDIA GPU: builds, tests and measures (half an hour or so)
# make clean      removes .venv, build/ and caches
#
# Every target sets itself up; a second run reuses .venv and installs again only what changed.
# PYTHON=python3.12 picks an interpreter, VENV=/elsewhere another place.

PYTHON ?= python3
VENV   ?= .venv
EXTRAS := dali,demo,test

# pillow-simd installs itself as PIL, like Pillow; so it gets a folder of its own, put before Pillow.
PILLOW_SIMD := 12.1.1.post0
SIMD        := $(abspath $(VENV))/pillow-simd
AVX2        := $(shell grep -qsw avx2 /proc/cpuinfo && echo -mavx2)

PIP     := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
SOURCES := $(shell find csrc python -type f \( -name '*.py' -o -name '*.pyi' -o -name '*.cpp' \
             -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' -o -name '*.j2' -o -name '*.css' -o -name '*.js' \))

# SANITIZE=thread looks for races instead. GCC's library has to be loaded before Python's own.
SANITIZE  ?= address
SANITIZED := $(abspath build)/sanitize-$(SANITIZE)
SANITIZER := $(if $(filter thread,$(SANITIZE)),libtsan.so,libasan.so)
# All that calls the kernels, but for what takes longest under a sanitizer and has smaller siblings.
KERNELS   := tests/kernels tests/test_detector.py tests/test_detector_balanced.py tests/test_resampling.py \
  --deselect tests/kernels/test_distance.py::test_indices_past_two_to_the_31 \
  --deselect tests/test_detector.py::test_partial_scores_equal_the_method \
  --deselect tests/test_detector.py::test_any_thread_count_gives_the_same_bits

# What the caller's shell has set up must not leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTEST_ADDOPTS

.DELETE_ON_ERROR:
.PHONY: help install demo test test-all test-simd sanitize hostsim sass gpu clean
help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit("sacfast needs Python 3.10 or newer, got %d.%d; try make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# Everything that the package needs, where pyproject.toml changed; otherwise the package alone.
$(VENV)/.installed: pyproject.toml CMakeLists.txt cmake/cuda_compiler.cmake README.md $(SOURCES) | $(VENV)/.created
	@echo "Installing sacfast into $(VENV) (the first time PyTorch and all: some minutes) ..."
	@if cmp -s pyproject.toml $(VENV)/pyproject.toml; \
	then $(PIP) install --no-deps --force-reinstall .; \
	else $(PIP) install '.[$(EXTRAS)]'; fi
	@cp pyproject.toml $(VENV)/ && touch $@

install: $(VENV)/.installed

demo: install
	$(VENV)/bin/sacfast demo

test: install
	$(VENV)/bin/python -m pytest -m "not long"

test-all: install
	$(VENV)/bin/python -m pytest

# The wheel cache does not tell a build for AVX2 from one without, so it is left out.
$(SIMD)/.$(PILLOW_SIMD): | $(VENV)/.created
	@printf '#include <stdio.h>\n#include <jpeglib.h>\n#include <zlib.h>\n' | cc -E -x c - >/dev/null || \
	{ echo "test-simd builds pillow-simd: it needs a C compiler and the headers of libjpeg-turbo and" \
	  "zlib, on Debian: apt-get install gcc libjpeg-dev zlib1g-dev" >&2; exit 1; }
	@echo "Building pillow-simd $(PILLOW_SIMD) into $(SIMD) (half a minute) ..."
	@rm -rf $(SIMD)
	@CC="cc $(AVX2)" $(PIP) install --no-deps --no-binary pillow-simd --no-cache-dir \
	  --target $(SIMD) pillow-simd==$(PILLOW_SIMD)
	@touch $@

test-simd: install $(SIMD)/.$(PILLOW_SIMD)
	@PYTHONPATH=$(SIMD) $(VENV)/bin/python -c 'import PIL, sys; sys.exit(0 if "$(PILLOW_SIMD)" == PIL.__version__ else "not pillow-simd: " + PIL.__file__)'
	PYTHONPATH=$(SIMD) $(VENV)/bin/python -m pytest -m "not long" tests/probes tests/test_doctor.py

$(SANITIZED)/.installed: $(VENV)/.installed
	@test -f "$$(g++ -print-file-name=$(SANITIZER))" || \
	{ echo "sanitize needs GCC's $(SANITIZER), on Debian: apt-get install g++" >&2; exit 1; }
	@echo "Building sacfast under the $(SANITIZE) sanitizer into $(SANITIZED) (a minute) ..."
	@rm -rf $(SANITIZED)/package
	@CMAKE_ARGS= CXX=g++ $(PIP) install --no-deps --target $(SANITIZED)/package \
	  --config-settings=build-dir=$(SANITIZED)/cmake \
	  --config-settings=cmake.build-type=RelWithDebInfo \
	  --config-settings=cmake.define.SACFAST_SANITIZE=$(SANITIZE) \
	  --config-settings=cmake.define.SACFAST_CUDA=OFF .
	@touch $@

# Once a level. What Python and the frameworks leak is not ours to find.
sanitize: $(SANITIZED)/.installed
	@for level in $$($(VENV)/bin/python -c 'from sacfast import _core; print(*_core.levels())'); do \
	  echo "== level $$level under the $(SANITIZE) sanitizer"; \
	  PYTHONPATH=$(SANITIZED)/package ASAN_OPTIONS=detect_leaks=0 \
	  UBSAN_OPTIONS=print_stacktrace=1 \
	  TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1 \
	  LD_PRELOAD="$$(g++ -print-file-name=$(SANITIZER)) $$(g++ -print-file-name=libstdc++.so)" \
	  $(VENV)/bin/python -m pytest -q -p no:cacheprovider --level $$level $(KERNELS) || exit 1; \
	done

hostsim: install
	$(VENV)/bin/python -m pytest -q tests/hostsim tests/cuda
	$(VENV)/bin/python tests/hostsim/mutate.py

sass: install
	$(VENV)/bin/python benchmarks/sass_report.py --check

# It installs by itself, once it has seen a GPU.
gpu:
	@$(PYTHON) benchmarks/gpu.py --venv $(VENV)

clean:
	rm -rf $(VENV) build sacfast-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
