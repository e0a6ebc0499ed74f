// SPDX-License-Identifier: GPL-2.0
/* Images of a limited sender: each part that is not on the list is refused. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <sys/socket.h>
#include "tests/sender_bench.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(kinds_of_files), BENCH_TEST(sockets), BENCH_TEST(descriptors_on_their_way), BENCH_TEST(other_images),
		BENCH_TEST(memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
