// SPDX-License-Identifier: GPL-2.0
/*
 * Threads write 8 bytes at random places, slowly enough that most pages are clean in each epoch: a
 * page that is written all the time hides every loss. Other threads change the mappings below. A
 * write to an unmapped address ends in a signal handler, so that writes really race with unmaps
 * and moves.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ksft.h"
#include "mirror_load.h"
#include "sys.h"

#define SLOT_BYTES	(2 * PMD_SIZE)
#define SLOT_STRIDE	(2 * SLOT_BYTES)
#define SLOT_PAGES	(SLOT_BYTES / PAGE_SIZE)
#define SLOTS_MAX	64
#define OP_THREADS	2
#define DIRECT_BYTES	(128 * PAGE_SIZE)
#define OWN_UFFD_BYTES	(64 * PAGE_SIZE)
/* Where the slots are, and where else they can be. */
#define SLOTS_BASE	(LOAD_BASE + (1UL << 36))
#define SLOTS_OTHER	(LOAD_BASE + (2UL << 36))

/**
 * struct slot - memory of which the mappings change
 * @at: its address now; writers read it without a lock
 * @home: the two places where it can be
 * @lock: of those who change it
 */
struct slot {
	unsigned long at;
	unsigned long home[2];
	pthread_mutex_t lock;
};

/* All of this lives in the target. */
static struct load_config load;
static struct load_counts *counts;
static struct slot slots[SLOTS_MAX];
static unsigned int nr_slots;
static __thread sigjmp_buf load_jump;
static int direct_fd;

static unsigned int load_nr_slots(const struct load_config *config)
{
	unsigned int nr = config->mb / 16;

	return nr < 2 ? 2 : nr > SLOTS_MAX ? SLOTS_MAX : nr;
}

unsigned long load_steady_bytes(const struct load_config *config)
{
	return ((unsigned long)config->mb << 20) -
	       load_nr_slots(config) * SLOT_BYTES;
}

static void load_segv(int sig)
{
	(void)sig;
	siglongjmp(load_jump, 1);
}

