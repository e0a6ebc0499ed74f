// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/page.h"
#include "pages/journal.h"

#define ENTRIES_MAX	(1UL << 24)	/* each fault may take one; only used ones take memory */
#define TOOK_SHIFT	48
#define NR_MASK		((1UL << TOOK_SHIFT) - 1)

/**
 * struct journal_head - first bytes of the memory
 * @state: number of entries; above TOOK_SHIFT the number of events that were taken out of @msgs
 * @space: whose @msgs are
 */
struct journal_head {
	_Atomic uint64_t state;
	atomic_bool broken;
	uint32_t space;
	struct uffd_msg msgs[JOURNAL_EVENTS];
};

_Static_assert(sizeof(struct uffd_msg) == sizeof(((struct journal_entry *)0)->args), "an event is an entry's args");

#define HEAD_BYTES	PAGE_BYTES
#define ALL_BYTES	(HEAD_BYTES + ENTRIES_MAX * sizeof(struct journal_entry))

int journal_map(struct journal *journal, int fd, struct error *err)
{
	void *memory = MAP_FAILED;
	struct stat st;

	/* one that is shorter would end in SIGBUS */
	if (!fstat(fd, &st) && st.st_size != ALL_BYTES)
		errno = EINVAL;
	else
		memory = mmap(NULL, ALL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (memory == MAP_FAILED) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a record");
		close(fd);
		return -1;
	}
	*journal = (struct journal){
		.fd = fd, .head = memory, .entries = (void *)((uint8_t *)memory + HEAD_BYTES),
	};
	return 0;
}

int journal_open(struct journal *journal, struct error *err)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, ALL_BYTES)) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a record");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return journal_map(journal, fd, err);
}

void journal_close(struct journal *journal)
{
	if (!journal->head)
		return;
	munmap(journal->head, ALL_BYTES);
	close(journal->fd);
	*journal = (struct journal){ .fd = -1 };
}

uint64_t journal_nr(const struct journal *journal)
{
	return atomic_load(&journal->head->state) & NR_MASK;
}

void journal_break(struct journal *journal)
{
	if (journal && journal->head && !journal->replays)
		atomic_store(&journal->head->broken, true);
}

bool journal_is_broken(const struct journal *journal)
{
	return atomic_load(&journal->head->broken);
}

static struct journal_entry *next_entry(struct journal *journal, uint64_t nr)
{
	if (nr < ENTRIES_MAX)
		return &journal->entries[nr];
	journal_break(journal);
	return NULL;
}

void journal_add(struct journal *journal, uint32_t op, uint32_t space, uint64_t one, uint64_t two, uint64_t three)
{
	struct journal_entry *entry;
	uint64_t state;

	if (!journal || !journal->head || journal->replays)
		return;
	state = atomic_load(&journal->head->state);
	entry = next_entry(journal, state & NR_MASK);
	if (!entry)
		return;
	*entry = (struct journal_entry){ op, space, { one, two, three } };
	atomic_store(&journal->head->state, state + 1);
}

uint32_t journal_space(struct journal *journal)
{
	return journal ? journal->nr_spaces++ : 0;
}

void journal_settled(struct journal *journal, uint32_t space, uint64_t addr, uint64_t nr_pages)
{
	struct journal_entry *last;
	uint64_t nr;

	if (!journal || journal->replays || !nr_pages)
		return;
	nr = journal_nr(journal);
	last = nr ? &journal->entries[nr - 1] : NULL;
	/* a run that goes on: pages come one behind the other mostly */
	if (last && last->op == JOURNAL_SETTLED && last->space == space &&
	    last->args[0] + last->args[1] * PAGE_BYTES == addr)
		*(volatile uint64_t *)&last->args[1] += nr_pages;
	else
		journal_add(journal, JOURNAL_SETTLED, space, addr, nr_pages, 0);
}

ssize_t journal_read(struct journal *journal, uint32_t space, int uffd, struct uffd_msg *msgs)
{
	struct journal_head *head;
	ssize_t bytes;

	if (!journal)
		return read(uffd, msgs, JOURNAL_EVENTS * sizeof(*msgs));
	head = journal->head;
	/* all that was read before is taken: an event is what is not 0 */
	memset(head->msgs, 0, sizeof(head->msgs));
	head->space = space;
	atomic_store(&head->state, journal_nr(journal));
	bytes = read(uffd, head->msgs, sizeof(head->msgs));
	if (bytes > 0)
		memcpy(msgs, head->msgs, bytes);
	return bytes;
}

void journal_took(struct journal *journal, size_t i)
{
	struct journal_head *head;
	struct journal_entry *entry;
	uint64_t nr, took = (uint64_t)(i + 1) << TOOK_SHIFT;

	if (!journal)
		return;
	head = journal->head;
	nr = journal_nr(journal);
	entry = head->msgs[i].event == UFFD_EVENT_PAGEFAULT ? NULL : next_entry(journal, nr);
	if (entry) {
		entry->op = JOURNAL_EVENT;
		entry->space = head->space;
		memcpy(entry->args, &head->msgs[i], sizeof(entry->args));
	}
	atomic_store(&head->state, took | (entry ? nr + 1 : nr));
}

struct uffd_msg *journal_pending(struct journal *journal, size_t i, uint32_t *space)
{
	struct journal_head *head = journal->head;

	*space = head->space;
	return i < JOURNAL_EVENTS && i >= atomic_load(&head->state) >> TOOK_SHIFT && head->msgs[i].event ?
	       &head->msgs[i] : NULL;
}
