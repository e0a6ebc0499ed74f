// SPDX-License-Identifier: GPL-2.0
/* The contents that Setup may have, and that its answer may reveal. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/precheck.h"
#include "dest/precheck_files.h"
#include "os/safe_path.h"

/* A Setup that is refused for nothing, to be made worse by each test. */
struct bench {
	Migrate__Setup setup;
	Migrate__CriuVersion criu;
	Migrate__Object object, *objects[2];
	struct criu_version here;
	struct utsname uts;
	struct refusals refusals;
};

static int set_up(void **state)
{
	static struct bench bench;

	memset(&bench, 0, sizeof(bench));
	uname(&bench.uts);
	migrate__setup__init(&bench.setup);
	migrate__criu_version__init(&bench.criu);
	bench.here = (struct criu_version){ .major = 3, .minor = 17 };
	bench.criu.major = 3;
	bench.criu.minor = 17;
	bench.setup.pid = 4711;
	bench.setup.comm = "prog";
	bench.setup.threads = 1;
	bench.setup.criu = &bench.criu;
	bench.setup.kernel = bench.uts.release;
	bench.setup.arch = bench.uts.machine;
	bench.setup.mode = "auto";
	migrate__object__init(&bench.object);
	bench.object.id = 1;
	bench.object.kind = MIGRATE__OBJECT_KIND__MM;
	bench.object.has_pid = true;
	bench.object.pid = 4711;
	bench.objects[0] = bench.objects[1] = &bench.object;
	bench.setup.objects = bench.objects;
	bench.setup.n_objects = 1;
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	precheck_free(&bench->refusals);
	return 0;
}

static size_t refusals(struct bench *bench)
{
	precheck_setup(&bench->setup, &bench->here, "/tmp", &bench->refusals);
	return bench->refusals.nr;
}

static void nothing_is_wrong(void **state)
{
	assert_int_equal(refusals(*state), 0);
}

static enum exit_code objects(struct bench *bench)
{
	struct error err = { 0 };

	assert_true(!precheck_objects(&bench->setup, &err) == !error_is_set(&err));
	return err.code;
}

/* What frames name are address spaces, and the first is the root's. */
static void the_root_comes_first(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(objects(bench), CODE_OK);
	bench->setup.n_objects = 0;
	assert_int_equal(objects(bench), CODE_PEER);
	bench->setup.n_objects = 1;
	bench->object.id = 0;
	assert_int_equal(objects(bench), CODE_PEER);
	bench->object.id = 7;
	bench->object.kind = MIGRATE__OBJECT_KIND__SHM;
	assert_int_equal(objects(bench), CODE_PEER);
	bench->object.kind = MIGRATE__OBJECT_KIND__MM;
	bench->object.pid++;
	assert_int_equal(objects(bench), CODE_PEER);
	bench->object.pid--;
	bench->object.has_pid = false;
	assert_int_equal(objects(bench), CODE_PEER);
	bench->object.has_pid = true;
	assert_int_equal(objects(bench), CODE_OK);
}

static void cpu_flags(void **state)
{
	char *flags[] = { "", " ", "fpu", "no-such-flag\n", "\033[2J" };
	struct bench *bench = *state;

	bench->setup.cpu_flags = flags;
	bench->setup.n_cpu_flags = 5;
	/* the empty ones and those that the CPU lacks, in one line that can be printed */
	assert_int_equal(refusals(bench), 1);
	assert_non_null(strstr(bench->refusals.text[0], "no-such-flag"));
	assert_null(strpbrk(bench->refusals.text[0], "\033\n"));
}

/* More than are compared would be none that is compared. */
static void too_many_cpu_flags(void **state)
{
	static char *flags[5000];
	struct bench *bench = *state;

	for (size_t i = 0; i < 5000; i++)
		flags[i] = "no-such-flag";
	bench->setup.cpu_flags = flags;
	bench->setup.n_cpu_flags = 5000;
	assert_int_equal(refusals(bench), 1);
}