static void load_count(unsigned long *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static void load_write(unsigned long addr, __u64 value)
{
	if (sigsetjmp(load_jump, 0)) {
		load_count(&counts->faults);
		return;
	}
	WRITE_ONCE(*(__u64 *)addr, value);
	load_count(&counts->writes);
}

static void load_fill(unsigned long addr, int byte)
{
	if (sigsetjmp(load_jump, 0)) {
		load_count(&counts->faults);
		return;
	}
	memset((void *)addr, byte, PAGE_SIZE);
	load_count(&counts->writes);
}

static unsigned long load_pick(__u64 *seed)
{
	unsigned long steady = load_steady_bytes(&load);
	struct slot *slot;

	if (!load.ops || sys_random(seed) % 8)
		return LOAD_BASE + sys_random(seed) % (steady / 8) * 8;
	slot = &slots[sys_random(seed) % nr_slots];
	return __atomic_load_n(&slot->at, __ATOMIC_RELAXED) +
	       sys_random(seed) % (SLOT_BYTES / 8) * 8;
}

static void *load_writer(void *arg)
{
	__u64 seed = load.seed * 1000 + (unsigned long)arg;
	unsigned long pause = 20 * 1000000UL * load.threads / load.rate;
	int i;

	for (;;) {
		for (i = 0; i < 20; i++)
			load_write(load_pick(&seed), sys_random(&seed) | 1);
		usleep(pause);
	}
	return NULL;
}

static bool op_mmap(unsigned long addr, unsigned long len)
{
	return mmap((void *)addr, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		    -1, 0) != MAP_FAILED;
}

/* A random part of a slot: up to 64 pages. */
static unsigned long op_part(struct slot *slot, __u64 *seed,
			     unsigned long *len)
{
	unsigned long first = sys_random(seed) % SLOT_PAGES;
	unsigned long nr = 1 + sys_random(seed) % 64;

	if (nr > SLOT_PAGES - first)
		nr = SLOT_PAGES - first;
	*len = nr * PAGE_SIZE;
	return slot->at + first * PAGE_SIZE;
}

static bool op_madvise(struct slot *slot, __u64 *seed, int advice)
{
	unsigned long len, addr = op_part(slot, seed, &len);

	return !madvise((void *)addr, len, advice);
}

static bool op_discard(struct slot *slot, __u64 *seed)
{
	return op_madvise(slot, seed, MADV_DONTNEED);
}

static bool op_free(struct slot *slot, __u64 *seed)
{
	return op_madvise(slot, seed, MADV_FREE);
}

static bool op_unmap(struct slot *slot, __u64 *seed)
{
	unsigned long len, addr = op_part(slot, seed, &len);

	if (munmap((void *)addr, len))
		return false;
	usleep(sys_random(seed) % 2000);
	return op_mmap(addr, len);
}

/* All of it, so that a slot that fell to pieces is one mapping again. */
static bool op_replace(struct slot *slot, __u64 *seed)
{
	(void)seed;
	return op_mmap(slot->at, SLOT_BYTES);
}

static unsigned long op_other_home(const struct slot *slot)
{
	return slot->home[slot->at == slot->home[0]];
}

static bool op_mremap(unsigned long from, unsigned long len, unsigned long to,
		      int flags)
{
	return mremap((void *)from, len, len,
		      MREMAP_MAYMOVE | MREMAP_FIXED | flags,
		      (void *)to) != MAP_FAILED;
}

/* One that fell to pieces cannot move: then a new one does. */
static bool op_move_slot(struct slot *slot, unsigned long to, int flags)
{
	if (op_mremap(slot->at, SLOT_BYTES, to, flags))
		return true;
	return op_mmap(slot->at, SLOT_BYTES) &&
	       op_mremap(slot->at, SLOT_BYTES, to, flags);
}

/* With alignment to 2 MiB, so that page tables move as they are. */
static bool op_move(struct slot *slot, __u64 *seed)
{
	unsigned long to = op_other_home(slot);

	(void)seed;
	if (!op_move_slot(slot, to, 0))
		return false;
	__atomic_store_n(&slot->at, to, __ATOMIC_RELAXED);
	return true;
}

static bool op_move_part(struct slot *slot, __u64 *seed)
{
	unsigned long len, addr = op_part(slot, seed, &len);
	unsigned long to = addr - slot->at + op_other_home(slot);

	if (!op_mremap(addr, len, to, 0))
		return false;
	usleep(sys_random(seed) % 2000);
	return op_mremap(to, len, addr, 0);
}

/* Half of a slot over the other half: a page table over one that was known. */
static bool op_move_over(struct slot *slot, __u64 *seed)
{
	unsigned long from = slot->at + sys_random(seed) % 2 * PMD_SIZE;
	unsigned long to = from == slot->at ? from + PMD_SIZE : slot->at;

	if (!op_mremap(from, PMD_SIZE, to, 0))
		return false;
	return op_mmap(from, PMD_SIZE);
}

static bool op_dontunmap(struct slot *slot, __u64 *seed)
{
	unsigned long from = slot->at, to = op_other_home(slot);

	(void)seed;
	if (!op_move_slot(slot, to, MREMAP_DONTUNMAP))
		return false;
	__atomic_store_n(&slot->at, to, __ATOMIC_RELAXED);
	return !munmap((void *)from, SLOT_BYTES);
}

static bool op_protect(struct slot *slot, __u64 *seed)
{
	unsigned long len, addr = op_part(slot, seed, &len);

	if (mprotect((void *)addr, len, sys_random(seed) % 2 ? PROT_READ :
							       PROT_NONE))
		return false;
	usleep(sys_random(seed) % 2000);
	return !mprotect((void *)addr, len, PROT_READ | PROT_WRITE);
}

/* The child writes, and so do we while it lives: pages are copied for both. */
static bool op_fork(struct slot *slot, __u64 *seed)
{
	pid_t pid = fork();
	int i;

	if (pid < 0)
		return false;
	for (i = 0; i < 10; i++)
		load_write(slot->at + sys_random(seed) % (SLOT_BYTES / 8) * 8,
			   sys_random(seed));
	if (!pid)
		_exit(0);
	return waitpid(pid, NULL, 0) == pid;
}

static bool op_huge(struct slot *slot, __u64 *seed)
{
	unsigned long addr = slot->at + sys_random(seed) % 2 * PMD_SIZE;

	if (madvise((void *)addr, PMD_SIZE, MADV_HUGEPAGE))
		return false;
	/* khugepaged does the same at times of its own. */
	return !madvise((void *)addr, PMD_SIZE, MADV_COLLAPSE);
}

static bool op_page_out(struct slot *slot, __u64 *seed)
{
	unsigned long steady = load_steady_bytes(&load) / PAGE_SIZE;
	unsigned long first = sys_random(seed) % (steady - 16);

	op_madvise(slot, seed, MADV_PAGEOUT);
	return !madvise((void *)(LOAD_BASE + first * PAGE_SIZE),
			16 * PAGE_SIZE, MADV_PAGEOUT);
}

static bool op_fill(struct slot *slot, __u64 *seed)
{
	unsigned long len, addr = op_part(slot, seed, &len), at;

	for (at = addr; at < addr + len; at += PAGE_SIZE)
		load_write(at, sys_random(seed));
	return true;
}

/* A device writes, by reference, and page tables do not tell when. */
static bool op_direct(struct slot *slot, __u64 *seed)
{
	unsigned long len, addr = op_part(slot, seed, &len);

	return pread(direct_fd, (void *)addr, len, sys_random(seed) % 64 *
		     PAGE_SIZE) == (ssize_t)len;
}

/* ksmd finds the pages that are alike, and merges them when it likes. */
static bool op_merge(struct slot *slot, __u64 *seed)
{
	unsigned long len, addr = op_part(slot, seed, &len), at;

	for (at = addr; at < addr + len; at += PAGE_SIZE)
		load_fill(at, sys_random(seed) % 2);
	return !madvise((void *)addr, len, MADV_MERGEABLE);
}

static bool (* const ops[LOAD_OPS])(struct slot *slot, __u64 *seed) = {
	op_discard, op_free, op_unmap, op_replace, op_move, op_move_part,
	op_move_over, op_dontunmap, op_protect, op_fork, op_huge, op_page_out,
	op_fill, op_direct, op_merge,
};

const char * const load_op_names[LOAD_OPS] = {
	"MADV_DONTNEED", "MADV_FREE", "munmap", "mmap over", "mremap",
	"mremap of a part", "mremap over", "MREMAP_DONTUNMAP", "mprotect",
	"fork", "MADV_COLLAPSE", "MADV_PAGEOUT", "fill", "O_DIRECT read",
	"MADV_MERGEABLE",
};

static void *load_operator(void *arg)
{
	__u64 seed = load.seed * 7777 + (unsigned long)arg;

	for (;;) {
		struct slot *slot = &slots[sys_random(&seed) % nr_slots];
		unsigned int op = sys_random(&seed) % LOAD_OPS;
		bool done;

		pthread_mutex_lock(&slot->lock);
		done = ops[op](slot, &seed);
		pthread_mutex_unlock(&slot->lock);
		load_count(done ? &counts->ops[op] : &counts->failed[op]);
		usleep(sys_random(&seed) % 10000);
	}
	return NULL;
}

/* Twice as long as the longest part of a slot. */
static void load_direct_open(void)
{
	unsigned long *data;
	__u64 seed = load.seed;
	unsigned int i;

	direct_fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_DIRECT, 0600);
	data = mmap(NULL, DIRECT_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ksft_must(direct_fd >= 0 && data != MAP_FAILED);
	for (i = 0; i < DIRECT_BYTES / sizeof(*data); i++)
		data[i] = sys_random(&seed);
	ksft_must(pwrite(direct_fd, data, DIRECT_BYTES, 0) == DIRECT_BYTES);
	munmap(data, DIRECT_BYTES);
}

/* A userfaultfd of the task's own on a part: it protects nothing, but it is there. */
static void load_uffd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { LOAD_BASE, OWN_UFFD_BYTES },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	ksft_must(fd >= 0 && !ioctl(fd, UFFDIO_API, &api));
	ksft_must(!ioctl(fd, UFFDIO_REGISTER, &reg));
}

