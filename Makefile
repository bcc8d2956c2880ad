# Cats and dogs, from a folder of photos to a report. `make help` lists the targets.
#
# What must run is decided by content, not by time stamps: bin/track is asked
# once, when this file is read, and says which stages are stale (see
# ARCHITECTURE.md). Rules have order-only prerequisites, so that nothing else
# makes a stage run.

SHELL := /bin/sh
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory -s

# What people pass in reaches the programs through the environment alone. A
# value given to make is taken as it stands, without expanding what is in it.
DATASET ?=
EXPERIMENT ?=
STAGE ?=
FROM ?=
SET ?=
PHOTOS ?=
CSV ?=
MODEL ?=
OUT ?=
HALF ?=
REV ?= HEAD
ONLY ?=
KEY ?=
SWEEP ?=
DRY ?=
JSON ?=
MINUTES ?= 10
GPU ?=
$(foreach name,DATASET EXPERIMENT STAGE FROM SET PHOTOS CSV MODEL OUT HALF REV ONLY KEY SWEEP DRY JSON MINUTES GPU,$(eval override $(name) := $$(value $(name))))
export DATASET EXPERIMENT STAGE FROM SET PHOTOS CSV MODEL OUT HALF REV ONLY KEY SWEEP DRY JSON MINUTES GPU

STAGES := fetch explore resize pack train evaluate report
GOALS := $(or $(MAKECMDGOALS),all)

.PHONY: all $(STAGES) status dag result diff history params gc accept classify export publish verify sweep test test-long torture hostile fuzz lint bench gpu-check tune gpu-proof notebooks clean help build FORCE
.DEFAULT_GOAL := all

FORCE:

# --- building ---------------------------------------------------------------

SOURCES := $(shell find pipeline stages ! -path '*/testdata*')

build/setup: stages/setup.sh stages/install.sh go.mod
	mkdir -p build
	GPU=$${GPU:-$$(cat $@ 2>/dev/null)}; export GPU; sh stages/setup.sh && echo "$$GPU" >$@

# GPU=1 or GPU=0 is remembered; another value sets up anew.
ifneq ($(filter-out $(shell cat build/setup 2>/dev/null),$(GPU)),)
build/setup: FORCE
endif

# Other versions of C libraries than those that were linked build anew, too.
ifeq ($(MAKE_RESTARTS),)
ifneq ($(shell sh stages/libraries.sh 2>/dev/null),$(shell cat bin/libraries 2>/dev/null))
bin/.built: FORCE
endif
endif

# What changes while it is compiled is newer than what was touched before.
bin/.built: $(SOURCES) go.mod go.sum build/setup
	mkdir -p bin
	echo "build     compiles" >&2
	began=$@.$$$$; trap 'rm -f "$$began"' EXIT; touch $$began; \
	if [ -f build/gpu/environment ]; then . ./build/gpu/environment; fi; \
	go run ./stages/track build && mv $$began $@

build: bin/.built

# --- the pipeline -----------------------------------------------------------

# Goals that need to know what is stale make this file read a plan, which make
# then brings up to date first (building what asks), once. Each make has a plan
# of its own, which is gone as soon as it was read. (It is there, empty, at
# first, since make speaks of a missing file as of an error.)
ifneq ($(filter all verify $(STAGES),$(GOALS)),)
# One that was killed may have left its own.
PLAN := $(shell { mkdir -p build && plan=build/plan.$$PPID.mk && touch -d @0 $$plan && echo $$plan; \
	IFS=.; for old in build/plan.*; do set -- $$old; [ -e /proc/$$2 ] || rm -f "$$old"; done; } 2>/dev/null)
$(if $(PLAN),,$(error build/ cannot be written into))
ifeq ($(MAKE_RESTARTS),)
include $(PLAN)
$(PLAN): bin/.built FORCE
	bin/track plan >$@.new || { rm -f $@ $@.new; exit 1; }
	mv $@.new $@
else
-include $(PLAN)
$(shell rm -f $(PLAN))
endif
endif

before_explore := fetch
before_resize := explore
before_pack := resize
before_train := pack
before_evaluate := train
before_report := evaluate