static void sizes_that_overflow(void **state)
{
	static const uint64_t bytes[] = { UINT64_MAX, UINT64_MAX / 11 * 10, 1UL << 63, 1UL << 47 };
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++) {
		bench->setup.rss_bytes = bytes[i];
		assert_true(refusals(bench) > 0);
		precheck_free(&bench->refusals);
	}
}

/* The same words for a file that is missing and for one that differs, and no size. */
static void files_are_no_oracle(void **state)
{
	char here[] = "/tmp/test-precheck-XXXXXX", *differs, *missing;
	struct bench *bench = *state;
	Migrate__MappedFile file = MIGRATE__MAPPED_FILE__INIT, *list[] = { &file };
	int fd = mkstemp(here);

	assert_int_equal(write(fd, "7654321", 7), 7);
	close(fd);
	file.path = here;
	file.bytes = 123456;
	file.has_mode = true;
	file.mode = S_IFREG | 0600;
	bench->setup.files = list;
	bench->setup.n_files = 1;
	assert_int_equal(refusals(bench), 1);
	differs = strdup(bench->refusals.text[0]);
	precheck_free(&bench->refusals);
	unlink(here);
	assert_int_equal(refusals(bench), 1);
	missing = bench->refusals.text[0];
	assert_non_null(strstr(missing, here));
	assert_string_equal(differs, missing);
	assert_null(strstr(differs, " 7 "));
	free(differs);
}

/* Kind, mode and size: what CRIU would fail at in the end, and what is to be done about it. */
static void files_of_all_kinds(void **state)
{
	static const struct {
		const char *path, *advice;
		mode_t mode;
		uint64_t bytes;
		Migrate__FileUse use;
		bool any_size;
	} cases[] = {
		{ "/tmp", "mkdir -p, chmod 0711", S_IFDIR | 0711, 0, MIGRATE__FILE_USE__FILE_CWD, true },
		{ "/tmp", "mkfifo, chmod 0600", S_IFIFO | 0600, 0, MIGRATE__FILE_USE__FILE_OPEN, true },
		{ "/nothing", "touch, chmod 0640", S_IFREG | 0640, 9, MIGRATE__FILE_USE__FILE_OPEN,
		  true },
		{ "/nothing", "same storage", S_IFREG | 0600, 9, MIGRATE__FILE_USE__FILE_DATA, false },
		{ "/nothing", "touch", 0, 0, MIGRATE__FILE_USE__FILE_REPLACES_TTY, true },
		{ "/dev/null", NULL, S_IFCHR | 0666, 0, MIGRATE__FILE_USE__FILE_OPEN, true },
		{ "/dev/null", NULL, 0, 0, MIGRATE__FILE_USE__FILE_REPLACES_TTY, true },
		{ "/", NULL, 0, 0, MIGRATE__FILE_USE__FILE_ROOT, true },
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		Migrate__MappedFile file = MIGRATE__MAPPED_FILE__INIT, *list[] = { &file };
		struct stat st;

		file.path = (char *)cases[i].path;
		file.bytes = cases[i].bytes;
		file.has_use = file.has_any_size = true;
		file.use = cases[i].use;
		file.any_size = cases[i].any_size;
		file.has_mode = file.use != MIGRATE__FILE_USE__FILE_REPLACES_TTY;
		file.mode = cases[i].mode;
		if (!file.mode && !stat(file.path, &st))
			file.mode = st.st_mode;
		bench->setup.files = list;
		bench->setup.n_files = 1;
		assert_int_equal(refusals(bench), cases[i].advice != NULL);
		if (cases[i].advice)
			assert_non_null(strstr(bench->refusals.text[0], cases[i].advice));
		precheck_free(&bench->refusals);
	}
}

/* A descriptor that is open for writing, of a log in the directory of @owner that is a link to a file of root's. */
static size_t refusals_of_link(struct bench *bench, const char *dir, uid_t owner, const char *target)
{
	Migrate__MappedFile file = MIGRATE__MAPPED_FILE__INIT, *list[] = { &file };
	char log[64];
	struct stat st;
	size_t nr;

	precheck_free(&bench->refusals);
	snprintf(log, sizeof(log), "%s/app.log", dir);
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(symlink(target, log), 0);
	assert_int_equal(lchown(log, owner, owner), 0);
	assert_int_equal(chown(dir, owner, owner), 0);
	file.path = log;
	file.has_mode = file.has_any_size = file.any_size = file.has_use = true;
	file.use = MIGRATE__FILE_USE__FILE_OPEN;
	file.mode = S_IFREG | 0644;
	bench->setup.files = list;
	bench->setup.n_files = 1;
	nr = refusals(bench);
	unlink(log);
	return nr;
}

