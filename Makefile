# Tetra: everything starts here. `make` alone lists the targets.
#
# What is missing is installed by the first target that needs it (tools/setup.sh); what a target does is written in
# tools/src/, one module for each.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Everything that is built goes here.
OUT := $(abspath $(or $(CARGO_TARGET_DIR),target))

# Variables given to make reach the tools through the environment, so that no text is quoted twice.
export APPEND CPUS DTB FEATURES LOG QEMU_ARGS RUN DEVICE IMAGE ELF N ONLY SEED ICOUNT V

.PHONY: help
help: ## this list
	@awk -f tools/help.awk $(firstword $(MAKEFILE_LIST))

# Compiler, linker and QEMU that setup chose. Looked up again at each start, which takes a fraction of a second.
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
given = $(if $(filter command,$(origin $(1))),$($(1)))
include $(OUT)/toolchain.mk
$(OUT)/toolchain.mk: FORCE
	@CARGO='$(call given,CARGO)' QEMU='$(call given,QEMU)' tools/setup.sh $@ $(MAKECMDGOALS)
endif
FORCE:

TOOLS := $(OUT)/host/tools/tetra-tools

# The decoder for binary logs brings many crates: only where it is used.
DEFMT := $(if $(filter defmt,$(LOG))$(filter test bench-check,$(MAKECMDGOALS)),--features defmt)
# So does the plotter.
PLOTS := $(if $(filter bench bench-plots,$(MAKECMDGOALS)),--features plots)

.PHONY: tools
tools:
	@CARGO_TARGET_DIR=$(OUT)/host $(CARGO) build $(if $(V),,--quiet) --profile tools -p tetra-tools $(DEFMT) $(PLOTS)

##@ Run
.PHONY: qemu gdb
qemu: tools ## boot to a prompt (APPEND= CPUS= DTB= FEATURES= LOG= QEMU_ARGS= RUN=)
	@$(TOOLS) qemu
gdb: tools ## the same under a debugger, stopped before the first instruction
	@$(TOOLS) gdb

##@ Test
.PHONY: test check soak torture verify mutants-ordering bench bench-check bench-baseline bench-plots
test: tools ## host tests, then every suite under QEMU (ONLY=pattern chooses)
	@$(TOOLS) test
check: tools ## format, lints, documentation, layers, licences
	@$(TOOLS) check
verify: tools ## the compiled primitives against Arm's memory model, with broken twins
	@$(TOOLS) verify
mutants-ordering: tools ## weaken every order in them, one at a time: which check notices?
	@$(TOOLS) verify mutants
bench: tools ## what each operation costs, in instructions, beside targets, Linux and peers
	@$(TOOLS) bench
bench-check: tools ## the same, compared with tests/bench/baseline.csv
	@$(TOOLS) bench check
bench-baseline: tools ## the same, kept as the baseline
	@$(TOOLS) bench baseline
bench-plots: tools ## the last bench's figures as pictures, for the documentation
	@$(TOOLS) bench plots docs/img
torture: tools ## every primitive under stress (SECONDS=60 SEED=1 ONLY=name ICOUNT=1)
	@TORTURE_SECONDS='$(SECONDS)' $(TOOLS) torture
soak: tools ## boot N times (100): under load, with -icount, each device tree, random work (SEED=)
	@$(TOOLS) soak

##@ Build
.PHONY: image flash doc
image: tools ## SD card image for a Pi 4 (IMAGE= names the file)
	@$(TOOLS) sdcard
flash: image ## write it to a card (DEVICE=/dev/sdX)
	@$(TOOLS) flash
doc: tools ## documentation of the kernel in target/doc
	@$(TOOLS) doc

##@ Look
.PHONY: objdump size symbolize
objdump: tools ## disassembly with source in target/kernel8.asm
	@$(TOOLS) objdump
size: tools ## what takes room in the kernel, by section and by symbol
	@$(TOOLS) size
symbolize: tools ## file:line for a pasted report on stdin (ELF= names the kernel)
	@$(TOOLS) symbolize

##@ Keep house
.PHONY: setup clean
setup: ## install what every target needs, do nothing else
	@echo "ready: $(CARGO), $(QEMU)"
clean: ## remove everything that was built
	rm -rf $(OUT)

##@ Variables
#: APPEND=".."    boot arguments: loglevel=7 maxcpus=2 panic=5 ...
#: CPUS=1..4      cores to start
#: DTB=file|none  device tree instead of boot/tetra-qemu.dts
#: RUN="a; b"     shell commands to run as if typed, then power off; the exit status tells
#: LOG=defmt      binary log, decoded on the host (LOG=text is the default)
#: FEATURES=".."  cargo features of the kernel: up, preempt_none, preempt_voluntary ...
#: QEMU_ARGS=".." further arguments for QEMU
#: ONLY=pattern   tests whose name matches, rows of bench with the word; N=100 boots for soak
#: SECONDS=N      of torture (60); SEED=N repeats it, with ICOUNT=1 to the last count
#: V=1            show the commands
