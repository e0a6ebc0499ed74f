// SPDX-License-Identifier: GPL-2.0
/* Events of the generic netlink family: their order, and the limit of their rate. */
#include <netlink/errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "ksft.h"
#include "netlink_client.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define EPOCHS		2000
#define SILENCE_MS	400

static struct client client, listener;

static struct seen *seen_last(struct seen_list *list, __u64 id)
{
	struct seen *found = NULL;
	size_t i;

	for (i = 0; i < list->nr; i++) {
		if (SEEN(&list->v[i], ID) == id)
			found = &list->v[i];
	}
	return found;
}

/* What is said of session @id, in order, as letters: n, e, g, d. */
static void netlink_story(const struct seen_list *list, __u64 id, char *story,
			  size_t size)
{
	static const char letters[] = {
		[SPLICE_VM_CMD_SESSION_NEW_NTF] = 'n',
		[SPLICE_VM_CMD_EPOCH_NTF] = 'e',
		[SPLICE_VM_CMD_TARGET_GONE_NTF] = 'g',
		[SPLICE_VM_CMD_SESSION_DEL_NTF] = 'd',
	};
	size_t i, n = 0;

	for (i = 0; i < list->nr; i++) {
		const struct seen *seen = &list->v[i];

		if (SEEN(seen, ID) == id && n < size - 1)
			story[n++] = seen->cmd < (int)sizeof(letters) ?
				     letters[seen->cmd] : '?';
	}
	story[n] = 0;
}

static void netlink_listen(struct client *c, struct seen_list *list)
{
	int ret = client_listen(c, SILENCE_MS, list);

	if (ret)
		ksft_exit_fail_msg("listen: %s\n", nl_geterror(ret));
}

static void netlink_test_events(bool kill_it)
{
	struct seen_list list = {};
	struct seen *last;
	struct target t;
	struct svm s;
	char story[64];
	__u64 id;

	target_start(&t);
	svm_open(&s, t.pid, true);
	id = client_newest_id(&client);
	netlink_listen(&listener, &list);
	svm_epoch(&s);
	netlink_listen(&listener, &list);
	svm_epoch(&s);
	netlink_listen(&listener, &list);
	last = seen_last(&list, id);
	ksft_test_value(last ? (long)SEEN(last, EPOCHS) : -1, 2, "epochs told\n");
	if (kill_it)
		target_stop(&t);
	svm_close(&s);
	netlink_listen(&listener, &list);
	netlink_story(&list, id, story, sizeof(story));
	ksft_test_result(!strcmp(story, kill_it ? "neegd" : "need"),
			 "new, epoch, epoch, %sdel: %s\n",
			 kill_it ? "gone, " : "", story);
	last = seen_last(&list, id);
	ksft_test_result(last && SEEN_HAS(last, GONE) == kill_it &&
			 SEEN(last, PID) == (__u64)t.pid,
			 "the last one says it too\n");
	if (!kill_it)
		target_stop(&t);
	seen_free(&list);
}

/* Nothing to tell of a session that never had a target. */
static void netlink_test_silent(void)
{
	struct seen_list list = {};

	close(svm_open_device());
	netlink_listen(&listener, &list);
	ksft_test_value(list.nr, 0, "open and close alone make no event\n");
	seen_free(&list);
}

/* Epochs in a row: few messages, and the last has the right number. */
static void netlink_test_flood(void)
{
	struct seen_list list = {};
	struct seen *last;
	struct target t;
	__u64 id, begun, ms;
	struct svm s;
	int i;

	target_start(&t);
	svm_open(&s, t.pid, true);
	id = client_newest_id(&client);
	begun = sys_now_ns();
	for (i = 0; i < EPOCHS; i++)
		svm_epoch(&s);
	ms = (sys_now_ns() - begun) / 1000000;
	netlink_listen(&listener, &list);
	last = seen_last(&list, id);
	ksft_test_result(list.nr >= 2 && list.nr <= ms / 100 + 3,
			 "%d epochs in %llu ms: %zu events\n", EPOCHS, ms,
			 list.nr);
	ksft_test_value(last ? (long)SEEN(last, EPOCHS) : -1, EPOCHS,
			"the last one has them all\n");
	svm_close(&s);
	target_stop(&t);
	seen_free(&list);
	netlink_listen(&listener, &list);
	seen_free(&list);
}

/* Who does not listen is told so, and nobody waits for him. */
static void netlink_test_overrun(void)
{
	struct seen_list list = {};
	struct client deaf;
	struct target t;
	struct svm s;
	int i;

	ksft_must(!client_open(&deaf) && !client_join(&deaf));
	ksft_must(!nl_socket_set_buffer_size(deaf.sock, 4096, 4096));
	target_start(&t);
	for (i = 0; i < 20; i++) {
		svm_open(&s, t.pid, false);
		svm_close(&s);
	}
	ksft_test_value(client_listen(&deaf, SILENCE_MS, &list), -NLE_NOMEM,
			"a listener that missed some is told\n");
	client_close(&deaf);
	target_stop(&t);
	seen_free(&list);
	netlink_listen(&listener, &list);
	ksft_test_value(list.nr, 40, "and the other one got all\n");
	seen_free(&list);
}

int main(void)
{
	ksft_print_header();
	if (client_open(&client))
		ksft_exit_fail_msg("no family " SPLICE_VM_FAMILY_NAME "\n");
	/* A slow machine must not miss any: libnl asks for 32 KiB. */
	if (client_open(&listener) || client_join(&listener) ||
	    nl_socket_set_buffer_size(listener.sock, 1 << 20, 32768))
		ksft_exit_fail_msg("cannot join the group\n");
	netlink_test_silent();
	netlink_test_events(true);
	netlink_test_events(false);
	netlink_test_flood();
	netlink_test_overrun();
	client_close(&listener);
	client_close(&client);
	ksft_finished();
}
