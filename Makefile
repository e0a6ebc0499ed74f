# SPDX-License-Identifier: GPL-2.0
# All that is made goes to build/, all that is fetched to .cache/.

KERNEL ?= 6.1
SECONDS ?= 600
TIMES ?= 10
B := $(abspath build)
VM := selftests/vm
# Looked up when used: the headers may only come with `make deps`.
RELEASE = $(shell $(VM)/kernel --release $(KERNEL))
VERSION = $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
KMOD = $(B)/kmod-$(RELEASE)
IN_GUEST = $(VM)/run --kernel $(KERNEL)
# What a + hands the job server to would run under make -n too.
DRY = $(if $(findstring n,$(firstword -$(MAKEFLAGS))),: )

all: kmod helper selftests

help:
	@echo 'make [TARGET] [KERNEL=$(KERNEL)]'
	@echo '  all        the module, migrate-helper and the self-tests (default)'
	@echo '  kmod helper selftests   one of them'
	@echo '  demo       redis and a child of it move from one guest to another under load'
	@echo '  check      every test; last line: N passed, N failed, N skipped'
	@echo '  check-debug  the self-tests in a kernel that finds faults: KASAN, lockdep, leaks'
	@echo '             [DEBUG_KERNEL=debug-6.1]'
	@echo '  fuzz       random calls in that kernel, SECONDS=$(SECONDS) [SEED=n]'
	@echo '  fuzz-helper  bytes of another machine into migrate-helper, SECONDS=$(SECONDS) [SEED=n]'
	@echo '  conversation  record what both ends say, for the tests of later versions'
	@echo '  soak       each program of e2e/programs moves TIMES=$(TIMES) times; then the long oracle test'
	@echo '  bench      measurements in a guest'
	@echo '  bench-host  what receiving costs, on this machine'
	@echo '  bench-native  how pages are sent, in a user-mode kernel at native speed'
	@echo '  lint       style and static analysis alone'
	@echo '  deb docs   Debian packages in build/deb; documentation in build/docs'
	@echo '  deps guest install packages; make what guests boot from'
	@echo '  clean      build/; distclean: .cache/ too'

deps:
	@$(VM)/deps

guest: deps
	@$(VM)/initramfs $(KERNEL) > /dev/null
	@$(VM)/rootfs > /dev/null

# Kbuild writes next to its sources, so it gets a tree of links. The uapi
# headers are looked for at ../uapi from there.
kmod: deps
	@mkdir -p $(KMOD)
	@cp -rsf $(CURDIR)/kmod/. $(KMOD)
	@find $(KMOD) -xtype l -delete
	@ln -sfn $(CURDIR)/uapi $(B)/uapi
	+$(DRY) flock $(KMOD) $(VM)/kbuild $(KERNEL) M=$(KMOD) W=1 KCFLAGS=-Werror \
		$(KBUILD_ARGS) modules

helper: deps
	$(MAKE) -C helper O=$(B)/helper

# A test that speaks the protocol is linked to the helper.
selftests: deps helper
	$(MAKE) -C selftests O=$(B)/selftests
	$(MAKE) -C selftests/e2e O=$(B)/selftests/e2e

demo: all guest
	$(IN_GUEST) --nodes 2 --timeout 900 --out $(B)/demo \
		-- /build/selftests/e2e/demo_guest $(DEMO_ARGS)

# On all CPUs, unless the caller says on how many.
check:
	+$(DRY)$(MAKE) $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc)) all guest
	selftests/check

# The kernel is built the first time, which takes some 20 minutes.
DEBUG_KERNEL ?= debug
export DEBUG_KERNEL
check-debug fuzz: private KERNEL := $(DEBUG_KERNEL)
check-debug: deps selftests
	$(MAKE) kmod KERNEL=$(DEBUG_KERNEL)
	CHECK_STAGES=check-debug.d selftests/check

fuzz: deps selftests
	$(MAKE) kmod KERNEL=$(DEBUG_KERNEL)
	$(IN_GUEST) --mem 3072 --timeout $$(($(SECONDS) + 600)) -- \
		/build/selftests/fuzz/fuzz --seconds $(SECONDS) $(SEED:%=--seed %)

fuzz-helper: deps
	$(MAKE) -C helper O=$(B)/helper fuzz
	helper/fuzz/run --seconds $(SECONDS) $(SEED:%=--seed %) $(B)/helper

# Of the version that dkms.conf names.
conversation: helper selftests
	selftests/vm/native -- /build/selftests/e2e/conversations record /build/conversation.gz
	cp $(B)/conversation.gz selftests/e2e/conversation-$(VERSION).gz

soak: all guest
	$(MAKE) kmod KERNEL=6.12
	selftests/soak_programs $(TIMES)
	$(IN_GUEST) --timeout 7200 -- /build/selftests/soak
	$(VM)/run --kernel 6.12 --timeout 7200 -- /build/selftests/soak

bench: all guest
	selftests/bench/host $(KERNEL)

# The kernel is built the first time, which takes some 5 minutes.
bench-host: helper selftests
	selftests/bench/receiving

bench-native: helper selftests
	selftests/bench/native

lint: deps
	selftests/lint

docs: export KERNEL_DOC = $(wildcard /lib/modules/$(RELEASE)/build/scripts/kernel-doc)
docs:
	@$(VM)/deps docs
	@mkdir -p $(B)/docs
	sphinx-build -W --keep-going -q -d $(B)/docs/doctrees \
		Documentation $(B)/docs/html

deb: deps
	$(VM)/deb $(B)/deb

clean:
	rm -rf build

distclean: clean
	rm -rf .cache

.PHONY: all help deps guest kmod helper selftests demo check check-debug fuzz \
	fuzz-helper conversation soak bench bench-host bench-native lint deb docs \
	clean distclean
