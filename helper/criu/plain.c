// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "criu/image.h"
#include "criu/plain.h"
#include "images.pb-c.h"

#define REMAP_GHOST	1	/* of RemapFilePathEntry */
#define TTY_PTY		1	/* of TtyInfoEntry */
#define PORT_FIRST	1024	/* of those that need no right */
#define MODE_RIGHTS	06000	/* set-user-ID and set-group-ID */

/* VmaEntry.status: regular, stack, vsyscall, vdso, heap, files, anonymous memory, vvar, rings of aio, memfds, and guards */
#define VMAS_PLAIN	0x173efU
#define VMA_SYSV	0x400U

/** enum - of FileEntry.type */
enum { REG = 1, PIPE, FIFO, INETSK, UNIXSK, EVENTFD, EVENTPOLL, INOTIFY, SIGNALFD, PACKETSK, TTY, FANOTIFY, NETLINKSK, NAMESPACE,
	TUN, EXTERNAL, TIMERFD, MEMFD, BPFMAP, PIDFD };

static const char *const type_names[] = {
	[FIFO] = "a named pipe", [INOTIFY] = "an inotify descriptor", [PACKETSK] = "a packet socket",
	[FANOTIFY] = "a fanotify descriptor", [NETLINKSK] = "a netlink socket", [NAMESPACE] = "a descriptor of a namespace",
	[TUN] = "a tun device", [EXTERNAL] = "a file of a plugin", [BPFMAP] = "a BPF map", [PIDFD] = "a pidfd",
};

/** struct plain - one run of criu_plain_check() */
struct plain {
	const char *who;
	bool own_ipc;
	struct error *err;
};

/** typedef plain_fn - what a record has that is not plain; NULL: nothing */
typedef const char *(*plain_fn)(const struct plain *plain, const ProtobufCMessage *msg);

static int refuse(const struct plain *plain, const char *image, const char *what)
{
	return error_set(plain->err, CODE_REFUSED, "Documentation/security.rst lists what a limited sender may send",
			 "the images (%.60s) have %s, which --allow does not let \"%s\" send", image, what, plain->who);
}

/* After each record come @bytes_of() bytes; NULL: none */
static int each(const struct plain *plain, int dir_fd, const char *name, uint32_t magic, const ProtobufCMessageDescriptor *type,
		plain_fn fn, uint32_t (*bytes_of)(const ProtobufCMessage *msg))
{
	ProtobufCMessage *msg;
	struct image image;
	int ret;

	if (image_open(&image, dir_fd, name, magic, plain->err))
		return -1;
	while ((ret = image_next(&image, type, &msg, plain->err)) > 0) {
		const char *what = fn(plain, msg);
		uint32_t bytes = bytes_of ? bytes_of(msg) : 0;

		protobuf_c_message_free_unpacked(msg, NULL);
		if (!what && bytes > image.bytes - image.at)
			what = "a record that is cut short";
		if (what) {
			ret = refuse(plain, name, what);
			break;
		}
		image.at += bytes;
	}
	image_close(&image);
	return ret;
}

static const char *inet_not_plain(const Img__InetSkEntry *socket)
{
	if (!socket || !((socket->type == SOCK_STREAM && socket->proto == IPPROTO_TCP) ||
			 (socket->type == SOCK_DGRAM && socket->proto == IPPROTO_UDP)))
		return "an Internet socket other than of TCP and UDP";
	return socket->src_port && socket->src_port < PORT_FIRST ? "a socket with a port below 1024" : NULL;
}

static const char *unix_not_plain(const Img__UnixSkEntry *socket)
{
	if (!socket || !socket->has_uflags || socket->uflags)
		return "a UNIX socket that is connected to a server of the machine";
	return !socket->has_name || socket->name.len ? "a UNIX socket with a name" : NULL;
}

static const char *file_not_plain(const struct plain *plain, const ProtobufCMessage *msg)
{
	const Img__FileEntry *file = (const Img__FileEntry *)msg;

	switch (file->type) {
	case REG:
		return !file->reg || file->reg->ext ? "a file that the dump left out" : NULL;
	case PIPE:
	case EVENTFD:
	case EVENTPOLL:
	case SIGNALFD:
	case TIMERFD:
	case MEMFD:
	case TTY:
		return NULL;
	case INETSK:
		return inet_not_plain(file->isk);
	case UNIXSK:
		return unix_not_plain(file->usk);
	default:
		return file->type < sizeof(type_names) / sizeof(*type_names) && type_names[file->type] ?
		       type_names[file->type] : "an open file of a kind that is not known here";
	}
}

static const char *packet_not_plain(const struct plain *plain, const ProtobufCMessage *msg)
{
	return ((const Img__SkPacketEntry *)msg)->n_scm ? "descriptors on their way through a UNIX socket" : NULL;
}

