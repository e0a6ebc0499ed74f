// SPDX-License-Identifier: GPL-2.0
/* What a sender may send: the words of the list, against images and processes. Needs root. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "tests/criu_images.h"
#include "criu/namespaces.h"
#include "dest/sender_check.h"

static struct error err;
static struct sender_rule rule;

static bool parses(const char *words)
{
	memset(&err, 0, sizeof(err));
	return !sender_rule_parse(&rule, "one", words, &err);
}

static void words(void **state)
{
	assert_true(parses(""));
	assert_false(rule.limited);
	assert_true(parses("uids=1000-1999,33"));
	assert_true(rule.limited);
	assert_true(sender_ids_have(&rule.uids, 1000, 1999) && sender_ids_have(&rule.uids, 33, 33));
	assert_false(sender_ids_have(&rule.uids, 0, 0) || sender_ids_have(&rule.uids, 999, 1000) ||
		     sender_ids_have(&rule.uids, 1999, 2000));
	/* groups are those of the users, unless they were said */
	assert_true(sender_ids_have(&rule.gids, 33, 33));
	assert_true(parses("gids=5 uids=7"));
	assert_true(sender_ids_have(&rule.gids, 5, 5) && !sender_ids_have(&rule.gids, 7, 7));
}

static void wrong_words(void **state)
{
	static const char *const wrong[] = {
		"uids=", "uids=0", "uids=0-10", "uids=5-4", "uids=1,", "uids=1-", "uids=-1", "uids=1 uids=2", "uid=1", "gids=1",
		"uids=4294967295", "uids=1x", "root", "uids=99999999999",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_false(parses(wrong[i]));
		assert_int_equal(err.code, CODE_USAGE);
	}
}

static void a_list_is_checked(void **state)
{
	struct test_dir dir;
	char path[128];
	FILE *file;

	dir_make(&dir);
	snprintf(path, sizeof(path), "%s/allow", dir.path);
	file = fopen(path, "w");
	memset(&err, 0, sizeof(err));
	assert_true(file && fputs("# who\none\n two uids=1000\n", file) >= 0 && !fflush(file));
	assert_int_equal(sender_rule_check_list(path, &err), 0);
	memset(&err, 0, sizeof(err));
	assert_true(fputs("three uids=root\n", file) >= 0 && !fclose(file));
	assert_int_equal(sender_rule_check_list(path, &err), -1);
	assert_non_null(strstr(err.what, "\"three\""));
	dir_remove(&dir);
}

/** struct bench - images of one process, with two threads, of uid and gid 1000 */
struct bench {
	struct test_dir dir;
	int fd;
	Img__CredsEntry creds;
	pid_t tids[2];
	struct process process, *processes[1];
	struct program program;
	struct namespaces namespaces;
};

static void write_core(struct bench *bench, pid_t tid, Img__CredsEntry *creds)
{
	Img__CoreEntry core = IMG__CORE_ENTRY__INIT;
	Img__ThreadCore thread = IMG__THREAD_CORE__INIT;
	char name[IMAGE_NAME_MAX];

	thread.creds = creds;
	core.thread_core = &thread;
	snprintf(name, sizeof(name), "core-%d.img", tid);
	one_record(bench->fd, name, IMAGE_CORE, &core.base);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;

	dir_make(&bench->dir);
	bench->fd = open(bench->dir.path, O_DIRECTORY | O_RDONLY);
	img__creds_entry__init(&bench->creds);
	bench->creds.uid = bench->creds.euid = bench->creds.suid = bench->creds.fsuid = 1000;
	bench->creds.gid = bench->creds.egid = bench->creds.sgid = bench->creds.fsgid = 1000;
	bench->tids[0] = 77;
	bench->tids[1] = 78;
	bench->process.task.tids = bench->tids;
	bench->process.task.nr_threads = 2;
	bench->processes[0] = &bench->process;
	bench->program.processes = bench->processes;
	bench->program.nr = 1;
	for (int i = 0; i < 2; i++)
		write_core(bench, bench->tids[i], &bench->creds);
	file.has_type = true;
	file.type = 1;
	file.reg = &reg;
	reg.id = 1;
	reg.name = "/";
	one_record(bench->fd, "files.img", IMAGE_FILES, &file.base);
	assert_true(parses("uids=1000-1999"));
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	close(bench->fd);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

static int check(struct bench *bench)
{
	memset(&err, 0, sizeof(err));
	return sender_check_images(&rule, &bench->program, &bench->namespaces, bench->fd, &err);
}

static void refused(struct bench *bench, const char *what)
{
	write_core(bench, 78, &bench->creds);
	assert_int_equal(check(bench), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, what));
	assert_non_null(strstr(err.what, "\"one\""));
}

