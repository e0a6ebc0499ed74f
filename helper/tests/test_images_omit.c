// SPDX-License-Identifier: GPL-2.0
/* Pages that frames have carried stay out of the images; pages of the images stay out of frames. */
#define _GNU_SOURCE
#include <signal.h>
#include "pages/sets.h"
#include "source/images.h"
#include "source/tree.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "tests/criu_images.h"

#define PG(n)		((uint64_t)(n) * PAGE_BYTES)
#define HEAP		0x100	/* lazy */
#define DATA		0x200	/* of a file: not lazy */
#define LOCKED		0x300	/* not lazy */
#define PAGES		10	/* of each */
#define IMAGE_PAGES	21	/* the first page of the heap, the data, what is locked */

struct bench {
	struct test_dir dir;
	struct tree tree;
	struct source_shms shms;
	struct source_process *process;
	struct control *source, *dest;
	struct mailbox box;
	struct figures figures;
	struct cgroup group;
	struct images images;
	struct error err;
};

static void write_pages(int dir_fd)
{
	static uint8_t pages[IMAGE_PAGES][PAGE_BYTES];
	struct error err = { 0 };
	struct image_out map;

	for (int i = 0; i < IMAGE_PAGES; i++)
		memset(pages[i], i + 1, PAGE_BYTES);
	file_write(dir_fd, "pages-1.img", pages, sizeof(pages));
	image_out_init(&map, IMAGE_PAGEMAP);
	pagemap_put_head(&map, 1);
	pagemap_put(&map, PG(HEAP), 1, PAGEMAP_PRESENT);
	pagemap_put(&map, PG(HEAP + 1), PAGES - 1, PAGEMAP_LAZY);
	pagemap_put(&map, PG(DATA), PAGES, PAGEMAP_PRESENT);
	pagemap_put(&map, PG(LOCKED), PAGES, PAGEMAP_PRESENT);
	assert_int_equal(image_out_store(&map, dir_fd, "pagemap-77.img", &err), 0);
	image_out_free(&map);
}

static void write_images(int dir_fd)
{
	const struct test_vma vmas[] = {
		{ PG(HEAP), PG(HEAP + PAGES), FLAGS_ANON, STATUS_REGULAR },
		{ PG(DATA), PG(DATA + PAGES), FLAGS_FILE, STATUS_REGULAR },
		{ PG(LOCKED), PG(LOCKED + PAGES), FLAGS_ANON | MAP_LOCKED, STATUS_REGULAR },
	};

	pstree_write(dir_fd, (uint32_t []){ TEST_PID }, 1);
	core_write(dir_fd, TEST_PID, 1, 0);
	mm_write(dir_fd, vmas, 3);
	write_pages(dir_fd);
}

static void add(struct page_set *set, uint64_t page, uint64_t nr)
{
	struct error err = { 0 };

	assert_int_equal(page_set_add(set, PG(page), nr, &err), 0);
}

