// SPDX-License-Identifier: GPL-2.0
/* Files of keys: how keygen makes them, and which are fit for use. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include "tests/test_dir.h"
#include "wire/keygen.h"
#include "wire/tls_keys.h"

static struct test_dir dir;
static struct tls_keys keys;

static const char *path_of(const char *name)
{
	static char paths[4][128];
	static int at;
	char *path = paths[at++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir.path, name);
	return path;
}

static int set_up(void **state)
{
	struct error err = { 0 };

	dir_make(&dir);
	assert_int_equal(keygen_psk(path_of("psk"), "one", &err), 0);
	assert_int_equal(keygen_host(path_of("ca"), "node,10.0.0.1,fd00::1", 10, &err), 0);
	return 0;
}

static int tear_down(void **state)
{
	dir_remove(&dir);
	return 0;
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(path_of(name), &st), 0);
	return st.st_mode & 07777;
}

static void made_for_nobody_else(void **state)
{
	assert_int_equal(mode_of("psk"), 0600);
	assert_int_equal(mode_of("ca"), 0700);
	assert_int_equal(mode_of("ca/ca-key.pem"), 0600);
	assert_int_equal(mode_of("ca/node"), 0700);
	assert_int_equal(mode_of("ca/node/key.pem"), 0600);
}

static void nothing_is_overwritten(void **state)
{
	struct error err = { 0 }, again = { 0 };

	assert_int_equal(keygen_psk(path_of("psk"), "one", &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	assert_int_equal(keygen_host(path_of("ca"), "node", 10, &again), -1);
	assert_int_equal(again.code, CODE_NOT_READY);
}

static void names_are_checked(void **state)
{
	static const char *const hosts[] = { "", "../x", "a/b", ".", "-x", "a b", "node2,../y", "x\ny" };
	static const char *const names[] = { "", "a:b", "a b", "#a", "a\n" };

	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		struct error err = { 0 };

		assert_int_equal(keygen_host(path_of("ca"), hosts[i], 10, &err), -1);
		assert_int_equal(err.code, CODE_USAGE);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct error err = { 0 };

		assert_int_equal(keygen_psk(path_of("new"), names[i], &err), -1);
		assert_int_equal(err.code, CODE_USAGE);
	}
}

static int find(const char *psk, const char *of_dir, const char *where, struct error *err)
{
	const struct tls_options opts = { .psk = psk, .dir = of_dir };

	return tls_keys_find(&keys, &opts, where, err);
}

static void what_is_there_decides(void **state)
{
	struct error err = { 0 };
	int fds[TLS_FILES];

	assert_int_equal(find(NULL, path_of("ca/node"), "host", &err), 0);
	assert_int_equal(keys.proof, TLS_CERTIFICATE);
	assert_int_equal(tls_keys_open(&keys, fds, &err), 0);
	assert_true(fds[TLS_FILE_CERT] >= 0 && fds[TLS_FILE_KEY] >= 0 && fds[TLS_FILE_CA] >= 0);
	assert_true(fds[TLS_FILE_PSK] < 0 && fds[TLS_FILE_ALLOW] < 0);
	tls_keys_close(fds);
	assert_int_equal(find(NULL, dir.path, "host", &err), 0);
	assert_int_equal(keys.proof, TLS_PSK);
	assert_int_equal(find(path_of("psk"), NULL, "host", &err), 0);
	assert_int_equal(find(path_of("psk"), NULL, "unix:/run/x", &err), 0);
	assert_int_equal(keys.proof, TLS_NONE);
}

static void wrong_words(void **state)
{
	const struct tls_options wrong[] = {
		{ .psk = path_of("psk"), .dir = dir.path },
		{ .psk = path_of("psk"), .insecure = true },
		{ .dir = dir.path, .insecure = true },
		{ .allow = path_of("psk"), .insecure = true },
		{ .psk = "psk" },
		{ .dir = "." },
		{ .psk = path_of("psk"), .allow = "allow" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct error err = { 0 };

		assert_int_equal(tls_keys_find(&keys, &wrong[i], "host", &err), -1);
		assert_int_equal(err.code, CODE_USAGE);
	}
}

static void unfit(const char *why)
{
	struct error err = { 0 };

	assert_int_equal(find(path_of("psk"), NULL, "host", &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	assert_non_null(strstr(err.what, why));
}

static void files_of_others(void **state)
{
	assert_int_equal(chmod(path_of("psk"), 0640), 0);
	unfit("other users can read");
	assert_int_equal(chmod(path_of("psk"), 0602), 0);
	unfit("other users can read");
	assert_int_equal(chmod(path_of("psk"), 0600), 0);
	if (!geteuid()) {
		assert_int_equal(chown(path_of("psk"), 1000, 0), 0);
		unfit("belongs to another user");
		assert_int_equal(chown(path_of("psk"), 0, 0), 0);
	}
	assert_int_equal(unlink(path_of("psk")), 0);
	unfit("cannot open");
	assert_int_equal(mkdir(path_of("psk"), 0700), 0);
	unfit("no regular file");
}

static void a_certificate_may_be_read(void **state)
{
	struct error err = { 0 }, why = { 0 };

	assert_int_equal(chmod(path_of("ca/node/cert.pem"), 0644), 0);
	assert_int_equal(find(NULL, path_of("ca/node"), "host", &err), 0);
	assert_int_equal(chmod(path_of("ca/node/cert.pem"), 0664), 0);
	assert_int_equal(find(NULL, path_of("ca/node"), "host", &why), -1);
	assert_non_null(strstr(why.what, "other users can write to"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(made_for_nobody_else, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_overwritten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_are_checked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_there_decides, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wrong_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_of_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_certificate_may_be_read, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
