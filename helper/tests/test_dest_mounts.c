// SPDX-License-Identifier: GPL-2.0
/* The mounts that a source names for the namespace of a program. */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/mounts.h"

static size_t take(Migrate__Setup *setup, struct mounts *mounts)
{
	struct refusals refusals = { .nr = 0 };
	size_t nr;

	mounts_take(mounts, setup, &refusals);
	nr = refusals.nr;
	precheck_free(&refusals);
	return nr;
}

static void a_source_names_mounts_by_absolute_paths(void **state)
{
	Migrate__Mount one = MIGRATE__MOUNT__INIT, *list[1025];
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct mounts mounts;

	for (size_t i = 0; i < 1025; i++)
		list[i] = &one;
	one.name = "mh1";
	one.path = "/usr";
	setup.mounts = list;
	assert_int_equal(take(&setup, &mounts), 0);
	assert_null(mounts_root(&mounts));
	setup.root = "/srv/root";
	setup.n_mounts = 1;
	assert_int_equal(take(&setup, &mounts), 0);
	assert_int_equal(mounts.nr_binds, 2);
	assert_string_equal(mounts.binds[1].path, "/usr");
	mounts_free(&mounts);
	one.path = "usr";
	assert_int_equal(take(&setup, &mounts), 1);
	one.path = "/usr";
	one.name = "a]b";
	assert_int_equal(take(&setup, &mounts), 1);
	one.name = "mh1";
	setup.n_mounts = 1025;
	assert_int_equal(take(&setup, &mounts), 1);
	setup.n_mounts = 1;
	setup.root = NULL;
	assert_int_equal(take(&setup, &mounts), 1);
}

/* An init in a mount namespace of its own. */
static pid_t init_start(void)
{
	int pair[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    write(pair[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(pair[1]);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	close(pair[0]);
	return pid;
}

static int prepare(const char *base, pid_t init, const char *path, struct error *err)
{
	Migrate__Mount one = MIGRATE__MOUNT__INIT, *list[] = { &one };
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct owned_dir dir = { 0 };
	char whole[128], at[300];
	struct mounts mounts;
	int ret;

	snprintf(dir.path, sizeof(dir.path), "%s", base);
	snprintf(whole, sizeof(whole), "%s/%s", base, path);
	one.name = "mh1";
	one.path = whole;
	setup.root = "/usr";
	setup.mounts = list;
	setup.n_mounts = 1;
	assert_int_equal(take(&setup, &mounts), 0);
	ret = mounts_prepare(&mounts, &dir, false, init, err);
	snprintf(at, sizeof(at), "mnt[mh1]:%s/mount-1", base);
	if (!ret)
		assert_string_equal(mounts.externals[1], at);
	mounts_free(&mounts);
	return ret;
}

/* The program may have made the link, of a directory in which it can write. */
static void a_link_leads_to_no_mount(void **state)
{
	char base[] = "/tmp/test-mounts-XXXXXX", path[128];
	const char *const dirs[] = { "real", "real/sub" };
	struct error err = { 0 };
	pid_t init = init_start();

	assert_non_null(mkdtemp(base));
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", base, dirs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	snprintf(path, sizeof(path), "%s/link", base);
	assert_int_equal(symlink("real", path), 0);
	assert_int_equal(prepare(base, init, "link/sub", &err), -1);
	assert_non_null(strstr(err.what, "is a symbolic link here"));
	snprintf(path, sizeof(path), "rm -r %s/mount-*", base);
	assert_int_equal(system(path), 0);
	memset(&err, 0, sizeof(err));
	assert_int_equal(prepare(base, init, "real/sub", &err), 0);
	kill(init, SIGKILL);
	waitpid(init, NULL, 0);
	snprintf(path, sizeof(path), "rm -r %s", base);
	assert_int_equal(system(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_names_mounts_by_absolute_paths),
		cmocka_unit_test(a_link_leads_to_no_mount),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