define stage_rule
$(1): $$(pointer_$(1))
$$(pointer_$(1)): $$(if $$(filter $(1),$$(STALE) $$(DEPENDS)),FORCE) | $$(foreach before,$$(before_$(1)),$$(pointer_$$(before)))
	bin/$(1)$$(if $$(filter $(1),$$(DEPENDS)),  # only if what it reads comes out different)
.PRECIOUS: $$(pointer_$(1))
endef
$(foreach stage,$(STAGES),$(eval $(call stage_rule,$(stage))))

all: $(pointer_report)
ifdef NOTHING_TO_DO
ifneq ($(and $(MAKE_RESTARTS),$(filter all,$(GOALS))),) # what was read before the restart was of last time
$(info $(NOTHING_TO_DO))
endif
else
	bin/track result
endif

# --- questions --------------------------------------------------------------

status dag result diff history params gc: bin/.built
	bin/track $@

verify: all  ## are the committed reports what this checkout gives?
	bin/track verify

sweep: bin/.built  ## [SWEEP=name] what params.yaml wants compared, tabulated
	bin/track sweep

accept: bin/.built  ## STAGE=train: its code changed without changing what it computes
	bin/track accept $${STAGE:+"$$STAGE"}

publish: bin/.built  ## [HALF=1] the current model to models/published/DATASET/
	bin/track publish

classify: bin/.built  ## PHOTOS=path [MODEL=folder] [CSV=file]: cats or dogs?
	bin/classify

export: bin/.built  ## [MODEL=folder] [OUT=file]: a model as ONNX
	bin/export

# --- for developers ---------------------------------------------------------

test: build/setup  ## every fast test
	go test ./...

test-long: bin/.built  ## what takes minutes: every row of what reruns against a build from nothing, code that changes
	go test -timeout 60m ./pipeline/miniature -long

torture: bin/.built  ## KILLS=100 OPERATIONS=400 STATES=700 FLIPS=10000 MENDS=200: kills, lost power, shortages, flips; reports/reliability.md
	go run ./pipeline/torture

hostile: bin/.built  ## MUTATIONS=10000 [PHOTOS=data.zip]: mutated images of every format, clean photos; reports/hostile-input.md
	sh pipeline/hostile/decoders.sh
	go run ./pipeline/hostile

fuzz: build/setup  ## MINUTES=10 [ONLY=name]: invented input for every parser, so long each
	sh pipeline/fuzz.sh

lint: build/setup  ## formatting, vet, staticcheck
	test -z "$$(gofmt -l pipeline stages)" || { echo "not formatted:"; gofmt -l pipeline stages; exit 1; }
	go vet ./...
	go tool staticcheck ./...

bench: bin/.built  ## ONLY=train|batches|epochs|layers|inference|accuracy|resize|pack|make [PHOTOS=folder]: how fast, beside others; reports/benchmarks.md
	bin/bench

gpu-check: build/setup  ## the GPU's kernels and device, without a GPU
	sh pipeline/device/gpu/check.sh

tune: build/setup  ## on a machine with an NVIDIA GPU: the fastest deterministic convolutions
	eval "$$(sh pipeline/device/gpu/toolkit.sh)" && go run -tags gpu ./pipeline/device/gpu/tune

gpu-proof: bin/.built  ## [PHOTOS=pack.arrow]: a bundle that shows on a machine with a GPU what holds there
	sh pipeline/proof/bundle.sh

notebooks: build/setup  ## run the notebooks and keep their plots
	sh notebooks/run.sh

clean:  ## what was compiled; never photos, models or reports
	rm -rf bin build

help:  ## this list
	printf '%s\n' \
	  'make [DATASET=name] [EXPERIMENT=name] [FROM="a.zip b.zip"]   every stage, up to the report' \
	  'make fetch|explore|resize|pack|train|evaluate|report         that stage and what it needs' \
	  'make -n                                                      what would run, and what perhaps' \
	  'make status [JSON=1] | dag | result                          fresh or stale and why; the graph (SVG into a file); the last result' \
	  'make SET="train.epochs=5 train.seed=2"                       a variant, as an experiment of its own' \
	  'make sweep [SWEEP=name]                                      a comparison that params.yaml names, with mean and spread over seeds' \
	  'make diff [REV=HEAD]                                         parameters, metrics and figures that changed since a commit' \
	  'make history                                                 trained versions that are kept, with their test accuracy' \
	  'make params KEY=key                                          the parameters that gave a kept version' \
	  'make verify [REV=HEAD]                                       are the committed reports what this checkout gives?' \
	  'make gc [DRY=1]                                              removes what no experiment points to, and says what that frees' \
	  'make accept STAGE=train                                      its code changed without changing what it computes' \
	  'make publish [HALF=1]                                        the current model to models/published/DATASET/, with its card' \
	  'make classify PHOTOS=path [MODEL=folder] [CSV=file]          what is in these photos?' \
	  'make export [MODEL=folder] [OUT=model.onnx]                  a model as ONNX, preprocessing included' \
	  'make gpu-proof [PHOTOS=pack.arrow]                           build/gpu-proof: to be run on a machine with an NVIDIA GPU' \
	  'make test | test-long | torture | hostile | fuzz | lint | notebooks | gpu-check | tune for developers' \
	  'make bench [ONLY=train|batches|epochs|layers|inference|accuracy|resize|pack|make] how fast, beside others: reports/benchmarks.md' \
	  'make clean                                                   what was compiled; never photos, models or reports'