/* CRIU would open for the program, as root, what a user of this machine put there. Needs root. */
static void links_of_users(void **state)
{
	char dir[] = "/tmp/test-precheck-XXXXXX";
	struct bench *bench = *state;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(refusals_of_link(bench, dir, 4711, "/etc/passwd"), 1);
	assert_non_null(strstr(bench->refusals.text[0], "app.log"));
	assert_non_null(strstr(bench->refusals.text[0], "symbolic link"));
	assert_int_equal(refusals_of_link(bench, dir, 0, "/etc/passwd"), 0);
	/* of another mode: the answer does not tell that there is a link */
	assert_int_equal(refusals_of_link(bench, dir, 4711, "/etc"), 1);
	assert_null(strstr(bench->refusals.text[0], "symbolic link"));
	rmdir(dir);
}

static int bound(const char *name, int type, bool abstract)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", name);
	if (abstract)
		addr.sun_path[0] = 0;
	else
		unlink(name);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr,
			      offsetof(struct sockaddr_un, sun_path) + strlen(name)), 0);
	return fd;
}

static void name_server(struct bench *bench, Migrate__UnixServer *server, char *name, int type)
{
	static Migrate__UnixServer *list[1];

	migrate__unix_server__init(server);
	server->name = name;
	server->type = type;
	server->fd = 5;
	list[0] = server;
	bench->setup.unix_servers = list;
	bench->setup.n_unix_servers = 1;
}

/* A user's link to a server that root alone may ask something. Needs root. */
static void links_to_servers(void **state)
{
	struct bench *bench = *state;
	Migrate__UnixServer server;
	char name[64], link[64];
	int fd;

	snprintf(name, sizeof(name), "/tmp/test-precheck-%d", getpid());
	snprintf(link, sizeof(link), "/tmp/test-precheck-%d.link", getpid());
	fd = bound(name, SOCK_DGRAM, false);
	name_server(bench, &server, link, SOCK_DGRAM);
	assert_int_equal(symlink(name, link), 0);
	assert_int_equal(refusals(bench), 0);
	assert_int_equal(lchown(link, 4711, 4711), 0);
	assert_int_equal(refusals(bench), 1);
	assert_non_null(strstr(bench->refusals.text[0], "symbolic link"));
	close(fd);
	unlink(name);
	unlink(link);
}

