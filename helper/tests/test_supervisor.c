// SPDX-License-Identifier: GPL-2.0
/* Who starts a program again when it ends, by texts of /proc as machines with that supervisor have. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/supervisor.h"

static struct supervisor found;

static bool match(const char *comm, const char *dir, const char *cgroups)
{
	struct parent_facts facts = { .pid = 1 };

	snprintf(facts.comm, sizeof(facts.comm), "%s", comm);
	snprintf(facts.dir, sizeof(facts.dir), "%s", dir);
	snprintf(facts.cgroups, sizeof(facts.cgroups), "%s", cgroups);
	return supervisor_match(&facts, &found);
}

static void systemd_names_the_unit(void **state)
{
	/* Debian 12 */
	assert_true(match("systemd", "/", "0::/system.slice/redis-server.service\n"));
	assert_string_equal(found.name, "systemd");
	assert_string_equal(found.unit, "redis-server.service");
	assert_false(found.user);
	assert_string_equal(found.advice,
			    "systemctl edit --runtime redis-server.service, with [Service] and Restart=no");
	/* an instance, with control groups of its own */
	assert_true(match("systemd", "/",
			  "0::/system.slice/system-postgresql.slice/postgresql@15-main.service/workers\n"));
	assert_string_equal(found.unit, "postgresql@15-main.service");
	/* Debian 10: cgroup v1 and v2 side by side */
	assert_true(match("systemd", "/",
			  "9:memory:/system.slice/cron.service\n"
			  "2:cpu,cpuacct:/\n"
			  "1:name=systemd:/system.slice/cron.service\n"
			  "0::/system.slice/cron.service\n"));
	assert_string_equal(found.unit, "cron.service");
	assert_true(match("systemd", "/", "3:pids:/else.service\n1:name=systemd:/system.slice/a.service\n0::/\n"));
	assert_string_equal(found.unit, "a.service");
}

static void a_users_systemd_is_another_one(void **state)
{
	assert_true(match("systemd", "/home/a",
			  "0::/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service\n"));
	assert_string_equal(found.unit, "syncthing.service");
	assert_true(found.user);
	assert_non_null(strstr(found.advice, "systemctl --user edit --runtime syncthing.service"));
}

static void an_orphan_has_no_unit(void **state)
{
	/* of a shell of ssh, of a terminal, of the kernel's own group */
	assert_false(match("systemd", "/", "0::/user.slice/user-0.slice/session-4.scope\n"));
	assert_false(match("systemd", "/", "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n"));
	assert_false(match("systemd", "/", "0::/\n"));
	assert_false(match("systemd", "/", ""));
	/* a service, but its shell waits for it */
	assert_false(match("make", "/", "0::/system.slice/build.service\n"));
	assert_false(match("init", "/", "0::/system.slice/x.service\n"));
}

static void others_tell_their_directory(void **state)
{
	assert_true(match("runsv", "/etc/service/web", "0::/\n"));
	assert_string_equal(found.advice, "sv once /etc/service/web");
	assert_true(match("s6-supervise", "/run/service/web", "0::/\n"));
	assert_string_equal(found.advice, "s6-svc -O /run/service/web");
	assert_true(match("supervise", "/service/web", "0::/\n"));
	assert_string_equal(found.advice, "svc -o /service/web");
	assert_true(match("runsv", "", ""));
	assert_string_equal(found.advice, "sv once SERVICE");
	assert_string_equal(found.when, "before the move");
	/* the service of runit itself is of systemd's: runsv is nearer */
	assert_true(match("runsv", "/etc/service/web", "0::/system.slice/runit.service\n"));
	assert_string_equal(found.name, "runit");
	assert_true(match("supervisord", "/", "0::/system.slice/supervisor.service\n"));
	assert_string_equal(found.name, "supervisord");
	assert_string_equal(found.when, "at once after the move");
	assert_true(match("containerd-shim", "/", "0::/docker/0123\n"));
	assert_non_null(strstr(found.advice, "docker update --restart=no"));
}

static void restarts(void **state)
{
	assert_true(supervisor_restarts("always"));
	assert_true(supervisor_restarts("on-failure"));
	assert_true(supervisor_restarts("on-abnormal"));
	assert_true(supervisor_restarts("on-abort"));
	assert_true(supervisor_restarts("?"));
	assert_false(supervisor_restarts("no"));
	assert_false(supervisor_restarts("on-success"));
	assert_false(supervisor_restarts("on-watchdog"));
}

static void systemctl_says(const char *dir, const char *script)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/systemctl", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", script);
	fclose(file);
	assert_int_equal(chmod(path, 0755), 0);
}

static void systemctl_is_asked(void **state)
{
	struct supervisor of = { .unit = "a b.service" };
	char dir[] = "/tmp/supervisor-XXXXXX", restart[16], path[64], old[512];

	assert_non_null(mkdtemp(dir));
	snprintf(old, sizeof(old), "%s", getenv("PATH"));
	setenv("PATH", dir, 1);
	assert_false(supervisor_ask(&of, restart, sizeof(restart)));
	systemctl_says(dir, "[ \"$1 $2 $3 $4\" = 'show --property=Restart -- a b.service' ] && echo Restart=on-failure");
	assert_true(supervisor_ask(&of, restart, sizeof(restart)));
	assert_string_equal(restart, "on-failure");
	systemctl_says(dir, "exit 1");
	assert_false(supervisor_ask(&of, restart, sizeof(restart)));
	systemctl_says(dir, "echo Restart=; exit 0");
	assert_false(supervisor_ask(&of, restart, sizeof(restart)));
	systemctl_says(dir, "echo Restart=a-word-that-is-much-too-long-for-this");
	assert_true(supervisor_ask(&of, restart, sizeof(restart)));
	assert_int_equal(strlen(restart), sizeof(restart) - 1);
	of.user = true;
	assert_false(supervisor_ask(&of, restart, sizeof(restart)));
	setenv("PATH", old, 1);
	snprintf(path, sizeof(path), "%s/systemctl", dir);
	unlink(path);
	rmdir(dir);
}

static void the_parent_is_read(void **state)
{
	struct parent_facts facts;
	char dir[128];

	assert_true(supervisor_read(getpid(), getpid(), &facts));
	assert_non_null(strstr(facts.comm, "test_supervisor"));
	assert_non_null(getcwd(dir, sizeof(dir)));
	assert_memory_equal(facts.dir, dir, strnlen(dir, sizeof(facts.dir) - 1));
	assert_non_null(strchr(facts.cgroups, '/'));
	assert_false(supervisor_read(getpid(), 0, &facts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(systemd_names_the_unit),
		cmocka_unit_test(a_users_systemd_is_another_one),
		cmocka_unit_test(an_orphan_has_no_unit),
		cmocka_unit_test(others_tell_their_directory),
		cmocka_unit_test(restarts),
		cmocka_unit_test(systemctl_is_asked),
		cmocka_unit_test(the_parent_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
