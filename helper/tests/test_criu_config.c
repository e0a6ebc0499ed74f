// SPDX-License-Identifier: GPL-2.0
/* Which options of CRIU's own are handed on, and what a source gets at a destination. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "criu/config.h"

static struct criu_config config;

static int add(const char *line, enum criu_end at, struct error *err)
{
	memset(err, 0, sizeof(*err));
	return criu_config_add(&config, line, at, err);
}

static void assert_text(enum criu_end end, const char *want)
{
	char *text = criu_config_text(&config, end);

	assert_string_equal(text, want);
	free(text);
}

static void assert_externals(enum criu_end end, const char *want)
{
	char *others[] = { "mnt[]" }, text[256] = "";
	size_t nr = 1;
	char **all = criu_config_externals(&config, end, others, &nr);

	for (size_t i = 0; i < nr; i++) {
		strcat(text, all[i]);
		strcat(text, " ");
	}
	assert_string_equal(text, want);
	free(all);
}

static void each_option_goes_to_the_criu_that_reads_it(void **state)
{
	static const char *const lines[] = {
		"# a comment\n", "\n", "  ghost-limit\t 1M  # as much\n", "ext-unix-sk\n",
		"mntns-compat-mode", "external mnt[/data]:data\n", "external veth[eth0]\n",
	};
	struct error err;

	config.nr = 0;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_int_equal(add(lines[i], CRIU_END_DUMP, &err), 0);
	assert_text(CRIU_END_DUMP, "ghost-limit 1M\next-unix-sk\n");
	assert_externals(CRIU_END_DUMP, "mnt[/data]:data mnt[] ");
	config.nr = 0;
	assert_int_equal(add("external mnt[data]:/srv", CRIU_END_RESTORE, &err), 0);
	assert_int_equal(add("external veth[eth0]:v0@br0", CRIU_END_RESTORE, &err), 0);
	assert_text(CRIU_END_RESTORE, "");
	assert_externals(CRIU_END_DUMP, "mnt[data]:/srv mnt[] ");
	assert_externals(CRIU_END_RESTORE, "mnt[data]:/srv veth[eth0]:v0@br0 mnt[] ");
}

/* With each of these the program would run twice, or never, or the hand-over would not be heard of. */
static void options_that_break_the_hand_over_are_refused_by_name(void **state)
{
	static const char *const names[] = {
		"leave-running", "leave-stopped", "page-server", "lazy-pages", "images-dir /x",
		"prev-images-dir /x", "track-mem", "pidfile /x", "exec-cmd", "action-script /x",
		"auto-dedup", "stream", "log-file /x", "status-fd 1", "shell-job", "tcp-close",
		"tcp-established", "network-lock nftables", "freeze-cgroup /x", "no-such-option",
		"external unix[7]", "external file[1:2]:x", "external pid[1]:x", "external mnt[]",
		"inherit-fd fd[1]:x", "work-dir /x", "config /x", "external mnt", "external mnt[/x",
		"ghost-limit", "ghost-limit 1 2", "ghost-limit \"1\"", "ext-unix-sk 1",
		"external mnt[/x]", "external mnt[x]:/y", "external veth[eth0]:x@y", "external net[7]:x", "external dev[]:x",
		"empty-ns pid", "--ext-unix-sk",
	};
	struct error err;

	config.nr = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char name[64];

		assert_int_equal(add(names[i], CRIU_END_DUMP, &err), -1);
		assert_int_equal(err.code, CODE_USAGE);
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(names[i], " "), names[i]);
		assert_non_null(strstr(err.what, name));
	}
	assert_int_equal(config.nr, 0);
	assert_int_equal(add("external mnt[data]", CRIU_END_RESTORE, &err), -1);
	assert_int_equal(add("external mnt[data]:srv", CRIU_END_RESTORE, &err), -1);
}

static void a_file_is_read_whole_and_its_line_is_told(void **state)
{
	char path[] = "/tmp/test-criu-config-XXXXXX";
	int fd = mkstemp(path);
	struct error err = { 0 };

	assert_true(fd >= 0 && write(fd, "link-remap\n\nleave-running\n", 26) == 26);
	close(fd);
	assert_int_equal(criu_config_read(&config, path, CRIU_END_DUMP, &err), -1);
	assert_non_null(strstr(err.what, "line 3: option leave-running"));
	unlink(path);
	memset(&err, 0, sizeof(err));
	assert_int_equal(criu_config_read(&config, path, CRIU_END_DUMP, &err), -1);
	assert_int_equal(err.code, CODE_USAGE);
	memset(&err, 0, sizeof(err));
	assert_int_equal(criu_config_read(&config, NULL, CRIU_END_DUMP, &err), 0);
	assert_int_equal(config.nr, 0);
}

