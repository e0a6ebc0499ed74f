// SPDX-License-Identifier: GPL-2.0
/* What a task may do to its memory, at random, all in one arena. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "ksft.h"
#include "sys.h"

#define THREADS		3
#define FILE_LEN	(8UL << 20)
/* A target that lives for ever would never be seen to go. */
#define LIFE_OPS	3000

static __thread sigjmp_buf change_jump;
static __thread bool change_jumps;
static int change_memfd = -1, change_uffd = -1;
static bool change_is_target;
static unsigned long change_nr;

static long change_result(long ret)
{
	return ret < 0 ? -errno : 0;
}

static void change_fault(int sig)
{
	if (!change_jumps)
		_exit(128 + sig);
	siglongjmp(change_jump, 1);
}

/* A touch of whatever is there now. */
static long change_touch(unsigned long addr, bool write)
{
	if (sigsetjmp(change_jump, 1)) {
		change_jumps = false;
		return -EFAULT;
	}
	change_jumps = true;
	if (write)
		WRITE_ONCE(*(__u64 *)(addr & ~7UL), addr);
	else
		(void)READ_ONCE(*(__u64 *)(addr & ~7UL));
	change_jumps = false;
	return 0;
}

static long change_touches(__u64 *seed, bool write)
{
	unsigned long len, addr, i, nr = fuzz_below(seed, 64);
	long done = -EFAULT;

	addr = fuzz_range(seed, &len);
	for (i = 0; i < nr && i * PAGE_SIZE < len; i++) {
		if (!change_touch(addr + i * PAGE_SIZE +
				  fuzz_below(seed, PAGE_SIZE), write))
			done = 0;
	}
	return done;
}

static long change_write(__u64 *seed)
{
	return change_touches(seed, true);
}

static long change_read(__u64 *seed)
{
	return change_touches(seed, false);
}

static int change_prot(__u64 *seed)
{
	static const int prots[] = {
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE,
	};

	return prots[fuzz_below(seed, ARRAY_SIZE(prots))];
}

static long change_mmap_flags(__u64 *seed, int flags, int fd, off_t at)
{
	unsigned long len, addr = fuzz_range(seed, &len);
	void *got = mmap((void *)addr, len, change_prot(seed),
			 flags | MAP_FIXED | MAP_NORESERVE, fd, at);

	return got == MAP_FAILED ? -errno : 0;
}

static long change_anon(__u64 *seed)
{
	int flags = fuzz_one_in(seed, 8) ? MAP_POPULATE : 0;

	return change_mmap_flags(seed, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1,
				 0);
}

static long change_shared(__u64 *seed)
{
	return change_mmap_flags(seed, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static long change_file(__u64 *seed)
{
	return change_mmap_flags(seed, fuzz_one_in(seed, 2) ? MAP_SHARED :
							      MAP_PRIVATE,
				 change_memfd,
				 fuzz_below(seed, 64) * PAGE_SIZE);
}

static long change_hugetlb(__u64 *seed)
{
	unsigned long len, addr = fuzz_range(seed, &len) & ~(PMD_SIZE - 1);
	void *got = mmap((void *)addr, PMD_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED,
			 -1, 0);

	return got == MAP_FAILED ? -errno : change_touch(addr, true);
}

static long change_munmap(__u64 *seed)
{
	unsigned long len, addr = fuzz_range(seed, &len);

	return change_result(munmap((void *)addr, len));
}

static long change_mremap(__u64 *seed)
{
	unsigned long len, from = fuzz_range(seed, &len), to, room;
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	to = fuzz_range(seed, &room);
	if (fuzz_one_in(seed, 2)) {
		/* A page table moves as it is. */
		from &= ~(PMD_SIZE - 1);
		to &= ~(PMD_SIZE - 1);
		len = PMD_SIZE;
		room = PMD_SIZE;
	}
	if (len > room)
		len = room;
	if (fuzz_one_in(seed, 4))
		flags |= MREMAP_DONTUNMAP;
	return mremap((void *)from, len, len, flags, (void *)to) == MAP_FAILED ?
	       -errno : 0;
}

static long change_mprotect(__u64 *seed)
{
	unsigned long len, addr = fuzz_range(seed, &len);

	return change_result(mprotect((void *)addr, len, change_prot(seed)));
}

static long change_madvise(__u64 *seed)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_COLLAPSE, MADV_PAGEOUT, MADV_PAGEOUT,
		MADV_COLD, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_DONTFORK,
		MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_REMOVE,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};
	unsigned long len, addr = fuzz_range(seed, &len);

	return change_result(madvise((void *)addr, len, advices[
		fuzz_below(seed, ARRAY_SIZE(advices))]));
}

static long change_mlock(__u64 *seed)
{
	unsigned long len, addr = fuzz_range(seed, &len);

	return change_result(fuzz_one_in(seed, 2) ? mlock((void *)addr, len) :
						    munlock((void *)addr, len));
}

static long change_truncate(__u64 *seed)
{
	off_t at = fuzz_below(seed, FILE_LEN);

	if (fuzz_one_in(seed, 2))
		return change_result(fallocate(change_memfd,
					       FALLOC_FL_PUNCH_HOLE |
					       FALLOC_FL_KEEP_SIZE, at,
					       fuzz_below(seed, 1 << 20) + 1));
	if (ftruncate(change_memfd, at))
		return -errno;
	return change_result(ftruncate(change_memfd, FILE_LEN));
}

