// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frozen.h"
#include "ksft.h"
#include "sys.h"

#define TRIES		500
#define TRY_US		20000

static char dir[] = "/tmp/frozen.XXXXXX";

static void path_of(char path[64], const char *file)
{
	snprintf(path, 64, "%s/group/%s", dir, file);
}

static void write_to(const char *file, const char *text)
{
	char path[64];

	path_of(path, file);
	ksft_must(!sys_write_file(path, text));
}

void frozen_mount(void)
{
	char path[64];

	ksft_must(mkdtemp(dir));
	ksft_must(!mount("none", dir, "cgroup", 0, "freezer"));
	path_of(path, "");
	ksft_must(!mkdir(path, 0700));
}

void frozen_unmount(void)
{
	char path[64];

	path_of(path, "");
	ksft_must(!rmdir(path));
	ksft_must(!umount(dir));
	rmdir(dir);
}

bool frozen_freeze(pid_t pid)
{
	char path[64], state[16] = "", number[16];
	int i;

	snprintf(number, sizeof(number), "%d", pid);
	write_to("tasks", number);
	write_to("freezer.state", "FROZEN");
	path_of(path, "freezer.state");
	for (i = 0; i < TRIES && strcmp(state, "FROZEN"); i++) {
		sys_sleep_us(TRY_US);
		ksft_must(sys_read_line(path, state, sizeof(state)));
	}
	return !strcmp(state, "FROZEN");
}

void frozen_thaw(void)
{
	write_to("freezer.state", "THAWED");
}
