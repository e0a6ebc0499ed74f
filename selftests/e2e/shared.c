// SPDX-License-Identifier: GPL-2.0
/*
 * Processes with shared memory, of which each knows which version of each of its pages it has written.
 *
 *	shared PORT MIB CHILDREN memfd|anon|huge|sealed|sysv|PATH store|pwrite|splice|punch|idle
 *
 * The process listens on PORT and each child on a port of its own behind it. Who connects is told, in
 * one line: passes over the memory, wrong pages, and pages of others that have become newer. Page n
 * belongs to process n modulo their number; each writes its own pages only, by stores, by pwrite(2) or by splice(2), or
 * by stores, and makes holes of some by fallocate(2).
 * A page of its own is wrong when it is not as the process wrote it last, a page of another process
 * when it is older than it was.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

#define PAGE		4096
#define STEP		512	/* pages that are looked at in one turn */
#define WRITES		4	/* pages that a process writes in one turn */

/* The first and the last words of a page. */
struct page {
	uint64_t version, check;
	uint8_t rest[PAGE - 32];
	uint64_t last_check, last_version;
};

static struct page *memory;
static uint32_t *versions;	/* of own pages: as written; of others: as seen */
static uint64_t pages, passes, wrong, newer, random_state = 88172645463325252;
static int members, self, object = -1;
static bool uses_pwrite, uses_splice, punches, idle;
static uint32_t serial;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t check_of(uint64_t page, uint64_t version)
{
	return (page + 1) * 0x9e3779b97f4a7c15 ^ version * 0xc2b2ae3d27d4eb4f;
}

static void page_splice(uint64_t at, const struct page *new)
{
	static int ends[2] = { -1 };
	off_t to = at * PAGE;

	if (ends[0] < 0 && pipe(ends))
		err(1, "pipe");
	if (write(ends[1], new, PAGE) != PAGE || splice(ends[0], NULL, object, &to, PAGE, 0) != PAGE)
		err(1, "splice");
}

/* Of those only their own process knows what they are. */
static bool is_punched(uint64_t at)
{
	return punches && at % 5 == 1;
}

static void page_punch(uint64_t at)
{
	if (fallocate(object, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at * PAGE, PAGE))
		err(1, "fallocate");
	versions[at] = 0;
}

static void page_write(uint64_t at)
{
	uint64_t version = ++serial;
	volatile struct page *to = &memory[at];
	struct page new = {
		.version = version, .check = check_of(at, version),
		.last_check = check_of(at, version), .last_version = version,
	};

	if (uses_pwrite) {
		if (pwrite(object, &new, PAGE, at * PAGE) != PAGE)
			err(1, "pwrite");
	} else if (uses_splice) {
		page_splice(at, &new);
	} else {
		to->last_version = version;
		to->last_check = check_of(at, version);
		to->check = check_of(at, version);
		to->version = version;
	}
	versions[at] = version;
}

static void own_look(uint64_t at)
{
	const struct page *page = &memory[at];

	if (!versions[at] && !page->version)
		return;
	if (page->version != versions[at] || page->last_version != versions[at] ||
	    page->check != check_of(at, versions[at]) ||
	    page->last_check != check_of(at, versions[at]))
		wrong++;
}

static void other_look(uint64_t at)
{
	const volatile struct page *page = &memory[at];
	uint64_t version = page->version;

	if (version < versions[at])
		wrong++;
	newer += version > versions[at];
	versions[at] = version;
}

static void page_look(uint64_t at)
{
	if (at % members == (uint64_t)self)
		own_look(at);
	else if (!is_punched(at))
		other_look(at);
}

static void page_change(uint64_t at)
{
	if (is_punched(at) && random_next() % 2)
		page_punch(at);
	else
		page_write(at);
}

static int listen_on(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
		err(1, "port %d", port);
	return fd;
}

static void tell(int listener)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return;
	dprintf(fd, "%lu %lu %lu\n", passes, wrong, newer);
	close(fd);
}

static void member(int port)
{
	struct pollfd pfd = { .fd = listen_on(port), .events = POLLIN };
	uint64_t at = 0;

	for (uint64_t own = self; own < pages; own += members)
		if (own % 7)	/* some pages stay holes */
			page_write(own);
	for (;;) {
		for (int i = 0; i < STEP; i++)
			page_look(at++ % pages);
		for (int i = 0; !idle && i < WRITES; i++)
			page_change(random_next() % (pages / members) * members + self);
		if (at % pages < STEP)
			passes++;
		while (poll(&pfd, 1, 1) > 0)
			tell(pfd.fd);
	}
}

static void *map_object(const char *kind)
{
	uint64_t bytes = pages * PAGE;

	if (!strcmp(kind, "huge"))
		return mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (!strcmp(kind, "anon"))
		return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!strcmp(kind, "sysv"))
		return shmat(shmget(IPC_PRIVATE, bytes, 0600), NULL, 0);
	if (*kind == '/')
		object = open(kind, O_RDWR | O_CREAT | O_TRUNC, 0640);
	else
		object = memfd_create("shared object", MFD_ALLOW_SEALING);
	if (object < 0 || ftruncate(object, bytes))
		err(1, "%s", kind);
	if (!strcmp(kind, "sealed") && fcntl(object, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		err(1, "F_ADD_SEALS");
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, object, 0);
}

int main(int argc, char **argv)
{
	int port;

	if (argc != 6)
		errx(1, "usage: shared PORT MIB CHILDREN memfd|anon|huge|sealed|PATH store|pwrite|splice|punch|idle");
	signal(SIGPIPE, SIG_IGN);
	port = atoi(argv[1]);
	pages = strtoul(argv[2], NULL, 10) << 8;
	members = atoi(argv[3]) + 1;
	uses_pwrite = !strcmp(argv[5], "pwrite");
	uses_splice = !strcmp(argv[5], "splice");
	punches = !strcmp(argv[5], "punch");
	idle = !strcmp(argv[5], "idle");
	memory = map_object(argv[4]);
	versions = calloc(pages, sizeof(*versions));
	if (memory == MAP_FAILED || !versions)
		err(1, "memory");
	for (int child = 1; child < members; child++) {
		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		self = child;
		break;
	}
	random_state += self;
	member(port + self);
}
