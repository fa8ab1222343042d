/* SPDX-License-Identifier: Apache-2.0 */

/* struct uploads from beginning to end: who cares for what is not simply completed or aborted. */
#include "upload/uploads.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "upload/journal.h"
#include "upload/mime.h"
#include "upload/orphan.h"
#include "upload/stray.h"

static void on_left(void *arg, const char *key, const char *id)
{
	struct uploads *all = arg;

	if (id[0] == UPLOAD_INTENT) {
		upload_strays_left(all->strays, key, id);
		return;
	}
	log_info(LOG_UPLOAD, "upload %s of %s was left by a process that is gone", id, key);
	upload_orphans_add(all->orphans, key, id);
}

static int open_journal(struct uploads *all)
{
	const struct upload_config *c = &all->config;
	int r = upload_journal_new(&all->journal);

	if (r == 0)
		r = upload_orphans_new(c->client, c->loops[0], all->journal, &all->orphans);
	if (r == 0)
		r = upload_strays_new(c->client, c->loops[0], all->orphans, all->journal,
				      &all->strays);
	if (r == 0 && c->scope)
		upload_journal_open(all->journal, NULL, c->scope, on_left, all);
	return r;
}

int uploads_new(const struct upload_config *config, struct uploads **ret)
{
	struct uploads *all = calloc(1, sizeof(*all));
	int r;

	if (!all)
		return -ENOMEM;
	all->config = *config;
	r = open_journal(all);
	all->config.scope = NULL; /* was only borrowed */
	if (r == 0 && config->infer_content_type)
		r = mime_load(NULL, NULL, &all->mime);
	if (r < 0) {
		uploads_free(all);
		return r;
	}
	*ret = all;
	return 0;
}

void uploads_free(struct uploads *all)
{
	if (!all)
		return;
	upload_strays_free(all->strays);
	upload_orphans_free(all->orphans);
	upload_journal_close(all->journal);
	mime_free(all->mime);
	free(all);
}

unsigned uploads_at_server(const struct uploads *all)
{
	return upload_journal_count(all->journal);
}