static void a_program_of_its_users(void **state)
{
	struct bench *bench = *state;
	uint32_t none[2] = { 0, 0 };

	bench->creds.cap_eff = none;
	bench->creds.n_cap_eff = 2;
	write_core(bench, 78, &bench->creds);
	assert_int_equal(check(bench), 0);
}

/* Each of the four, of any thread */
static void another_user(void **state)
{
	struct bench *bench = *state;
	uint32_t *ids[] = { &bench->creds.uid, &bench->creds.euid, &bench->creds.suid, &bench->creds.fsuid };

	for (size_t i = 0; i < 4; i++) {
		*ids[i] = 0;
		refused(bench, "thread 78 has uid 0");
		*ids[i] = 1000;
	}
	bench->creds.sgid = 999;
	refused(bench, "gid 999");
	/* without a limit all may be sent */
	assert_true(parses(""));
	assert_int_equal(check(bench), 0);
}

static void another_group(void **state)
{
	struct bench *bench = *state;
	uint32_t groups[] = { 1001, 6 };

	bench->creds.groups = groups;
	bench->creds.n_groups = 2;
	refused(bench, "group 6");
}

static void capabilities(void **state)
{
	struct bench *bench = *state;
	uint32_t caps[] = { 0, 1 };
	uint32_t **lists[] = { &bench->creds.cap_inh, &bench->creds.cap_prm, &bench->creds.cap_eff, &bench->creds.cap_amb };
	size_t *counts[] = { &bench->creds.n_cap_inh, &bench->creds.n_cap_prm, &bench->creds.n_cap_eff, &bench->creds.n_cap_amb };

	for (size_t i = 0; i < 4; i++) {
		*lists[i] = caps;
		*counts[i] = 2;
		refused(bench, "has capabilities");
		*counts[i] = 0;
	}
}

static void images_that_do_not_say(void **state)
{
	struct bench *bench = *state;

	write_core(bench, 78, NULL);
	assert_int_equal(check(bench), -1);
	assert_non_null(strstr(err.what, "whose thread 78 is"));
}

static void files_that_give_rights(void **state)
{
	struct bench *bench = *state;
	Img__GhostFileEntry ghost = IMG__GHOST_FILE_ENTRY__INIT;

	ghost.mode = S_IFREG | 04755;
	ghost.uid = ghost.gid = 1000;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	assert_int_equal(check(bench), 0);
	ghost.uid = 0;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	refused(bench, "(mode 104755, uid 0, gid 1000) that gives rights");
	/* what belongs to root is trusted by others */
	ghost.mode = S_IFREG | 0600;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	refused(bench, "not of a user");
	ghost.uid = 1000;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	assert_int_equal(check(bench), 0);
	ghost.mode = S_IFLNK | 0777;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	refused(bench, "gives rights");
	ghost.mode = S_IFBLK | 0600;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	refused(bench, "gives rights");
}

/* Each kind of open file; what is on the list, and the first type that CRIU does not have yet */
static void kinds_of_files(void **state)
{
	static const char *const words[] = {
		[0] = "not known here", [3] = "named pipe", [8] = "inotify", [10] = "packet socket", [12] = "fanotify", [13] = "netlink",
		[14] = "namespace", [15] = "tun", [16] = "plugin", [19] = "BPF map", [20] = "pidfd", [21] = "not known here",
	};
	struct bench *bench = *state;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;

	file.has_type = file.has_id = true;
	for (file.type = 0; file.type <= 21; file.type++) {
		/* these three have a test of their own */
		if (file.type == 1 || file.type == 4 || file.type == 5)
			continue;
		one_record(bench->fd, "files.img", IMAGE_FILES, &file.base);
		if (words[file.type])
			refused(bench, words[file.type]);
		else
			assert_int_equal(check(bench), 0);
	}
	file.type = 1;
	file.reg = &reg;
	file.reg->name = "/dev/null";
	one_record(bench->fd, "files.img", IMAGE_FILES, &file.base);
	assert_int_equal(check(bench), 0);
	file.reg->has_ext = file.reg->ext = true;
	one_record(bench->fd, "files.img", IMAGE_FILES, &file.base);
	refused(bench, "the dump left out");
}

