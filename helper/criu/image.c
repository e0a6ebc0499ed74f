// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/unpack.h"
#include "criu/image.h"

#define IMAGE_ROOM_MIN		4096
#define UNPACK_TIMES		32	/* a list of small records takes some ten times its bytes */
#define READ_BYTES_MAX		(64U << 10)
#define FIELD_1_VARINT		0x08	/* how protobuf begins such a field */
#define VARINT_U32_MAX		5	/* bytes */

static const char hint_images[] = "the images are damaged, or of a CRIU that is not known here";

static uint32_t get_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

/* A small image is read: a mapping costs more calls of the kernel, and a page fault. There are three for each process. */
static int image_read(struct image *image, int fd, size_t bytes)
{
	uint8_t *data = malloc(bytes);
	size_t done;

	if (!data)
		return -1;
	if (io_pread_all(fd, data, bytes, 0, &done)) {
		free(data);
		return -1;
	}
	image->data = data;
	image->bytes = done;
	return 0;
}

static int image_load(struct image *image, int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_errno(err, CODE_CRIU, NULL, "cannot read image %s", image->name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > IMAGE_BYTES_MAX)
		return error_set(err, CODE_CRIU, hint_images,
				 "image %s is not a file of a sensible size", image->name);
	/* mmap() refuses an empty file */
	if (!st.st_size)
		return 0;
	image->mapped = st.st_size > READ_BYTES_MAX;
	if (!image->mapped)
		return image_read(image, fd, st.st_size) ?
		       error_errno(err, CODE_CRIU, NULL, "cannot read image %s", image->name) : 0;
	image->data = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image->data == MAP_FAILED) {
		image->data = NULL;
		return error_errno(err, CODE_CRIU, NULL, "cannot read image %s", image->name);
	}
	image->bytes = st.st_size;
	return 0;
}

/* A v1.1 image begins with a common magic and its own magic; the inventory has only its own. */
static int image_check_magic(struct image *image, uint32_t magic, struct error *err)
{
	uint32_t first = image->bytes >= 4 ? get_u32(image->data) : 0;

	image->at = 4;
	if (first == IMAGE_COMMON || first == IMAGE_SERVICE) {
		first = image->bytes >= 8 ? get_u32(image->data + 4) : 0;
		image->at = 8;
	}
	if (first != magic)
		return error_set(err, CODE_CRIU, hint_images, "image %s is of another kind",
				 image->name);
	return 0;
}

int image_open_fd(struct image *image, int fd, const char *name, uint32_t magic,
		  struct error *err)
{
	int ret;

	memset(image, 0, sizeof(*image));
	snprintf(image->name, sizeof(image->name), "%s", name);
	ret = image_load(image, fd, err);
	if (!ret)
		ret = image_check_magic(image, magic, err);
	if (ret)
		image_close(image);
	return ret;
}

int image_open(struct image *image, int dir_fd, const char *name, uint32_t magic,
	       struct error *err)
{
	int fd, ret;

	memset(image, 0, sizeof(*image));
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot open image %s", name);
	ret = image_open_fd(image, fd, name, magic, err);
	close(fd);
	return ret;
}

int image_next(struct image *image, const ProtobufCMessageDescriptor *type,
	       ProtobufCMessage **msg, struct error *err)
{
	size_t left = image->bytes - image->at;
	uint32_t bytes;

	if (!left)
		return 0;
	if (left < 4)
		return error_set(err, CODE_CRIU, hint_images, "image %s is cut short",
				 image->name);
	bytes = get_u32(image->data + image->at);
	if (bytes > left - 4)
		return error_set(err, CODE_CRIU, hint_images, "image %s is cut short",
				 image->name);
	if (bytes > IMAGE_RECORD_MAX)
		return error_set(err, CODE_CRIU, hint_images,
				 "image %s has a record of %u bytes, more than %u", image->name,
				 bytes, IMAGE_RECORD_MAX);
	*msg = unpack(type, image->data + image->at + 4, bytes, UNPACK_TIMES);
	if (!*msg)
		return error_set(err, CODE_CRIU, hint_images, "image %s has a damaged record",
				 image->name);
	image->at += 4 + bytes;
	return 1;
}

/* Return: true when the record begins with field 1, a varint, and that is not @value */
static bool is_another(const uint8_t *record, size_t bytes, uint32_t value)
{
	uint64_t got = 0;

	if (!bytes || record[0] != FIELD_1_VARINT)
		return false;
	for (size_t i = 1; i < bytes && i <= VARINT_U32_MAX; i++) {
		got |= (uint64_t)(record[i] & 0x7f) << (7 * (i - 1));
		if (!(record[i] & 0x80))
			return got != value;
	}
	return false;
}

