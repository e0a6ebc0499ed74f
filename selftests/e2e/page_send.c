// SPDX-License-Identifier: GPL-2.0
/*
 * Sends all private pages that a process has to a page server, as a dump of it would, by the helper's page_sender. Prints
 * how many pages went, how many of them were copied, and how many were left out for the server's older image.
 * Usage: page_send PID PORT [wide] [parent] [tls CACERT CERT KEY]
 *   wide	in the form of CRIU 4.2 and later
 *   parent	every other run is left out, which the server's older image must have
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "os/maps.h"
#include "tests/page_dump.h"

#define HERE		"127.0.0.1"
#define WAIT_MS		20000

struct list {
	struct pagemap_entry *runs;
	size_t nr;
	bool parent;
};

static struct error err;

static int quit(void)
{
	fprintf(stderr, "%s%s%s\n", err.what, *err.hint ? ": " : "", err.hint);
	return err.code;
}

static int take(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *error)
{
	struct list *list = ctx;

	list->runs = reallocarray(list->runs, list->nr + nr, sizeof(*list->runs));
	for (uint32_t i = 0; i < nr; i++, list->nr++)
		list->runs[list->nr] = (struct pagemap_entry){
			.addr = runs[i].addr, .nr_pages = runs[i].nr_pages,
			.flags = list->parent && list->nr % 2 ? PAGEMAP_PARENT : PAGEMAP_PRESENT,
		};
	return 0;
}

/* The private pages of all mappings, as a dump sends them */
static int list_pages(struct backend *backend, struct list *list)
{
	struct vma_list vmas;
	int ret = maps_read(backend->pid, true, &vmas, &err);

	for (size_t i = 0; !ret && i < vmas.nr; i++)
		if (vma_is_ours(&vmas.vmas[i]))
			ret = backend->ops->populated(backend, vmas.vmas[i].start, vmas.vmas[i].end, take,
						      list, &err);
	return ret;
}

static int connect_to(const char *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, HERE, &addr.sin_addr);
	if (!connect(fd, (void *)&addr, sizeof(addr)))
		return fd;
	perror("connect");
	exit(1);
}

int main(int argc, char **argv)
{
	struct page_sender_counts counts = { 0 };
	struct page_stream stream = { 0 };
	struct page_sender_task task;
	struct tls_files files = { 0 };
	struct list list = { 0 };
	bool wide = false;
	int ret;

	if (argc < 3)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	for (int i = 3; i < argc; i++) {
		wide |= !strcmp(argv[i], "wide");
		list.parent |= !strcmp(argv[i], "parent");
		if (!strcmp(argv[i], "tls") && i + 3 < argc)
			files = (struct tls_files){ .cacert = argv[i + 1], .cert = argv[i + 2], .key = argv[i + 3] };
	}
	task = (struct page_sender_task){ .pid = atoi(argv[1]) };
	task.backend = backend_open(BACKEND_AUTO, TRACKER_AUTO, task.pid, NULL, &err);
	if (!task.backend || list_pages(task.backend, &list))
		return quit();
	task.runs = list.runs;
	task.nr_runs = list.nr;
	stream.fd = connect_to(argv[2]);
	if (files.cert) {
		struct tls_trust *trust = tls_trust_load(&files, &err);

		stream.tls = trust ? tls_connect(stream.fd, trust, HERE, WAIT_MS, &err) : NULL;
		tls_trust_free(trust);
		if (!stream.tls)
			return quit();
	}
	ret = page_dump(&stream, wide, &task, &counts, &err);
	tls_free(stream.tls);
	close(stream.fd);
	backend_close(task.backend);
	free(list.runs);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", counts.pages, counts.copied, counts.in_parent);
	return ret ? quit() : 0;
}