static void sockets(void **state)
{
	struct bench *bench = *state;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;
	Img__InetSkEntry inet = IMG__INET_SK_ENTRY__INIT;
	Img__UnixSkEntry sock = IMG__UNIX_SK_ENTRY__INIT;
	static const struct { uint32_t type, proto, port; const char *what; } inets[] = {
		{ SOCK_STREAM, IPPROTO_TCP, 8080, NULL }, { SOCK_DGRAM, IPPROTO_UDP, 0, NULL },
		{ SOCK_RAW, IPPROTO_TCP, 0, "other than of TCP" }, { SOCK_DGRAM, IPPROTO_ICMP, 0, "other than of TCP" },
		{ SOCK_STREAM, IPPROTO_TCP, 22, "port below 1024" },
	};

	file.has_type = file.has_id = true;
	file.type = 4;
	file.isk = &inet;
	inet.has_type = true;
	for (size_t i = 0; i < sizeof(inets) / sizeof(*inets); i++) {
		inet.type = inets[i].type;
		inet.proto = inets[i].proto;
		inet.src_port = inets[i].port;
		one_record(bench->fd, "files.img", IMAGE_FILES, &file.base);
		if (inets[i].what)
			refused(bench, inets[i].what);
		else
			assert_int_equal(check(bench), 0);
	}
	file.type = 5;
	file.isk = NULL;
	file.usk = &sock;
	sock.has_uflags = sock.has_name = true;
	one_record(bench->fd, "files.img", IMAGE_FILES, &file.base);
	assert_int_equal(check(bench), 0);
	sock.uflags = 1;
	one_record(bench->fd, "files.img", IMAGE_FILES, &file.base);
	refused(bench, "connected to a server of the machine");
	sock.uflags = 0;
	sock.name.data = (uint8_t *)"/run/x";
	sock.name.len = 7;
	one_record(bench->fd, "files.img", IMAGE_FILES, &file.base);
	refused(bench, "a UNIX socket with a name");
}

/* The bytes of a message lie between the records: what comes after them is read too. */
static void descriptors_on_their_way(void **state)
{
	struct bench *bench = *state;
	Img__SkPacketEntry packet = IMG__SK_PACKET_ENTRY__INIT;
	Img__ScmEntry scm = IMG__SCM_ENTRY__INIT, *list[] = { &scm };
	struct image_out out;

	packet.length = 5;
	for (int rights = 0; rights <= 1; rights++) {
		image_out_init(&out, IMAGE_SK_QUEUES);
		packet.n_scm = 0;
		image_out_add(&out, &packet.base);
		/* room for the bytes, and these */
		image_out_add(&out, &packet.base);
		out.bytes -= 4 + protobuf_c_message_get_packed_size(&packet.base);
		memcpy(out.data + out.bytes, "\xff\xff\xff\xff\xff", 5);
		out.bytes += 5;
		scm.type = 1;
		packet.scm = list;
		packet.n_scm = rights;
		packet.length = 0;
		image_out_add(&out, &packet.base);
		packet.length = 5;
		assert_int_equal(image_out_store(&out, bench->fd, "sk-queues.img", &err), 0);
		image_out_free(&out);
		if (rights)
			refused(bench, "descriptors on their way");
		else
			assert_int_equal(check(bench), 0);
	}
}

