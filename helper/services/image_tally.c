// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdio.h>
#include "base/report.h"
#include "base/text.h"
#include "services/image_tally.h"

void image_tally_init(struct image_tally *tally)
{
	*tally = (struct image_tally){ 0 };
	pthread_mutex_init(&tally->lock, NULL);
}

void image_tally_add(struct image_tally *tally, const struct image_outcome *outcome)
{
	pthread_mutex_lock(&tally->lock);
	if (error_is_set(outcome->err)) {
		tally->failed++;
		tally->last = *outcome->err;
	} else {
		tally->complete++;
		tally->images += outcome->images;
		tally->bytes += outcome->bytes;
	}
	pthread_mutex_unlock(&tally->lock);
}

void image_tally_stranger(struct image_tally *tally)
{
	pthread_mutex_lock(&tally->lock);
	tally->strangers++;
	pthread_mutex_unlock(&tally->lock);
}

void image_outcome_tell(const struct image_outcome *outcome, const char *id)
{
	const struct error *err = outcome->err;
	char text[TEXT_MAX];
	json_t *fields = json_pack("{s:o,s:I,s:I,s:b}", "id", report_text(id),
				   "images", (json_int_t)outcome->images, "bytes",
				   (json_int_t)outcome->bytes, "confirmed", outcome->confirmed);

	if (!error_is_set(err)) {
		snprintf(text, sizeof(text), "%s: %s with %" PRIu64 " bytes arrived%s", id,
			 text_count(outcome->images, "image", "images").text, outcome->bytes,
			 outcome->confirmed ? "" :
			 "; without the action script criu did not wait for that");
		report_both("dump", fields, text);
		return;
	}
	snprintf(text, sizeof(text), "%.64s: %.160s; %s%s%.160s", id, err->what,
		 outcome->confirmed ?
		 "the cache has the images, and serves them to a restore that is started from now on" :
		 "the images are void", *err->hint ? ": " : "", err->hint);
	json_object_set_new(fields, "class", json_string(error_code_name(err->code)));
	json_object_set_new(fields, "exit", json_integer(err->code));
	report_both("failed", fields, text);
}
