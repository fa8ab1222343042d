/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Buckets and what is in them. The bucket list has one lock, each bucket one
 * for its keys (readers and writers) and one for its multipart uploads; none is
 * held while a body moves.
 */

#ifndef S3D_STORE_H
#define S3D_STORE_H

#include "index.h"
#include "object.h"

struct upload;

#define RENAME_TOKENS 256

/* A rename that was done, so that its repetition is answered in the same way. */
struct rename_token {
	char token[65];
	char *source, *key;
};

struct bucket {
	/* set at creation */
	char *name;
	char *dir; /* --dir: the folder of its files, else NULL */
	uint64_t created_ns;
	struct store *store;

	pthread_rwlock_t lock;
	/* under lock */
	struct index index;
	struct rename_token renames[RENAME_TOKENS]; /* the last ones, a ring */
	unsigned rename_next;

	pthread_mutex_t upload_lock;
	/* under upload_lock */
	struct upload *uploads;

	/* atomic */
	atomic_uint refs;
};

struct store {
	/* set at creation */
	char *dir;  /* NULL: memory */
	char *temp; /* folder of files being written */
	bool discard;
	struct arena arena;

	pthread_rwlock_t lock;
	/* under lock */
	struct bucket **buckets; /* sorted by name */
	size_t bucket_count;

	/* atomic */
	atomic_uint_fast64_t upload_seq;
};

/*
 * Condition of a write; NULL: none. ETags without quotes, "*" for any. With
 * `has_base` the key must have just this object, NULL: none; else -EAGAIN.
 */
struct condition {
	const char *if_match, *if_none_match;
	bool has_base;
	const struct object *base;
};

must_check int store_init(struct store *s, const char *dir, bool discard, bool reuse);
void store_fini(struct store *s);

/* -EEXIST when it is there. */
must_check int store_create_bucket(struct store *s, const char *name);
/* -ENOENT, -ENOTEMPTY */
must_check int store_delete_bucket(struct store *s, const char *name);
/* A reference or NULL. */
struct bucket *store_bucket(struct store *s, const char *name);
struct bucket *bucket_ref(struct bucket *b);
void bucket_unref(struct bucket *b);
/* References to all; free each and the array. */
must_check int store_buckets(struct store *s, struct bucket ***ret, size_t *ret_count);

/* Bytes for an upload of `len`: written by one thread, then sealed. */
must_check int store_blob(struct store *s, uint64_t len, struct blob **ret);

/*
 * A reference, and with ret_fd the opened file of an object that is in a file
 * (else -1). -ENOENT: no such key.
 */
must_check int bucket_get(struct bucket *b, const char *key, struct object **ret, int *ret_fd);

/*
 * Make the object visible under the key; takes the reference on success.
 * -ECANCELED: the condition does not hold; -ENOENT: If-Match without object.
 */
must_check int bucket_put(struct bucket *b, const char *key, struct object *o,
			  const struct condition *c);
/*
 * The object of `source` gets another key. -ENOENT: no source; -ESTALE: it is not
 * what `from` asks for; -ECANCELED: the condition on the destination. With the token
 * of a rename that was done: 0, or -EINVAL when that was another one. NULL: no token.
 */
must_check int bucket_rename(struct bucket *b, const char *source, const char *key,
			     const struct condition *from, const struct condition *to,
			     const char *token);
/* 0, also when there was none; -ECANCELED. */
must_check int bucket_delete(struct bucket *b, const char *key, const struct condition *c);

/* Every file below `tree` becomes a key. */
must_check int bucket_import(struct bucket *b, const char *tree, bool borrowed);

static inline void bucket_unrefp(struct bucket **b)
{
	bucket_unref(*b);
}

#endif
