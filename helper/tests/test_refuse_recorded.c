// SPDX-License-Identifier: GPL-2.0
/*
 * Rows that no CPU and no kernel of the test suite can show. The texts and the answer come from
 * other kernels: Linux 6.6 with shadow stacks, CONFIG_ANON_VMA_NAME, CONFIG_SCHED_CORE.
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
#include "source/surroundings.h"

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

static struct criu_version criu;
static struct source_process process;
static struct source_process *list[] = { &process };
static struct tree tree = { .processes = list, .nr = 1 };
static struct vma_list vmas;
static struct losses losses;
static struct surroundings around = { .tree = &tree };
static struct inspection look = {
	.tree = &tree, .around = &around,
	.criu = &criu, .process = &process, .vmas = &vmas, .losses = &losses,
};

static int set_up(void **state)
{
	process.pid = getpid();
	return 0;
}

static int tear_down(void **state)
{
	maps_free(&vmas);
	losses_free(&losses);
	surroundings_forget(&around);
	return 0;
}

static const char *detail(enum loss loss)
{
	for (size_t i = 0; i < losses.nr; i++)
		if (losses.items[i].loss == loss)
			return losses.items[i].detail;
	return "";
}

static void shadow_stack(void **state)
{
	struct error err = { 0 };

	refuse_status_line(&look, "x86_Thread_features:\t\n");
	refuse_status_line(&look, "x86_Thread_features_locked:\tshstk wrss \n");
	assert_int_equal(losses.nr, 0);
	criu = (struct criu_version){ .major = 4, .minor = 1 };
	refuse_status_line(&look, "x86_Thread_features:\tshstk wrss \n");
	assert_int_equal(losses.nr, 0);
	criu = (struct criu_version){ .major = 3, .minor = 17 };
	refuse_status_line(&look, "x86_Thread_features:\tshstk wrss \n");
	assert_int_equal(losses.count[LOSS_SHADOW_STACK], 1);
	assert_int_equal(losses_refused(&losses, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.hint, "--accept-loss shadow-stack "));
}

/* Of Debian's kernel with AppArmor, of Fedora's with SELinux, and of a container of LXD. */
static void apparmor_namespaces(void **state)
{
	static const char *const fine[] = {
		"unconfined\n", "docker-default (enforce)\n", "/usr/bin/man//filter (enforce)\n",
		"unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023", "a//&b (enforce)\n", "",
	};
	static const char *const spaces[] = {
		":lxd-c1_<var-lib-lxd>:unconfined (enforce)\n",
		"lxd-c1_</var/lib/lxd>//&:lxd-c1_<var-lib-lxd>:unconfined (enforce)\n",
	};
	struct refusals refusals = { 0 };
	struct error err = { 0 };

	for (size_t i = 0; i < sizeof(fine) / sizeof(*fine); i++)
		refuse_label(7, fine[i], &refusals);
	refuse_apparmor(getpid(), &refusals);
	assert_int_equal(refusals.nr, 0);
	for (size_t i = 0; i < 2; i++) {
		memset(&err, 0, sizeof(err));
		refuse_label(7, spaces[i], &refusals);
		assert_int_equal(refusals.nr, 1);
		assert_int_equal(refusals_end(&refusals, 7, &err), -1);
		assert_int_equal(err.code, CODE_REFUSED);
		assert_non_null(strstr(err.what, "process 7 is in an AppArmor namespace ("));
		assert_null(strchr(err.what, '\n'));
		refusals = (struct refusals){ 0 };
	}
}

static void core_cookie(void **state)
{
	struct proc_files files = { 0 };
	struct error err = { 0 };

	cookie = 0;
	assert_int_equal(refuse_attributes(&look, &files, &err), 0);
	assert_int_equal(cookie_of, getpid());
	assert_int_equal(losses.count[LOSS_CORE_SCHEDULING], 0);
	cookie = 0xffff8881deadbeef;
	assert_int_equal(refuse_attributes(&look, &files, &err), 0);
	assert_string_equal(detail(LOSS_CORE_SCHEDULING), "cookie 0xffff8881deadbeef");
	cookie = 0;
}

static void mapping_names(void **state)
{
	static const char text[] =
		"7f56b7600000-7f56b7621000 rw-p 00000000 00:00 0                          [anon:heap of x]\n"
		"7f56b7700000-7f56b7701000 rw-p 00000000 00:00 0                          [stack]\n"
		"7f56b7800000-7f56b7801000 rw-s 00000000 00:01 7                          [anon_shmem:y]\n";
	struct proc_files files = { 0 };
	struct error err = { 0 };
	FILE *file = fmemopen((void *)text, strlen(text), "r");

	assert_int_equal(maps_parse(file, &vmas, &err), 0);
	fclose(file);
	assert_int_equal(refuse_attributes(&look, &files, &err), 0);
	assert_string_equal(detail(LOSS_MAPPING_NAMES), "[anon:heap of x] at 0x7f56b7600000");
	assert_int_equal(losses.count[LOSS_MAPPING_NAMES], 2);
}

/* The other process has it open: it is seen by its device and inode, whatever its name here. */
static void named_shared_memory(void **state)
{
	/* the other process is a child of the test: it must be none of the program's */
	struct source_process nobody = { .pid = 0 };
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
	assert_int_equal(maps_parse(file, &vmas, &err), 0);
	fclose(file);
	other = fork();
	if (!other) {
		alarm(60);
		for (;;)
			pause();
	}
	close(fd);
	list[0] = &nobody;
	assert_int_equal(refuse_shared(&look, &files, &err), 0);
	list[0] = &process;
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	snprintf(text, sizeof(text), "[anon_shmem:y], with process %d ", other);
	assert_int_equal(strncmp(detail(LOSS_SHARED_MEMORY), text, strlen(text)), 0);
}

#define LOOK_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOK_TEST(shadow_stack),
		LOOK_TEST(apparmor_namespaces),
		LOOK_TEST(core_cookie),
		LOOK_TEST(mapping_names),
		LOOK_TEST(named_shared_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