static uint32_t packet_bytes(const ProtobufCMessage *msg)
{
	return ((const Img__SkPacketEntry *)msg)->length;
}

static const char *tty_not_plain(const struct plain *plain, const ProtobufCMessage *msg)
{
	return ((const Img__TtyInfoEntry *)msg)->type == TTY_PTY ? NULL : "a terminal of the machine";
}

static const char *remap_not_plain(const struct plain *plain, const ProtobufCMessage *msg)
{
	const Img__RemapFilePathEntry *remap = (const Img__RemapFilePathEntry *)msg;

	return remap->has_remap_type && remap->remap_type == REMAP_GHOST ? NULL :
	       "a deleted file that CRIU opens by another name";
}

static const char *memfd_not_plain(const struct plain *plain, const ProtobufCMessage *msg)
{
	const Img__MemfdInodeEntry *memfd = (const Img__MemfdInodeEntry *)msg;

	return memfd->has_mode && memfd->mode & MODE_RIGHTS ? "a memfd that gives rights" : NULL;
}

static const char *mm_not_plain(const struct plain *plain, const ProtobufCMessage *msg)
{
	const Img__MmEntry *mm = (const Img__MmEntry *)msg;
	uint32_t allowed = VMAS_PLAIN | (plain->own_ipc ? VMA_SYSV : 0);

	for (size_t i = 0; i < mm->n_vmas; i++)
		if (mm->vmas[i]->status & ~allowed)
			return mm->vmas[i]->status & ~allowed & VMA_SYSV ? "System V memory of the machine" :
			       "memory of a kind that is not known here";
	return NULL;
}

/* @known: up to '#', which is a number or a pair of them, in any of CRIU's ways to write it */
static bool is_image(const char *name, const char *known)
{
	size_t len = strcspn(known, "#");

	if (strncmp(name, known, len))
		return false;
	name += len;
	if (known[len]) {
		size_t digits = strspn(name, "0123456789abcdef");

		if (!digits)
			return false;
		name += digits;
	}
	return !strcmp(name, ".img");
}

static int check_image(const struct plain *plain, int dir_fd, const char *name)
{
	static const struct {
		const char *known;
		uint32_t magic;
		const ProtobufCMessageDescriptor *type;
		plain_fn fn;
		uint32_t (*bytes_of)(const ProtobufCMessage *msg);
	} images[] = {
		{ "files", IMAGE_FILES, &img__file_entry__descriptor, file_not_plain, NULL },
		{ "sk-queues", IMAGE_SK_QUEUES, &img__sk_packet_entry__descriptor, packet_not_plain, packet_bytes },
		{ "tty-info", IMAGE_TTY_INFO, &img__tty_info_entry__descriptor, tty_not_plain, NULL },
		{ "remap-fpath", IMAGE_REMAP_FPATH, &img__remap_file_path_entry__descriptor, remap_not_plain, NULL },
		{ "memfd", IMAGE_MEMFD, &img__memfd_inode_entry__descriptor, memfd_not_plain, NULL },
		{ "mm-#", IMAGE_MM, &img__mm_entry__descriptor, mm_not_plain, NULL },
		/* those that others look at, or of which nothing comes but bytes, numbers and timers of the program's */
		{ .known = "core-#" }, { .known = "fdinfo-#" }, { .known = "fs-#" }, { .known = "ghost-file-#" },
		{ .known = "ids-#" }, { .known = "inventory" }, { .known = "ipcns-var-#" }, { .known = "ipcns-shm-#" },
		{ .known = "ipcns-msg-#" }, { .known = "ipcns-sem-#" }, { .known = "pagemap-#" }, { .known = "pagemap-shmem-#" },
		{ .known = "pages-#" }, { .known = "pipes-data" }, { .known = "pstree" }, { .known = "pidns-#" }, { .known = "seccomp" },
		{ .known = "stats-dump" }, { .known = "tcp-stream-#" }, { .known = "timens-#" }, { .known = "tty-data" },
		{ .known = "filelocks" }, { .known = "userns-#" }, { .known = "utsns-#" },
		/* CRIU is told to leave control groups alone */
		{ .known = "cgroup" },
	};

	for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++)
		if (is_image(name, images[i].known))
			return images[i].fn ? each(plain, dir_fd, name, images[i].magic, images[i].type, images[i].fn,
						   images[i].bytes_of) : 0;
	return refuse(plain, name, "a part that is not known here");
}

int criu_plain_check(int images_dir_fd, const char *who, bool own_ipc, struct error *err)
{
	int fd = openat(images_dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC), ret = 0;
	struct plain plain = { .who = who, .own_ipc = own_ipc, .err = err };
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return error_errno(err, CODE_INTERNAL, NULL, "cannot list the images");
	}
	while (!ret && (entry = readdir(dir)))
		if (*entry->d_name != '.')
			ret = check_image(&plain, images_dir_fd, entry->d_name);
	closedir(dir);
	return ret;
}
