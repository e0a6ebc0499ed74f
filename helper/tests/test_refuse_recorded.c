// SPDX-License-Identifier: GPL-2.0
/*
 * Rows that no CPU and no kernel of ours can show. The texts and the answer are those of kernels
 * that can: Linux 6.6 with shadow stacks, CONFIG_ANON_VMA_NAME, CONFIG_SCHED_CORE.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/refuse.h"

#define SCHED_CORE	62

static uint64_t cookie;
static pid_t cookie_of;

/* The helper's calls come here too. */
int prctl(int option, ...)
{
	unsigned long args[4];
	va_list list;

	va_start(list, option);
	for (int i = 0; i < 4; i++)
		args[i] = va_arg(list, unsigned long);
	va_end(list);
	if (option != SCHED_CORE)
		return syscall(SYS_prctl, option, args[0], args[1], args[2], args[3]);
	/* PR_SCHED_CORE_GET of a thread */
	assert_int_equal(args[0], 0);
	assert_int_equal((int)args[2], 0);
	cookie_of = args[1];
	*(uint64_t *)args[3] = cookie;
	return 0;
}

static struct migrate_options opts;

static struct outgoing *outgoing_make(void)
{
	struct outgoing *out = calloc(1, sizeof(*out));

	assert_non_null(out);
	opts.pid = getpid();
	out->opts = &opts;
	return out;
}

static void outgoing_free(struct outgoing *out)
{
	maps_free(&out->vmas);
	losses_free(&out->losses);
	free(out);
}

static const char *detail(const struct outgoing *out, enum loss loss)
{
	for (size_t i = 0; i < out->losses.nr; i++)
		if (out->losses.items[i].loss == loss)
			return out->losses.items[i].detail;
	return "";
}

static void shadow_stack(void **state)
{
	struct outgoing *out = outgoing_make();
	struct error err = { 0 };

	refuse_status_line(out, "x86_Thread_features:\t\n");
	refuse_status_line(out, "x86_Thread_features_locked:\tshstk wrss \n");
	assert_int_equal(out->losses.nr, 0);
	out->criu = (struct criu_version){ .major = 4, .minor = 1 };
	refuse_status_line(out, "x86_Thread_features:\tshstk wrss \n");
	assert_int_equal(out->losses.nr, 0);
	out->criu = (struct criu_version){ .major = 3, .minor = 17 };
	refuse_status_line(out, "x86_Thread_features:\tshstk wrss \n");
	assert_int_equal(out->losses.count[LOSS_SHADOW_STACK], 1);
	assert_int_equal(losses_refused(&out->losses, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.hint, "--accept-loss shadow-stack "));
	outgoing_free(out);
}

static void core_cookie(void **state)
{
	struct outgoing *out = outgoing_make();
	struct proc_files files = { 0 };
	struct error err = { 0 };

	cookie = 0;
	assert_int_equal(refuse_attributes(out, &files, &err), 0);
	assert_int_equal(cookie_of, getpid());
	assert_int_equal(out->losses.count[LOSS_CORE_SCHEDULING], 0);
	cookie = 0xffff8881deadbeef;
	assert_int_equal(refuse_attributes(out, &files, &err), 0);
	assert_string_equal(detail(out, LOSS_CORE_SCHEDULING), "cookie 0xffff8881deadbeef");
	cookie = 0;
	outgoing_free(out);
}

static void mapping_names(void **state)
{
	static const char text[] =
		"7f56b7600000-7f56b7621000 rw-p 00000000 00:00 0                          [anon:heap of x]\n"
		"7f56b7700000-7f56b7701000 rw-p 00000000 00:00 0                          [stack]\n"
		"7f56b7800000-7f56b7801000 rw-s 00000000 00:01 7                          [anon_shmem:y]\n";
	struct outgoing *out = outgoing_make();
	struct proc_files files = { 0 };
	struct error err = { 0 };
	FILE *file = fmemopen((void *)text, strlen(text), "r");

	assert_int_equal(maps_parse(file, &out->vmas, &err), 0);
	fclose(file);
	assert_int_equal(refuse_attributes(out, &files, &err), 0);
	assert_string_equal(detail(out, LOSS_MAPPING_NAMES), "[anon:heap of x] at 0x7f56b7600000");
	assert_int_equal(out->losses.count[LOSS_MAPPING_NAMES], 2);
	outgoing_free(out);
}

/* The other process has it open: it is seen by its device and inode, whatever its name here. */
static void named_shared_memory(void **state)
{
	struct outgoing *out = outgoing_make();
	struct proc_files files = { 0 };
	struct error err = { 0 };
	int fd = memfd_create("recorded", MFD_CLOEXEC);
	char text[128];
	struct stat st;
	pid_t other;
	FILE *file;

	assert_int_equal(fstat(fd, &st), 0);
	snprintf(text, sizeof(text),
		 "7f56b7800000-7f56b7801000 rw-s 00000000 %02x:%02x %lu      [anon_shmem:y]\n",
		 major(st.st_dev), minor(st.st_dev), (unsigned long)st.st_ino);
	file = fmemopen(text, strlen(text), "r");
	assert_int_equal(maps_parse(file, &out->vmas, &err), 0);
	fclose(file);
	other = fork();
	if (!other) {
		alarm(60);
		for (;;)
			pause();
	}
	close(fd);
	assert_int_equal(refuse_shared(out, &files, &err), 0);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	snprintf(text, sizeof(text), "[anon_shmem:y], with process %d ", other);
	assert_int_equal(strncmp(detail(out, LOSS_SHARED_MEMORY), text, strlen(text)), 0);
	outgoing_free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shadow_stack),
		cmocka_unit_test(core_cookie),
		cmocka_unit_test(mapping_names),
		cmocka_unit_test(named_shared_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