static void other_images(void **state)
{
	static const char *const names[] = {
		"iptables-8.img", "netns-8.img", "autofs-1.img", "creds-77.img", "unixsk.img", "apparmor.img", "core-77.img.x", "core-.img",
		"mountpoints-9.img", "pages-1x.img",
	};
	struct bench *bench = *state;
	Img__TtyInfoEntry tty = IMG__TTY_INFO_ENTRY__INIT;
	Img__RemapFilePathEntry remap = IMG__REMAP_FILE_PATH_ENTRY__INIT;
	Img__MemfdInodeEntry memfd = IMG__MEMFD_INODE_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		one_record(bench->fd, names[i], IMAGE_INVENTORY, &tty.base);
		refused(bench, "a part that is not known here");
		unlinkat(bench->fd, names[i], 0);
	}
	tty.type = 1;
	one_record(bench->fd, "tty-info.img", IMAGE_TTY_INFO, &tty.base);
	remap.has_remap_type = true;
	remap.remap_type = 1;
	remap.orig_id = reg.id = 1;
	file.has_type = true;
	file.type = 1;
	file.reg = &reg;
	reg.name = "/tmp/it";
	one_record(bench->fd, "files.img", IMAGE_FILES, &file.base);
	one_record(bench->fd, "remap-fpath.img", IMAGE_REMAP_FPATH, &remap.base);
	memfd.name = "x";
	memfd.has_mode = true;
	memfd.mode = 0777;
	one_record(bench->fd, "memfd.img", IMAGE_MEMFD, &memfd.base);
	assert_int_equal(check(bench), 0);
	memfd.mode = 04777;
	one_record(bench->fd, "memfd.img", IMAGE_MEMFD, &memfd.base);
	refused(bench, "a memfd that gives rights");
	unlinkat(bench->fd, "memfd.img", 0);
	tty.type = 2;
	one_record(bench->fd, "tty-info.img", IMAGE_TTY_INFO, &tty.base);
	refused(bench, "a terminal of the machine");
	unlinkat(bench->fd, "tty-info.img", 0);
	remap.remap_type = 0;
	one_record(bench->fd, "remap-fpath.img", IMAGE_REMAP_FPATH, &remap.base);
	refused(bench, "opens by another name");
}

static void memory(void **state)
{
	struct bench *bench = *state;
	struct test_vma vma = { 0x10000, 0x11000, FLAGS_ANON, STATUS_REGULAR | 1U << 9 };

	mm_write(bench->fd, &vma, 1);
	assert_int_equal(check(bench), 0);
	vma.status = STATUS_REGULAR | 1U << 10;
	mm_write(bench->fd, &vma, 1);
	refused(bench, "System V memory of the machine");
	bench->namespaces.own = 1U << CRIU_NS_IPC;
	assert_int_equal(check(bench), 0);
	vma.status = STATUS_REGULAR | 1U << 11;
	mm_write(bench->fd, &vma, 1);
	refused(bench, "memory of a kind");
}

static void servers_of_the_machine(void **state)
{
	Migrate__UnixServer server = MIGRATE__UNIX_SERVER__INIT, *list[] = { &server };
	struct refusals refusals = { .nr = 0 };
	Migrate__Setup setup = MIGRATE__SETUP__INIT;

	server.name = "/run/docker.sock";
	sender_check_needs(&rule, &setup, &refusals);
	assert_int_equal(refusals.nr, 0);
	setup.unix_servers = list;
	setup.n_unix_servers = 1;
	sender_check_needs(&rule, &setup, &refusals);
	assert_int_equal(refusals.nr, 1);
	assert_non_null(strstr(refusals.text[0], "/run/docker.sock"));
	precheck_free(&refusals);
}

/* Ids of a user namespace are compared as the machine's. */
static void a_user_namespace(void **state)
{
	struct bench *bench = *state;
	const struct id_range range = { .inside = 0, .outside = 1100, .count = 10 };
	struct refusals refusals = { .nr = 0 };
	struct mounts mounts = { 0 };
	uint32_t caps[] = { 1 };

	bench->namespaces.own = 1U << CRIU_NS_USER;
	assert_true(id_map_add(&bench->namespaces.uids, &range) && id_map_add(&bench->namespaces.gids, &range));
	bench->creds.uid = bench->creds.euid = bench->creds.suid = bench->creds.fsuid = 0;
	bench->creds.gid = bench->creds.egid = bench->creds.sgid = bench->creds.fsgid = 9;
	bench->creds.cap_prm = caps;
	bench->creds.n_cap_prm = 1;
	for (int i = 0; i < 2; i++)
		write_core(bench, bench->tids[i], &bench->creds);
	assert_int_equal(check(bench), 0);
	sender_check_setup(&rule, &mounts, &bench->namespaces, &refusals);
	assert_int_equal(refusals.nr, 0);
	bench->namespaces.uids.ranges[0].count = 901;
	sender_check_setup(&rule, &mounts, &bench->namespaces, &refusals);
	assert_int_equal(refusals.nr, 1);
	precheck_free(&refusals);
}