/* Nobody answers its faults: they are signals. */
static long change_register(__u64 *seed)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_SIGBUS,
	};
	struct uffdio_register reg = {
		.mode = fuzz_one_in(seed, 2) ? UFFDIO_REGISTER_MODE_MISSING :
					       UFFDIO_REGISTER_MODE_WP,
	};
	unsigned long len;
	int fd, old;

	if (fuzz_one_in(seed, 3))
		fd = -1;
	else
		fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -errno;
	}
	/* The old one goes, and its registrations with it. */
	old = __atomic_exchange_n(&change_uffd, fd, __ATOMIC_RELAXED);
	if (old >= 0)
		close(old);
	if (fd < 0)
		return 0;
	reg.range.start = fuzz_range(seed, &len);
	reg.range.len = len;
	return change_result(ioctl(fd, UFFDIO_REGISTER, &reg));
}

/* Its own pages into a pipe by reference, for a moment. */
static long change_vmsplice(__u64 *seed)
{
	unsigned long len, addr = fuzz_range(seed, &len);
	struct iovec vec = { (void *)addr, 8 * PAGE_SIZE };
	int fds[2];
	long ret;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	ret = change_result(vmsplice(fds[1], &vec, 1, SPLICE_F_NONBLOCK));
	sys_sleep_us(fuzz_below(seed, 3000));
	close(fds[0]);
	close(fds[1]);
	return ret;
}

/* The child writes what it shares with us, and is gone. */
static long change_fork(__u64 *seed)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid) {
		change_write(seed);
		waitpid(pid, NULL, 0);
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	change_write(seed);
	change_munmap(seed);
	_exit(0);
}

static long change_exit(__u64 *seed)
{
	if (change_is_target && fuzz_one_in(seed, 8)) {
		fuzz_count(&fuzz_shared->changes[fuzz_nr_changes - 2], true);
		_exit(0);
	}
	return -EAGAIN;
}

static long change_exec(__u64 *seed)
{
	char next[24], fd[12];

	if (!change_is_target || !fuzz_one_in(seed, 8))
		return -EAGAIN;
	snprintf(next, sizeof(next), "%llu", sys_random(seed));
	snprintf(fd, sizeof(fd), "%d", fuzz_shared_fd);
	/* It does not come back when it works. */
	fuzz_count(&fuzz_shared->changes[fuzz_nr_changes - 1], true);
	execl("/proc/self/exe", "fuzz", "--target", next, "--shared", fd, NULL);
	return -errno;
}

const struct fuzz_op fuzz_changes[] = {
	{ .name = "write", .run = change_write },
	{ .name = "write", .run = change_write },
	{ .name = "write", .run = change_write },
	{ .name = "read", .run = change_read },
	{ .name = "mmap anonymous", .run = change_anon },
	{ .name = "mmap anonymous", .run = change_anon },
	{ .name = "mmap shared", .run = change_shared },
	{ .name = "mmap memfd", .run = change_file },
	{ .name = "mmap hugetlb", .run = change_hugetlb },
	{ .name = "munmap", .run = change_munmap },
	{ .name = "mremap", .run = change_mremap },
	{ .name = "mprotect", .run = change_mprotect },
	{ .name = "madvise", .run = change_madvise },
	{ .name = "madvise", .run = change_madvise },
	{ .name = "madvise", .run = change_madvise },
	{ .name = "mlock", .run = change_mlock },
	{ .name = "truncate", .run = change_truncate },
	{ .name = "userfaultfd", .run = change_register },
	{ .name = "vmsplice", .run = change_vmsplice },
	{ .name = "fork", .run = change_fork },
	{ .name = "exit", .run = change_exit },
	{ .name = "exec", .run = change_exec },
};

const size_t fuzz_nr_changes = ARRAY_SIZE(fuzz_changes);

void fuzz_change(__u64 *seed)
{
	size_t op = fuzz_below(seed, fuzz_nr_changes);

	fuzz_count(&fuzz_shared->changes[op], fuzz_changes[op].run(seed) >= 0);
}

static void *change_thread(void *arg)
{
	__u64 seed = (unsigned long)arg;

	while (__atomic_fetch_add(&change_nr, 1, __ATOMIC_RELAXED) < LIFE_OPS) {
		fuzz_change(&seed);
		/* The calls are what is to be tested: they get the time. */
		sys_sleep_us(fuzz_below(&seed, 8000));
	}
	_exit(0);
}

/* Also for the fuzzer, which is a target itself. */
void fuzz_change_init(void)
{
	struct sigaction act = { .sa_handler = change_fault };

	ksft_must(!sigaction(SIGSEGV, &act, NULL));
	ksft_must(!sigaction(SIGBUS, &act, NULL));
	change_memfd = memfd_create("fuzz", MFD_CLOEXEC);
	ksft_must(change_memfd >= 0 && !ftruncate(change_memfd, FILE_LEN));
	ksft_must(mmap((void *)FUZZ_ARENA, FUZZ_ARENA_LEN,
		       PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		       -1, 0) == (void *)FUZZ_ARENA);
}

void fuzz_target_run(__u64 seed)
{
	pthread_t thread;
	int i, err;

	change_is_target = true;
	fuzz_change_init();
	for (i = 1; i < THREADS; i++) {
		err = pthread_create(&thread, NULL, change_thread,
				     (void *)(seed + i));
		/* EAGAIN: the one before is in exec already. */
		if (err && err != EAGAIN)
			ksft_exit_fail_msg("thread %d of a target: %s\n", i,
					   strerror(err));
	}
	change_thread((void *)seed);
}