/* All there is is populated; each test says what is unsent. */
static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int fds[2];

	*state = bench;
	dir_make(&bench->dir);
	write_images(bench->dir.fd);
	bench->process = tree_add(&bench->tree, getpid(), &bench->err);
	if (!bench->process || criu_task_read(bench->dir.fd, TEST_PID, &bench->process->task, &bench->err) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return -1;
	add(&bench->process->mm.populated, HEAP, PAGES);
	add(&bench->process->mm.populated, DATA, PAGES);
	add(&bench->process->mm.populated, LOCKED, PAGES);
	mailbox_init(&bench->box, "the destination");
	bench->source = control_new(CONN(fds[0]), COURSE_SOURCE, &bench->err);
	bench->dest = control_new(CONN(fds[1]), COURSE_DEST, &bench->err);
	bench->images = (struct images){
		.dir_fd = bench->dir.fd, .tree = &bench->tree, .shms = &bench->shms, .group = &bench->group,
		.figures = &bench->figures, .ctl = bench->source, .box = &bench->box,
	};
	return walk_to(bench->source, bench->dest, PHASE_FROZEN, &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	control_close(bench->source);
	control_close(bench->dest);
	tree_destroy(&bench->tree);
	mailbox_destroy(&bench->box);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

/** struct seen - what came over: the first byte of each page in the pages image; bytes in all */
struct seen {
	uint8_t first[IMAGE_PAGES + 1];
	size_t nr;
	unsigned int lasts;
	uint64_t bytes, announced;
	bool go;
};

static void see_file(struct seen *seen, const Migrate__ImageFile *file)
{
	seen->bytes += file->data.len;
	if (strcmp(file->name, "pages-1.img"))
		return;
	assert_int_equal(seen->lasts, 0);
	assert_int_equal(file->offset, PG(seen->nr));
	assert_true(seen->nr + file->data.len / PAGE_BYTES <= IMAGE_PAGES);
	for (size_t at = 0; at < file->data.len; at += PAGE_BYTES)
		seen->first[seen->nr++] = file->data.data[at];
	seen->lasts += file->last;
}

static struct seen send_images(struct bench *bench)
{
	struct seen seen = { 0 };
	Migrate__Control *msg;

	assert_int_equal(images_omit(&bench->images, &bench->err), 0);
	assert_int_equal(images_send(&bench->images, &bench->err), 0);
	while (!seen.go && (msg = control_recv(bench->dest, 10000, &bench->err))) {
		if (msg->body_case == MIGRATE__CONTROL__BODY_ANNOUNCE)
			seen.announced = msg->announce->image_bytes;
		else if (msg->body_case == MIGRATE__CONTROL__BODY_IMAGE_FILE)
			see_file(&seen, msg->image_file);
		seen.go = msg->body_case == MIGRATE__CONTROL__BODY_RESTORE_GO;
		migrate__control__free_unpacked(msg, NULL);
	}
	assert_true(seen.go);
	assert_int_equal(seen.lasts, 1);
	assert_int_equal(seen.announced, seen.bytes);
	assert_int_equal(bench->figures.image_bytes, seen.bytes);
	return seen;
}

/* Post-copy: no frame will carry a page of the images. */
static void nothing_was_sent(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = &bench->process->mm;
	struct seen seen;

	assert_int_equal(sets_copy(&mm->unsent, &mm->populated, &bench->err), 0);
	seen = send_images(bench);
	assert_int_equal(seen.nr, IMAGE_PAGES);
	for (int i = 0; i < IMAGE_PAGES; i++)
		assert_int_equal(seen.first[i], i + 1);
	assert_int_equal(mm->unsent.nr, PAGES - 1);
	assert_false(page_set_has(&mm->unsent, PG(HEAP)));
	assert_true(page_set_has(&mm->unsent, PG(HEAP + 1)));
}

/* After rounds the images carry pages that were written since; and a page that is lazy elsewhere. */
static void rounds_have_sent_most(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = &bench->process->mm;
	struct pagemap_entry entries[8];
	struct seen seen;

	add(&mm->unsent, HEAP + 5, 1);
	add(&mm->unsent, DATA + 3, 2);
	seen = send_images(bench);
	assert_int_equal(seen.nr, 3);
	assert_int_equal(seen.first[0], 1);
	assert_int_equal(seen.first[1], 1 + 1 + 3);
	assert_int_equal(seen.first[2], 1 + 1 + 4);
	assert_int_equal(mm->unsent.nr, 1);
	assert_true(page_set_has(&mm->unsent, PG(HEAP + 5)));
	assert_int_equal(pagemap_list(bench->dir.fd, entries, 8), 6);
	assert_int_equal(entries[2].flags, PAGEMAP_PARENT);
	assert_int_equal(entries[2].nr_pages, 3);
	assert_int_equal(entries[5].addr, PG(LOCKED));
	assert_int_equal(entries[5].flags, PAGEMAP_PARENT);
	assert_int_equal(entries[5].nr_pages, PAGES);
}

/* Not populated for frames: a page of a vdso, or one that CRIU alone found. */
static void a_page_that_frames_never_carry(void **state)
{
	struct bench *bench = *state;

	page_set_remove(&bench->process->mm.populated, PG(DATA), PAGES);
	assert_int_equal(send_images(bench).nr, 1 + PAGES);
}

static int new_page(struct backend *backend, uint64_t addr, void *buf, size_t bytes, size_t *done,
		    struct error *err)
{
	memset(buf, 0xee, bytes);
	*done = bytes;
	return 0;
}

/* CRIU's own code was in the first page of the data when the page was read from CRIU's connection. */
static void code_is_copied_again(void **state)
{
	static const struct backend_ops ops = { .read = new_page };
	static struct backend backend = { .ops = &ops };
	struct bench *bench = *state;
	struct source_mm *mm = &bench->process->mm;
	struct seen seen;

	bench->process->task.vmas.vmas[1].prot |= PROT_EXEC;
	bench->shms.dump.nr = 1;
	mm->backend = &backend;
	add(&mm->unsent, DATA + 3, 2);
	add(&mm->unsent, DATA + 7, 1);
	seen = send_images(bench);
	mm->backend = NULL;
	assert_int_equal(seen.nr, 4);
	assert_int_equal(seen.first[0], 1);
	for (int i = 1; i < 4; i++)
		assert_int_equal(seen.first[i], 0xee);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(nothing_was_sent), BENCH_TEST(rounds_have_sent_most),
		BENCH_TEST(a_page_that_frames_never_carry), BENCH_TEST(code_is_copied_again),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
