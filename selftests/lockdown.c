// SPDX-License-Identifier: GPL-2.0
/*
 * A locked-down kernel: a loaded module goes on, since a task's memory is not the kernel's; the
 * kernel refuses to load an unsigned module. Lockdown lasts until the next boot, so this test
 * comes last, and needs an option:
 *	lockdown --for-good MODULE
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define SECURITYFS	"/sys/kernel/security"
#define LOCKDOWN	SECURITYFS "/lockdown"
#define SEED		5UL
#define EXIT_SKIP	4

/* Return: -errno; there is a module of that name, so it is never 0 */
static int lockdown_load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	ksft_must(fd >= 0);
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

static void lockdown_test_session(const char *level)
{
	int pair[2], pipe_fds[2];
	struct target t;
	struct svm s;
	char page[PAGE_SIZE];
	unsigned long addr;
	__u32 flags = 0;

	target_start(&t);
	addr = target_map(&t, PMD_SIZE, MADV_NOHUGEPAGE);
	target_fill(&t, addr, PAGE_SIZE, SEED);
	svm_open(&s, t.pid, true);
	net_unix_pair(pair);
	ksft_must(!pipe(pipe_fds));
	ksft_must(svm_send_one(s.fd, pair[0], addr, 1, &flags) == 1);
	ksft_test_value(flags, SPLICE_VM_RUN_SENT, "%s: SEND\n", level);
	ksft_test_value(svm_splice(s.fd, pipe_fds[1], addr, PAGE_SIZE), PAGE_SIZE,
			"%s: splice\n", level);
	ksft_test_result(read(pipe_fds[0], page, sizeof(page)) == sizeof(page) &&
			 pattern_is(page, addr, sizeof(page), SEED),
			 "%s: what it gives\n", level);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(pair[0]);
	close(pair[1]);
	svm_close(&s);
	target_stop(&t);
}

int main(int argc, char **argv)
{
	static const char * const levels[] = { "integrity", "confidentiality" };
	size_t i;

	if (argc != 3 || strcmp(argv[1], "--for-good")) {
		ksft_print_msg("locks the kernel down until it is started anew: not without --for-good MODULE\n");
		return EXIT_SKIP;
	}
	ksft_print_header();
	if (access(LOCKDOWN, F_OK))
		ksft_must(!mount("securityfs", SECURITYFS, "securityfs", 0, NULL));
	ksft_test_value(lockdown_load(argv[2]), -EEXIST,
			"control: none: a module that nobody signed is not refused\n");
	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		ksft_must(!sys_write_file(LOCKDOWN, levels[i]));
		lockdown_test_session(levels[i]);
		ksft_test_value(lockdown_load(argv[2]), -EPERM,
				"%s: a module that nobody signed\n", levels[i]);
	}
	ksft_finished();
}