/* Found without a connection: the server may be one that only root may ask something. */
static void servers(void **state)
{
	struct bench *bench = *state;
	Migrate__UnixServer server;
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/tmp/test-precheck-%d", getpid());
	name_server(bench, &server, name, SOCK_STREAM);
	fd = bound(name, SOCK_STREAM, false);
	/* a file that is left of a server that is gone */
	assert_int_equal(refusals(bench), 1);
	assert_non_null(strstr(bench->refusals.text[0], name));
	precheck_free(&bench->refusals);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(refusals(bench), 0);
	assert_int_equal(accept(fd, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	server.type = SOCK_DGRAM;
	assert_int_equal(refusals(bench), 1);
	precheck_free(&bench->refusals);
	close(fd);
	fd = bound(name, SOCK_DGRAM, false);
	assert_int_equal(refusals(bench), 0);
	close(fd);
	assert_int_equal(refusals(bench), 1);
	unlink(name);
}

static void abstract_servers(void **state)
{
	struct bench *bench = *state;
	Migrate__UnixServer server;
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "@test-precheck-%d", getpid());
	name_server(bench, &server, name, SOCK_STREAM);
	assert_int_equal(refusals(bench), 1);
	precheck_free(&bench->refusals);
	fd = bound(name, SOCK_STREAM, true);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(refusals(bench), 0);
	assert_int_equal(accept(fd, NULL, NULL), -1);
	/* what is no name at all */
	server.name = "";
	assert_int_equal(refusals(bench), 1);
	precheck_free(&bench->refusals);
	server.name = "relative";
	assert_int_equal(refusals(bench), 1);
	precheck_free(&bench->refusals);
	server.name = "/dev/null";
	assert_int_equal(refusals(bench), 1);
	close(fd);
}

static void addresses(void **state)
{
	static uint8_t here[] = { 127, 0, 0, 1 }, elsewhere[] = { 192, 0, 2, 77 };
	Migrate__InetAddress address = MIGRATE__INET_ADDRESS__INIT, *list[] = { &address };
	struct sockaddr_in name = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t len = sizeof(name);
	struct bench *bench = *state;

	/* one that would let others in */
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	address.stream = true;
	address.port = ntohs(name.sin_port);
	address.address.data = here;
	address.address.len = 4;
	bench->setup.addresses = list;
	bench->setup.n_addresses = 1;
	assert_int_equal(refusals(bench), 1);
	assert_non_null(strstr(bench->refusals.text[0], "another program has that port"));
	precheck_free(&bench->refusals);
	close(fd);
	assert_int_equal(refusals(bench), 0);
	address.address.data = elsewhere;
	assert_int_equal(refusals(bench), 1);
	assert_non_null(strstr(bench->refusals.text[0], "192.0.2.77"));
	precheck_free(&bench->refusals);
	address.address.len = 5;
	assert_int_equal(refusals(bench), 1);
}

/* One path with many sizes would find the right one. */
static void a_file_is_asked_once(void **state)
{
	struct bench *bench = *state;
	Migrate__MappedFile files[2], *list[] = { &files[0], &files[1] };

	for (int i = 0; i < 2; i++) {
		migrate__mapped_file__init(&files[i]);
		files[i].path = "/etc/passwd";
		files[i].bytes = i;
	}
	bench->setup.files = list;
	bench->setup.n_files = 2;
	assert_int_equal(refusals(bench), 1);
	assert_null(strstr(bench->refusals.text[0], "/etc/passwd"));
}

/* Another spelling of a path does not make another question. */
static void a_file_has_one_answer(void **state)
{
	static char *const paths[] = { "/etc/passwd", "/etc/./passwd", "//etc/passwd" };
	Migrate__MappedFile files[3], *list[] = { &files[0], &files[1], &files[2] };
	struct bench *bench = *state;
	struct stat st;

	assert_int_equal(stat(paths[0], &st), 0);
	for (int i = 0; i < 3; i++) {
		migrate__mapped_file__init(&files[i]);
		files[i].path = paths[i];
		files[i].bytes = st.st_size;
		files[i].has_mode = true;
		files[i].mode = st.st_mode;
	}
	bench->setup.files = list;
	bench->setup.n_files = 3;
	/* a program may have it by several names */
	assert_int_equal(refusals(bench), 0);
	/* whoever guesses hears of the first guess alone */
	files[0].bytes++;
	assert_int_equal(refusals(bench), 3);
	precheck_free(&bench->refusals);
	files[0].bytes--;
	files[0].mode ^= 1;
	assert_int_equal(refusals(bench), 3);
}

static void too_many_files(void **state)
{
	struct bench *bench = *state;
	size_t nr = PRECHECK_MAX_FILES + 1;
	Migrate__MappedFile *files = calloc(nr, sizeof(*files)), **list = calloc(nr, sizeof(*list));

	for (size_t i = 0; i < nr; i++) {
		migrate__mapped_file__init(&files[i]);
		files[i].path = "/etc/passwd";
		list[i] = &files[i];
	}
	bench->setup.files = list;
	bench->setup.n_files = nr;
	assert_int_equal(refusals(bench), 1);
	free(files);
	free(list);
}

static void a_path_that_is_none(void **state)
{
	static const char *const paths[] = { "", "etc/passwd", "../etc/passwd" };
	struct bench *bench = *state;
	Migrate__MappedFile file = MIGRATE__MAPPED_FILE__INIT, *list[] = { &file };

	bench->setup.files = list;
	bench->setup.n_files = 1;
	for (size_t i = 0; i < 3; i++) {
		file.path = (char *)paths[i];
		assert_int_equal(refusals(bench), 1);
		precheck_free(&bench->refusals);
	}
}

/* As open() on a network file system whose server is gone. */
static int never_answers(const char *root, const char *path)
{
	while (!strcmp(path, "/net/dead/lib.so"))
		pause();
	return safe_path_open(root, path);
}

static void a_dead_server_is_waited_for_shortly(void **state)
{
	struct bench *bench = *state;
	Migrate__MappedFile files[3], *list[] = { &files[0], &files[1], &files[2] };
	static char *const paths[] = { "/no-such-file", "/net/dead/lib.so", "/etc/passwd" };

	for (int i = 0; i < 3; i++) {
		migrate__mapped_file__init(&files[i]);
		files[i].path = paths[i];
	}
	bench->setup.files = list;
	bench->setup.n_files = 3;
	precheck_open = never_answers;
	precheck_files_ms = 1000;
	/* or it would never end */
	alarm(120);
	assert_int_equal(refusals(bench), 2);
	alarm(0);
	precheck_open = safe_path_open;
	assert_non_null(strstr(bench->refusals.text[0], "/no-such-file"));
	assert_non_null(strstr(bench->refusals.text[1], "/net/dead/lib.so"));
	assert_non_null(strstr(bench->refusals.text[1], "did not answer within 1 s"));
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#define BASE		0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)

static int vmas(const uint64_t (*bounds)[2], size_t nr)
{
	Migrate__Vma vma[8], *list[8];
	struct mirror_range *ranges = NULL;
	struct error err = { 0 };
	size_t nr_ranges;
	int ret;

	for (size_t i = 0; i < nr; i++) {
		migrate__vma__init(&vma[i]);
		vma[i].start = bounds[i][0];
		vma[i].end = bounds[i][1];
		vma[i].ours = true;
		list[i] = &vma[i];
	}
	ret = precheck_vmas(list, nr, &ranges, &nr_ranges, &err);
	if (ret)
		assert_int_equal(err.code, CODE_PEER);
	else
		assert_int_equal(nr_ranges, nr);
	free(ranges);
	return ret;
}

static void mappings_are_checked(void **state)
{
	static const uint64_t good[][2] = { { AT(0), AT(1) }, { AT(1), AT(3) }, { AT(9), AT(10) } };
	static const uint64_t overlap[][2] = { { AT(0), AT(2) }, { AT(1), AT(3) } };
	static const uint64_t order[][2] = { { AT(5), AT(6) }, { AT(1), AT(3) } };
	static const uint64_t empty[][2] = { { AT(5), AT(5) } };
	static const uint64_t crooked[][2] = { { AT(5) + 1, AT(6) } };
	static const uint64_t high[][2] = { { AT(5), USER_END + PAGE_BYTES } };

	assert_int_equal(vmas(good, 3), 0);
	assert_int_equal(vmas(overlap, 2), -1);
	assert_int_equal(vmas(order, 2), -1);
	assert_int_equal(vmas(empty, 1), -1);
	assert_int_equal(vmas(crooked, 1), -1);
	assert_int_equal(vmas(high, 1), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(nothing_is_wrong), BENCH_TEST(the_root_comes_first),
		BENCH_TEST(cpu_flags), BENCH_TEST(too_many_cpu_flags),
		BENCH_TEST(sizes_that_overflow),
		BENCH_TEST(files_are_no_oracle), BENCH_TEST(a_file_has_one_answer),
		BENCH_TEST(a_file_is_asked_once),
		BENCH_TEST(files_of_all_kinds), BENCH_TEST(servers),
		BENCH_TEST(links_of_users), BENCH_TEST(links_to_servers),
		BENCH_TEST(abstract_servers), BENCH_TEST(addresses),
		BENCH_TEST(too_many_files), BENCH_TEST(a_path_that_is_none),
		BENCH_TEST(a_dead_server_is_waited_for_shortly),
		cmocka_unit_test(mappings_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
