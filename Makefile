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
REV ?= HEAD
ONLY ?=
$(foreach name,DATASET EXPERIMENT STAGE FROM SET PHOTOS CSV MODEL REV ONLY,$(eval override $(name) := $$(value $(name))))
export DATASET EXPERIMENT STAGE FROM SET PHOTOS CSV MODEL REV ONLY

STAGES := fetch explore resize pack train evaluate report
GOALS := $(or $(MAKECMDGOALS),all)

.PHONY: all $(STAGES) status dag result accept classify publish verify test test-long lint fmt bench notebooks clean help build FORCE
.DEFAULT_GOAL := all

FORCE:

# --- building ---------------------------------------------------------------

SOURCES := $(shell find pipeline stages \( -type d -o -name '*.go' -o -name '*.c' -o -name '*.cpp' -o -name '*.h' -o -name '*.ptx' \) ! -path '*/testdata*')

build/setup: stages/setup.sh go.mod
	mkdir -p build
	sh stages/setup.sh
	touch $@

bin/.built: $(SOURCES) go.mod go.sum | build/setup
	mkdir -p bin
	echo "build     compiles" >&2
	go build -o bin/track ./stages/track
	bin/track build
	touch $@

build: bin/.built

# --- the pipeline -----------------------------------------------------------

# Goals that need to know what is stale make this file read build/plan.mk,
# which make then brings up to date first (building what asks), once.
ifneq ($(filter all $(STAGES),$(GOALS)),)
ifeq ($(wildcard build/plan.mk),)
$(shell mkdir -p build && touch build/plan.mk) # make speaks of a missing file as of an error
endif
include build/plan.mk
ifeq ($(MAKE_RESTARTS),)
build/plan.mk: bin/.built FORCE
	bin/track plan >build/plan.mk.new
	mv build/plan.mk.new $@
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

status dag result: bin/.built  ## each stage: fresh, or stale and why / the graph / the last result
	bin/track $@

accept: bin/.built  ## STAGE=train: its code changed without changing what it computes
	bin/track accept "$$STAGE"

publish: bin/.built  ## the current model to models/published/DATASET/
	bin/track publish

classify: bin/.built  ## PHOTOS=path [MODEL=folder] [CSV=file]: cats or dogs?
	bin/classify

# --- for developers ---------------------------------------------------------

test: build/setup  ## every fast test
	go test ./...

lint: build/setup  ## formatting, vet, staticcheck
	test -z "$$(gofmt -l pipeline stages)" || { echo "not formatted:"; gofmt -l pipeline stages; exit 1; }
	go vet ./...
	go tool staticcheck ./...

bench: bin/.built  ## ONLY=train|resize|pack|make [PHOTOS=folder]: how fast, beside others; reports/benchmarks.md
	bin/bench

notebooks: build/setup  ## run the notebooks and keep their plots
	sh notebooks/run.sh

clean:  ## what was compiled; never photos, models or reports
	rm -rf bin build

help:  ## this list
	printf '%s\n' \
	  'make [DATASET=name] [EXPERIMENT=name] [FROM="a.zip b.zip"]   every stage, up to the report' \
	  'make fetch|explore|resize|pack|train|evaluate|report         that stage and what it needs' \
	  'make status | dag | result                                   fresh or stale and why; the graph; the last result' \
	  'make accept STAGE=train                                      its code changed without changing what it computes' \
	  'make publish                                                 the current model to models/published/DATASET/, with its card' \
	  'make classify PHOTOS=path [MODEL=folder] [CSV=file]          what is in these photos?' \
	  'make test | lint | notebooks                                 for developers' \
	  'make bench [ONLY=train|resize|pack|make]                     how fast, beside others: reports/benchmarks.md' \
	  'make clean                                                   what was compiled; never photos, models or reports'