void image_skip_others(struct image *image, uint32_t value)
{
	while (image->bytes - image->at >= 4) {
		const uint8_t *record = image->data + image->at;
		uint32_t bytes = get_u32(record);

		if (bytes > image->bytes - image->at - 4 || !is_another(record + 4, bytes, value))
			return;
		image->at += 4 + bytes;
	}
}

int image_read_one(int dir_fd, const char *name, uint32_t magic,
		   const ProtobufCMessageDescriptor *type, ProtobufCMessage **msg,
		   struct error *err)
{
	struct image image;
	int ret;

	if (image_open(&image, dir_fd, name, magic, err))
		return -1;
	ret = image_next(&image, type, msg, err);
	image_close(&image);
	if (!ret)
		return error_set(err, CODE_CRIU, hint_images, "image %s is empty", name);
	return ret < 0 ? -1 : 0;
}

void image_close(struct image *image)
{
	if (image->data && image->mapped)
		munmap(image->data, image->bytes);
	else
		free(image->data);
	image->data = NULL;
	image->bytes = 0;
	image->at = 0;
}

static uint8_t *image_out_reserve(struct image_out *out, size_t bytes)
{
	size_t room = out->room ? out->room : IMAGE_ROOM_MIN;
	uint8_t *data;

	if (out->failed)
		return NULL;
	while (room - out->bytes < bytes)
		room *= 2;
	if (room != out->room) {
		data = realloc(out->data, room);
		if (!data) {
			out->failed = true;
			return NULL;
		}
		out->data = data;
		out->room = room;
	}
	data = out->data + out->bytes;
	out->bytes += bytes;
	return data;
}

static void image_out_u32(struct image_out *out, uint32_t value)
{
	uint8_t *at = image_out_reserve(out, sizeof(value));

	value = htole32(value);
	if (at)
		memcpy(at, &value, sizeof(value));
}

void image_out_init(struct image_out *out, uint32_t magic)
{
	memset(out, 0, sizeof(*out));
	if (magic != IMAGE_INVENTORY)
		image_out_u32(out, magic == IMAGE_STATS ? IMAGE_SERVICE : IMAGE_COMMON);
	image_out_u32(out, magic);
}

void image_out_add(struct image_out *out, const ProtobufCMessage *msg)
{
	size_t bytes = protobuf_c_message_get_packed_size(msg);
	uint8_t *at;

	image_out_u32(out, bytes);
	at = image_out_reserve(out, bytes);
	if (at)
		protobuf_c_message_pack(msg, at);
}

int image_out_store(struct image_out *out, int dir_fd, const char *name, struct error *err)
{
	char temp[IMAGE_NAME_MAX + 8];
	int fd, ret;

	if (out->failed)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for image %s", name);
	snprintf(temp, sizeof(temp), "%s.new", name);
	fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot create image %s", temp);
	ret = io_write_all(fd, out->data, out->bytes);
	close(fd);
	if (ret || renameat(dir_fd, temp, dir_fd, name)) {
		error_errno(err, CODE_CRIU, NULL, "cannot write image %s", name);
		unlinkat(dir_fd, temp, 0);
		return -1;
	}
	return 0;
}

void image_out_free(struct image_out *out)
{
	free(out->data);
	memset(out, 0, sizeof(*out));
}

int image_edit(int dir_fd, const char *name, uint32_t magic,
	       const ProtobufCMessageDescriptor *type, image_edit_fn fn, void *ctx,
	       struct error *err)
{
	struct image_out out;
	ProtobufCMessage *msg;
	struct image image;
	bool changed = false;
	int ret;

	if (image_open(&image, dir_fd, name, magic, err))
		return -1;
	image_out_init(&out, magic);
	while ((ret = image_next(&image, type, &msg, err)) > 0) {
		changed |= fn(ctx, msg, &out);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	if (!ret)
		changed |= fn(ctx, NULL, &out);
	if (!ret && changed)
		ret = image_out_store(&out, dir_fd, name, err);
	image_out_free(&out);
	image_close(&image);
	return ret;
}

int image_edit_each(int dir_fd, const char *prefix, uint32_t magic,
		    const ProtobufCMessageDescriptor *type, image_edit_fn fn, void *ctx,
		    struct error *err)
{
	int fd = openat(dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC), ret = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return error_errno(err, CODE_INTERNAL, NULL, "cannot list the images");
	}
	while (!ret && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, prefix, strlen(prefix)))
			ret = image_edit(dir_fd, entry->d_name, magic, type, fn, ctx, err);
	closedir(dir);
	return ret;
}