static void own_namespaces(void **state)
{
	struct bench *bench = *state;
	struct refusals refusals = { .nr = 0 };
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct mounts mounts;

	setup.root = "/home/u/root";
	mounts_take(&mounts, &setup, &refusals);
	assert_true(mounts_are_own(&mounts) && !refusals.nr);
	sender_check_setup(&rule, &mounts, &bench->namespaces, &refusals);
	assert_int_equal(refusals.nr, 1);
	assert_non_null(strstr(refusals.text[0], "none with a mount namespace of its own"));
	mounts_free(&mounts);
	bench->namespaces.own = 1U << CRIU_NS_MOUNT | 1U << CRIU_NS_NETWORK | 1U << CRIU_NS_CGROUP | 1U << CRIU_NS_UTS;
	sender_check_setup(&rule, &mounts, &bench->namespaces, &refusals);
	assert_int_equal(refusals.nr, 4);
	assert_non_null(strstr(refusals.text[2], "network namespace"));
	/* without a limit all may be sent */
	assert_true(parses(""));
	sender_check_setup(&rule, &mounts, &bench->namespaces, &refusals);
	assert_int_equal(refusals.nr, 4);
	precheck_free(&refusals);
}

/* A process of uid 1500 that has @path open, as root opened it */
static pid_t start_with(const char *path, int flags)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		int fd = open(path, flags);

		dup2(fd, 0);
		dup2(ready[1], 1);
		dup2(ready[1], 2);
		closefrom(3);
		if (fd < 0 || setgroups(0, NULL) || setresgid(1500, 1500, 1500) || setresuid(1500, 1500, 1500))
			_exit(1);
		if (write(1, "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static int files_of(struct bench *bench, const char *path, int flags)
{
	int ret;

	bench->process.host_pid = start_with(path, flags);
	memset(&err, 0, sizeof(err));
	ret = sender_check_files(&rule, &bench->program, &err);
	kill(bench->process.host_pid, SIGKILL);
	waitpid(bench->process.host_pid, NULL, 0);
	return ret;
}

static void files(void **state)
{
	struct bench *bench = *state;
	char path[128], closed[160];
	int fd;

	assert_int_equal(chmod(bench->dir.path, 0755), 0);
	snprintf(path, sizeof(path), "%s/file", bench->dir.path);
	fd = open(path, O_CREAT | O_RDWR, 0644);
	assert_true(fd >= 0 && !fchmod(fd, 0644));
	assert_int_equal(files_of(bench, "/dev/null", O_RDWR), 0);
	assert_int_equal(files_of(bench, path, O_RDONLY), 0);
	assert_int_equal(files_of(bench, path, O_WRONLY), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, "open for writing, which uid 1500 cannot open"));
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(files_of(bench, path, O_RDONLY), -1);
	assert_int_equal(fchown(fd, 1500, 1500), 0);
	assert_int_equal(files_of(bench, path, O_RDWR), 0);
	assert_int_equal(fchown(fd, 0, 0) | fchmod(fd, 0644), 0);
	/* what others may read, in a directory that is closed to them */
	snprintf(closed, sizeof(closed), "%s/closed", bench->dir.path);
	assert_int_equal(mkdir(closed, 0700), 0);
	snprintf(closed, sizeof(closed), "%s/closed/file", bench->dir.path);
	assert_int_equal(rename(path, closed), 0);
	assert_int_equal(files_of(bench, closed, O_RDONLY), -1);
	assert_int_equal(files_of(bench, "/proc/sys/kernel/core_pattern", O_WRONLY), -1);
	/* the rights of this process are as before */
	assert_int_equal(access(closed, R_OK), 0);
	close(fd);
	assert_true(parses("uids=1000"));
	assert_int_equal(files_of(bench, "/dev/null", O_RDWR), -1);
	assert_non_null(strstr(err.what, "not of a user"));
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words), cmocka_unit_test(wrong_words), cmocka_unit_test(a_list_is_checked),
		BENCH_TEST(a_program_of_its_users), BENCH_TEST(another_user), BENCH_TEST(another_group), BENCH_TEST(capabilities),
		BENCH_TEST(images_that_do_not_say), BENCH_TEST(files_that_give_rights), BENCH_TEST(a_user_namespace), BENCH_TEST(own_namespaces), BENCH_TEST(kinds_of_files),
		BENCH_TEST(sockets), BENCH_TEST(descriptors_on_their_way), BENCH_TEST(other_images), BENCH_TEST(memory),
		BENCH_TEST(servers_of_the_machine),
		BENCH_TEST(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
