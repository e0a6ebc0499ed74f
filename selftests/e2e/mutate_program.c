// SPDX-License-Identifier: GPL-2.0
/* Turns the images of a whole dump into images that a source sends after rounds of pre-copy. */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "criu/image.h"
#include "criu/pagemap.h"
#include "images.pb-c.h"
#include "pages/page_set.h"
#include "mutate.h"

static void *grow(void *list, size_t nr, size_t size)
{
	list = realloc(list, (nr + 1) * size);
	if (!list)
		err(1, "realloc");
	return list;
}

static uint8_t *slurp(int dir_fd, const char *name, size_t *size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	off_t bytes = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	uint8_t *data = bytes < 0 ? NULL : malloc(bytes + 1);

	if (!data || pread(fd, data, bytes, 0) != bytes)
		err(1, "%s", name);
	close(fd);
	*size = bytes;
	return data;
}

static struct file *add_file(struct program *program, const char *name)
{
	struct file *file;

	program->files = grow(program->files, program->nr_files, sizeof(*file));
	file = &program->files[program->nr_files++];
	*file = (struct file){ .size = 0 };
	snprintf(file->name, sizeof(file->name), "%s", name);
	return file;
}

static ProtobufCMessage *first(int dir_fd, const char *name, uint32_t magic,
			       const ProtobufCMessageDescriptor *type)
{
	struct error error = { 0 };
	ProtobufCMessage *msg;

	if (image_read_one(dir_fd, name, magic, type, &msg, &error))
		errx(1, "%s", error.what);
	return msg;
}

static void read_vmas(struct program *program, int dir_fd)
{
	char name[IMAGE_NAME_MAX];
	Img__MmEntry *mm;

	snprintf(name, sizeof(name), "mm-%d.img", program->pid);
	mm = (void *)first(dir_fd, name, IMAGE_MM, &img__mm_entry__descriptor);
	for (size_t i = 0; i < mm->n_vmas; i++) {
		const Img__VmaEntry *vma = mm->vmas[i];

		if (vma->start >= USER_END || !(vma->flags & MAP_PRIVATE))
			continue;
		program->vmas = grow(program->vmas, program->nr_vmas, sizeof(struct span));
		program->vmas[program->nr_vmas++] = (struct span){
			.addr = vma->start, .nr_pages = (vma->end - vma->start) / PAGE_BYTES,
		};
	}
	protobuf_c_message_free_unpacked(&mm->base, NULL);
}

/* All pages are "in the parent": they come as frames, and none is in the images. */
static void read_pagemap(struct program *program, int dir_fd)
{
	struct error error = { 0 };
	struct image_out out;
	ProtobufCMessage *msg;
	struct image image;
	struct file *file;
	uint64_t from = 0;
	size_t size;

	program->pages = slurp(dir_fd, "pages-1.img", &size);
	add_file(program, "pages-1.img");
	file = add_file(program, "");
	pagemap_name(file->name, program->pid);
	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put_head(&out, 1);
	if (image_open(&image, dir_fd, file->name, IMAGE_PAGEMAP, &error) ||
	    image_next(&image, &img__pagemap_head__descriptor, &msg, &error) != 1)
		errx(1, "%s", error.what);
	protobuf_c_message_free_unpacked(msg, NULL);
	while (image_next(&image, &img__pagemap_entry__descriptor, &msg, &error) == 1) {
		struct pagemap_entry entry;

		if (pagemap_get((void *)msg, from, &entry, &error))
			errx(1, "%s", error.what);
		pagemap_put(&out, entry.addr, entry.nr_pages, PAGEMAP_PARENT);
		program->spans = grow(program->spans, program->nr_spans, sizeof(struct span));
		program->spans[program->nr_spans++] = (struct span){
			.addr = entry.addr, .nr_pages = entry.nr_pages,
			.data = program->pages + program->nr_pages * PAGE_BYTES,
		};
		program->nr_pages += entry.nr_pages;
		from = entry.addr + entry.nr_pages * PAGE_BYTES;
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_close(&image);
	if (size != program->nr_pages * PAGE_BYTES)
		errx(1, "pages-1.img has %zu bytes, and should have %lu pages", size,
		     program->nr_pages);
	file->data = out.data;
	file->size = out.bytes;
}

void program_read(struct program *program, const char *dir)
{
	int dir_fd = open(dir, O_DIRECTORY | O_CLOEXEC);
	DIR *stream = opendir(dir);
	Img__PstreeEntry *tree;
	struct dirent *entry;

	if (dir_fd < 0 || !stream)
		err(1, "%s", dir);
	tree = (void *)first(dir_fd, "pstree.img", IMAGE_PSTREE, &img__pstree_entry__descriptor);
	program->pid = tree->pid;
	protobuf_c_message_free_unpacked(&tree->base, NULL);
	while ((entry = readdir(stream))) {
		const char *name = entry->d_name;
		size_t length = strlen(name);
		struct file *file;

		if (length < 5 || strcmp(name + length - 4, ".img") ||
		    !strncmp(name, "pages-", 6) || !strncmp(name, "pagemap-", 8))
			continue;
		file = add_file(program, name);
		file->data = slurp(dir_fd, name, &file->size);
	}
	closedir(stream);
	read_vmas(program, dir_fd);
	read_pagemap(program, dir_fd);
	close(dir_fd);
}
