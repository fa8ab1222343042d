/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls of s3.h one at a time, waited for from the test's thread:
 *
 *	sync_begin(&(struct s3_config){...});
 *	struct s3_head_call h = {.key = "k"};
 *	check_int(sync_head(&h), ==, 0);
 *	sync_end();
 *
 * Each sync_x returns error.err; -ETIME when `done` did not come.
 */
#ifndef TESTS_LIB_S3_SYNC_H
#define TESTS_LIB_S3_SYNC_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/on_loop.h"
#include "s3/s3.h"

static struct {
	struct loop *loop;
	struct s3_client *client;
	struct gate over;
} sync_;

static inline void sync_done_(struct s3_call *c)
{
	gate_open(&sync_.over);
}

/* A client on the loop, which is started at the first time. */
static inline void sync_begin(const struct s3_config *config)
{
	char why[256];

	if (!sync_.loop) {
		gate_init(&sync_.over);
		sync_.loop = start_loop(NULL);
	}
	if (s3_client_new(config, why, sizeof(why), &sync_.client) < 0) {
		printf("Bail out! %s\n", why);
		exit(1);
	}
}

/* The client alone: the loop and its connections stay. */
static inline void sync_end_client(void)
{
	s3_client_free(sync_.client);
	sync_.client = NULL;
}

static inline void sync_end(void)
{
	end_loop(sync_.loop);
	sync_.loop = NULL;
	sync_end_client();
}

#define SYNC_CALL(name, type, start)                                        \
	static inline void sync_start_##name##_(void *arg)                  \
	{                                                                   \
		start(sync_.client, sync_.loop, (struct type *)arg);        \
	}                                                                   \
	static inline int sync_##name(struct type *c)                       \
	{                                                                   \
		c->call.done = sync_done_;                                  \
		if (!on_loop(sync_.loop, sync_start_##name##_, c))          \
			return -ETIME;                                      \
		return gate_wait(&sync_.over) ? c->call.error.err : -ETIME; \
	}

SYNC_CALL(head, s3_head_call, s3_head)
SYNC_CALL(list, s3_list_call, s3_list)
SYNC_CALL(peek, s3_peek_call, s3_peek)
SYNC_CALL(put, s3_put_call, s3_put)
SYNC_CALL(create, s3_create_upload_call, s3_create_upload)
SYNC_CALL(part, s3_upload_part_call, s3_upload_part)
SYNC_CALL(complete, s3_complete_call, s3_complete)
SYNC_CALL(abort, s3_abort_call, s3_abort)
SYNC_CALL(parts, s3_list_parts_call, s3_list_parts)
SYNC_CALL(delete, s3_delete_call, s3_delete)
SYNC_CALL(rename, s3_rename_call, s3_rename)

#endif