static void no_more_options_than_there_is_room_for(void **state)
{
	char line[CRIU_OPTION_BYTES + 16];
	struct error err;

	config.nr = 0;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	memcpy(line, "skip-mnt /", 10);
	assert_int_equal(add(line, CRIU_END_DUMP, &err), -1);
	for (int i = 0; i < CRIU_OPTIONS_MAX; i++)
		assert_int_equal(add("skip-mnt /x", CRIU_END_DUMP, &err), 0);
	assert_int_equal(add("skip-mnt /x", CRIU_END_DUMP, &err), -1);
	assert_int_equal(config.nr, CRIU_OPTIONS_MAX);
}

static bool asks(const char *line, char asked[CRIU_OPTION_BYTES])
{
	struct error err;

	config.nr = 0;
	assert_int_equal(add(line, CRIU_END_DUMP, &err), 0);
	return criu_config_ask(&config.options[0], asked);
}

static void a_source_asks_by_name(void **state)
{
	char asked[CRIU_OPTION_BYTES];

	assert_true(asks("external mnt[/data]:data", asked));
	assert_string_equal(asked, "external mnt[data]");
	assert_true(asks("external veth[eth0]", asked));
	assert_string_equal(asked, "external veth[eth0]");
	assert_true(asks("enable-fs fuse", asked));
	assert_string_equal(asked, "enable-fs fuse");
	assert_false(asks("ghost-limit 1M", asked));
	assert_false(asks("skip-mnt /x", asked));
}

static int grant(const struct criu_config *here, const char *asked)
{
	struct error err = { 0 };
	int ret;

	config.nr = 0;
	ret = criu_config_grant(here, asked, &config, &err);
	assert_int_equal(ret, err.code == CODE_OK ? 0 : -1);
	return ret;
}

static void a_destination_grants_what_its_file_says(void **state)
{
	static struct criu_config here;
	struct error err = { 0 };

	assert_int_equal(criu_config_add(&here, "external mnt[data]:/srv", CRIU_END_RESTORE, &err), 0);
	assert_int_equal(criu_config_add(&here, "enable-fs fuse", CRIU_END_RESTORE, &err), 0);
	assert_int_equal(grant(&here, "external mnt[data]"), 0);
	assert_externals(CRIU_END_RESTORE, "mnt[data]:/srv mnt[] ");
	assert_int_equal(grant(&here, "enable-fs fuse"), 0);
	assert_int_equal(grant(&here, "weak-sysctls"), 0);
	assert_text(CRIU_END_RESTORE, "weak-sysctls\n");
}

/* A source must not reach a path, or a network, of a destination that does not name it. */
static void a_destination_grants_nothing_else(void **state)
{
	static const char *const asked[] = {
		"external mnt[dat]", "external mnt[data", "external mnt[data]:/etc", "external mnt[]",
		"external veth[eth0]", "external net[data]", "enable-fs fuse,xfs", "enable-fs",
		"lsm-profile apparmor:x", "ghost-limit 1M", "leave-running", "images-dir /x", "x",
		"", "# weak-sysctls", "weak-sysctls\nimages-dir /x", "file-validation a\nimages-dir /x",
		"external", "external mnt[data]\nimages-dir /x",
	};
	static struct criu_config here;
	struct error err = { 0 };

	assert_int_equal(criu_config_add(&here, "external mnt[data]:/srv", CRIU_END_RESTORE, &err), 0);
	assert_int_equal(criu_config_add(&here, "enable-fs fuse", CRIU_END_RESTORE, &err), 0);
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
		if (grant(&here, asked[i]))
			continue;
		/* what follows a line's end counts for nothing */
		assert_true(strchr(asked[i], '\n'));
		assert_null(strstr(config.options[0].text, "images-dir"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_option_goes_to_the_criu_that_reads_it),
		cmocka_unit_test(options_that_break_the_hand_over_are_refused_by_name),
		cmocka_unit_test(a_file_is_read_whole_and_its_line_is_told),
		cmocka_unit_test(no_more_options_than_there_is_room_for),
		cmocka_unit_test(a_source_asks_by_name),
		cmocka_unit_test(a_destination_grants_what_its_file_says),
		cmocka_unit_test(a_destination_grants_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
