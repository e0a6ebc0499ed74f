// SPDX-License-Identifier: GPL-2.0
/* What the ledger says of a migration, and that nothing foreign is taken for an entry. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "session/ledger.h"

#define ID	"00112233445566778899aabbccddeeff"

static char base[] = "/tmp/test_ledger.XXXXXX";

static int setup(void **state)
{
	strcpy(base, "/tmp/test_ledger.XXXXXX");
	return mkdtemp(base) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command);
}

static struct ledger_entry some(const char *id)
{
	struct ledger_entry entry = {
		.side = LEDGER_SOURCE, .state = LEDGER_PREPARED, .pid = 4711, .start_ticks = 1UL << 40,
		.program = "redis\nstate DONE", .peer = "there:7000",
	};

	strcpy(entry.id, id);
	return entry;
}

/** struct found - @nr entries, and the last one */
struct found {
	struct ledger_entry last;
	int nr;
};

static int take(void *ctx, const struct ledger_entry *entry)
{
	struct found *found = ctx;

	found->last = *entry;
	found->nr++;
	return 0;
}

static struct found look(void)
{
	struct found found = { 0 };

	assert_int_equal(ledger_each(base, take, &found), 0);
	return found;
}

static void path_of(const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", base, name);
}

/* As after a boot: the file stays, and the machine's boot is another one. */
static void boot(const char *name)
{
	char path[128], text[1024] = "";
	FILE *file;
	char *at;
	size_t n;

	path_of(name, path);
	file = fopen(path, "r+");
	assert_non_null(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = 0;
	at = strstr(text, "boot ");
	assert_non_null(at);
	at[5] = at[5] == 'a' ? 'b' : 'a';
	rewind(file);
	assert_int_equal(fwrite(text, 1, n, file), n);
	fclose(file);
}

static void states_follow(void **state)
{
	static const enum ledger_state course[] = { LEDGER_COMMITTED, LEDGER_STARTED, LEDGER_ABORTED, LEDGER_DONE, LEDGER_ENDED };
	const struct ledger_entry entry = some(ID);
	struct error err = { 0 };
	struct ledger ledger;
	struct found found;

	assert_int_equal(ledger_begin(&ledger, base, &entry, &err), 0);
	found = look();
	assert_int_equal(found.nr, 1);
	assert_string_equal(found.last.id, ID);
	assert_int_equal(found.last.side, LEDGER_SOURCE);
	assert_int_equal(found.last.state, LEDGER_PREPARED);
	assert_int_equal(found.last.pid, 4711);
	assert_int_equal(found.last.start_ticks, 1UL << 40);
	assert_string_equal(found.last.peer, "there:7000");
	/* a name is one line, whatever it is */
	assert_string_equal(found.last.program, "redis?state DONE");
	assert_true(found.last.lives);
	assert_false(found.last.rebooted);
	for (size_t i = 0; i < sizeof(course) / sizeof(*course); i++) {
		assert_int_equal(ledger_set(&ledger, course[i], &err), 0);
		assert_int_equal(look().last.state, course[i]);
		assert_string_equal(look().last.peer, "there:7000");
	}
	ledger_close(&ledger);
	assert_false(look().last.lives);
	boot(ID "-source");
	assert_true(look().last.rebooted);
}

/* Helper and keeper: the migration is in hand as long as one of them lives. */
static void another_process_keeps_it(void **state)
{
	const struct ledger_entry entry = some(ID);
	struct error err = { 0 };
	struct ledger ledger;
	int go[2];
	pid_t child;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(ledger_begin(&ledger, base, &entry, &err), 0);
	child = fork();
	if (!child) {
		char byte;

		close(go[1]);
		_exit(read(go[0], &byte, 1) == 1 ? ledger_set(&ledger, LEDGER_COMMITTED, &err) : 1);
	}
	close(go[0]);
	ledger_close(&ledger);
	assert_true(look().last.lives);
	assert_int_equal(ledger_settle(base, ID, LEDGER_SOURCE, LEDGER_ABORTED, &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(go[1]);
	assert_int_equal(look().last.state, LEDGER_COMMITTED);
	assert_false(look().last.lives);
	memset(&err, 0, sizeof(err));
	assert_int_equal(ledger_settle(base, ID, LEDGER_SOURCE, LEDGER_ABORTED, &err), 0);
	assert_int_equal(look().last.state, LEDGER_ABORTED);
	assert_int_equal(ledger_settle(base, ID, LEDGER_DEST, LEDGER_ABORTED, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
}

static void one_entry_once(void **state)
{
	const struct ledger_entry entry = some(ID);
	struct error err = { 0 };
	struct ledger ledger, second;

	assert_int_equal(ledger_begin(&ledger, base, &entry, &err), 0);
	assert_int_equal(ledger_begin(&second, base, &entry, &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	assert_int_equal(second.fd, 0);
	/* the first one is as it was */
	assert_int_equal(look().nr, 1);
	assert_true(look().last.lives);
	/* in doubt it stays, although nobody has it in hand */
	assert_int_equal(ledger_set(&ledger, LEDGER_COMMITTED, &err), 0);
	ledger_close(&ledger);
	assert_int_equal(ledger_begin(&second, base, &entry, &err), -1);
	memset(&err, 0, sizeof(err));
	assert_int_equal(ledger_settle(base, ID, LEDGER_SOURCE, LEDGER_ENDED, &err), 0);
	assert_int_equal(ledger_begin(&second, base, &entry, &err), 0);
	assert_int_equal(look().last.state, LEDGER_PREPARED);
	ledger_close(&second);
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	path_of(name, path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void foreign_files(void **state)
{
	char path[128], target[128];

	write_file("notes", "state DONE\nboot x\n");
	write_file(ID "-elsewhere", "state DONE\nboot x\n");
	write_file("0011-source", "state DONE\nboot x\n");
	write_file(ID "-source", "");
	write_file("1" ID "-source", "state DONE\nboot x\n");
	path_of("a0112233445566778899aabbccddeeff-source", path);
	path_of("notes", target);
	assert_int_equal(symlink(target, path), 0);
	path_of("b0112233445566778899aabbccddeeff-source", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	path_of("c0112233445566778899aabbccddeeff-dest", path);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file("d0112233445566778899aabbccddeeff-dest", "state NONSENSE\nboot x\n");
	write_file("e0112233445566778899aabbccddeeff-dest", "boot x\nboot\n\n \n");
	write_file("f0112233445566778899aabbccddeeff-dest", "state STARTED\nno boot\n");
	assert_int_equal(look().nr, 0);
	/* one that was cut off behind what counts */
	write_file("f1112233445566778899aabbccddeeff-dest", "state STARTED   \nboot x\npid 4");
	assert_int_equal(look().nr, 1);
	assert_int_equal(look().last.state, LEDGER_STARTED);
	assert_true(look().last.rebooted);
}

static void no_directory(void **state)
{
	const struct ledger_entry entry = some(ID);
	struct error err = { 0 };
	struct ledger ledger;
	struct found found = { 0 };
	char path[128];

	path_of("not/there/yet", path);
	assert_int_equal(ledger_each(path, take, &found), 0);
	assert_int_equal(found.nr, 0);
	assert_int_equal(ledger_begin(&ledger, path, &entry, &err), 0);
	ledger_close(&ledger);
	write_file("file", "");
	path_of("file", path);
	assert_int_equal(ledger_begin(&ledger, path, &entry, &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	/* without a ledger states go nowhere */
	assert_int_equal(ledger_set(&(struct ledger){ 0 }, LEDGER_DONE, &err), 0);
}

static int count_files(void)
{
	DIR *dir = opendir(base);
	int nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr - 2;
}

/* Old ones go, and those in which something is to be decided stay. */
static void pruned(void **state)
{
	struct ledger_entry entry = some(ID);
	struct error err = { 0 };
	struct ledger ledger;

	write_file("00000000000000000000000000000001-source", "state DONE      \nboot x\nbegan 1000\n");
	write_file("00000000000000000000000000000002-source", "state PREPARED  \nboot x\nbegan 1000\n");
	write_file("00000000000000000000000000000003-source", "state COMMITTED \nboot x\nbegan 1000\n");
	write_file("00000000000000000000000000000004-dest", "state STARTED   \nboot x\nbegan 1000\n");
	write_file("00000000000000000000000000000005-dest", "state ENDED     \nboot x\nbegan 99999999999\n");
	assert_int_equal(ledger_begin(&ledger, base, &entry, &err), 0);
	ledger_close(&ledger);
	assert_int_equal(look().nr, 4);
	for (int i = 0; i < 1000; i++) {
		char name[64], text[64];

		snprintf(name, sizeof(name), "1%031x-dest", i);
		snprintf(text, sizeof(text), "state ABORTED   \nboot x\nbegan %ld\n", 9999999999L + i);
		write_file(name, text);
	}
	strcpy(entry.id, "ffffffffffffffffffffffffffffffff");
	for (int i = 0; i < 2; i++) {
		int before = count_files();

		entry.id[0] = 'a' + i;
		assert_int_equal(ledger_begin(&ledger, base, &entry, &err), 0);
		ledger_close(&ledger);
		assert_int_equal(count_files(), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(states_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(another_process_keeps_it, setup, teardown),
		cmocka_unit_test_setup_teardown(one_entry_once, setup, teardown),
		cmocka_unit_test_setup_teardown(foreign_files, setup, teardown),
		cmocka_unit_test_setup_teardown(no_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(pruned, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
