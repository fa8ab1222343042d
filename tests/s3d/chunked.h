/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Decoder of the aws-chunked encoding, with or without chunk signatures and
 * trailers. Push: bytes in, pieces of data out through a callback.
 */

#ifndef S3D_CHUNKED_H
#define S3D_CHUNKED_H

#include <stdbool.h>

#include "hash.h"
#include "text.h"

#define CHUNKED_LINE_MAX    1024
#define CHUNKED_TRAILER_MAX 4

/* What the chunk signatures of one request are made with. */
struct signature {
	char text[65]; /* of the request's head, hex */
	char date[17]; /* 20130524T000000Z */
	char scope[128];
	uint8_t key[32];
};

enum chunked_state { CHUNKED_SIZE, CHUNKED_DATA, CHUNKED_DATA_END, CHUNKED_TRAILER, CHUNKED_DONE };

struct chunked {
	enum chunked_state state;
	char line[CHUNKED_LINE_MAX];
	size_t line_len;
	uint64_t left;

	bool is_signed, has_trailer;
	struct signature sig; /* text: of the last chunk */
	struct hash chunk_hash;
	char chunk_sig[65];

	struct {
		char name[64], value[128];
	} trailers[CHUNKED_TRAILER_MAX];
	unsigned ntrailers;
};

typedef void (*chunked_fn)(void *arg, const char *data, size_t len);

/* sig: NULL for unsigned chunks. */
must_check int chunked_new(const struct signature *sig, bool has_trailer, struct chunked **ret);
void chunked_free(struct chunked *c);

/* -EINVAL: broken framing; -EKEYREJECTED: wrong signature. */
must_check int chunked_feed(struct chunked *c, const char *data, size_t len, chunked_fn fn,
			    void *arg);
bool chunked_complete(const struct chunked *c);

#endif