static void load_map(void)
{
	unsigned long steady = load_steady_bytes(&load), addr;
	unsigned int i;

	ksft_must(op_mmap(LOAD_BASE, steady));
	/* One write must not make 512 pages dirty here. */
	madvise((void *)LOAD_BASE, steady, MADV_NOHUGEPAGE);
	for (addr = LOAD_BASE; addr < LOAD_BASE + steady; addr += PAGE_SIZE)
		load_write(addr, addr);
	nr_slots = load_nr_slots(&load);
	for (i = 0; i < nr_slots; i++) {
		slots[i].home[0] = SLOTS_BASE + i * SLOT_STRIDE;
		slots[i].home[1] = SLOTS_OTHER + i * SLOT_STRIDE;
		slots[i].at = slots[i].home[0];
		pthread_mutex_init(&slots[i].lock, NULL);
		ksft_must(op_mmap(slots[i].at, SLOT_BYTES));
	}
}

static long load_start_fn(const unsigned long *args)
{
	struct sigaction act = {
		.sa_handler = load_segv,
		.sa_flags = SA_NODEFER,
	};
	pthread_t thread;
	unsigned long i;

	(void)args;
	sigaction(SIGSEGV, &act, NULL);
	/* A mapping that has gone for a moment can also be one beyond its file. */
	sigaction(SIGBUS, &act, NULL);
	load_map();
	load_direct_open();
	load_uffd_open();
	for (i = 0; i < load.threads; i++)
		ksft_must(!pthread_create(&thread, NULL, load_writer,
					  (void *)(i + 1)));
	for (i = 0; load.ops && i < OP_THREADS; i++)
		ksft_must(!pthread_create(&thread, NULL, load_operator,
					  (void *)(i + 1)));
	return 0;
}

static long load_config_fn(const unsigned long *args)
{
	load = (struct load_config){
		.threads = args[0],
		.mb = args[1],
		.seed = args[2],
		.rate = args[3],
		.ops = args[4],
	};
	counts = (struct load_counts *)args[5];
	return 0;
}

struct load_counts *load_start(struct target *t,
			       const struct load_config *config)
{
	struct load_counts *shared = t->shared;

	memset(shared, 0, sizeof(*shared));
	target_do(t, load_config_fn, config->threads, config->mb, config->seed,
		  config->rate, config->ops, (unsigned long)shared);
	target_do(t, load_start_fn, 0);
	return shared;
}
