/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Credentials: an immutable snapshot that any thread may hold, and the provider
 * that makes one from the environment or from profile files. The memory of a
 * snapshot is wiped when the last reference goes.
 */
#ifndef S3_CREDS_H
#define S3_CREDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/macro.h"

struct s3_creds {
	/* set at creation */
	uint64_t serial; /* unique in the process: names a snapshot in caches */
	const char *access_key, *secret;
	const char *token; /* NULL: none */
	bool session;	   /* of CreateSession: another header carries the token */
	size_t size;	   /* of the whole allocation, for the wipe */
	/* atomic */
	atomic_uint refs;
};

/* -ENOMEM. `token` may be NULL or "". */
int s3_creds_new(const char *access_key, const char *secret, const char *token,
		 struct s3_creds **ret) must_check;
struct s3_creds *s3_creds_ref(struct s3_creds *c);
void s3_creds_unref(struct s3_creds *c); /* NULL is fine */

/* A file as it was when read; a change of any field means that it has to be read again. */
struct s3_creds_stamp {
	struct timespec mtime;
	uint64_t size, inode;
};

/* Where credentials come from; one thread at a time, the owner sees to it. */
struct s3_creds_provider {
	/* set at creation */
	char *profile; /* NULL: environment first, then AWS_PROFILE or "default" */
	/* of the last load */
	bool from_files;
	struct s3_creds_stamp stamp[2];
};

int s3_creds_provider_init(struct s3_creds_provider *p, const char *profile) must_check;
void s3_creds_provider_fini(struct s3_creds_provider *p);
/* Reads the environment and files. -ENOENT, -EINVAL or -ENOMEM with a sentence in `why`. */
int s3_creds_load(struct s3_creds_provider *p, char *why, size_t why_len,
		  struct s3_creds **ret) must_check;
/* True when a file used has changed since the last load. Two stat(2) calls. */
bool s3_creds_changed(const struct s3_creds_provider *p);

/* creds_profile.c: the keys of one profile, NULL where absent. */
struct s3_profile {
	char *access_key, *secret, *token;
	const char *unsupported; /* a setting that names another source of credentials */
};
void s3_profile_fini(struct s3_profile *p);
/*
 * Fills in what `text` (an ini file of `len` bytes) says of `name`. `config`: its
 * section headers are "[profile NAME]" save for default. 1: the profile is there,
 * 0: it is not; -ENOMEM; -EINVAL with the line at fault in *ret_line.
 */
int s3_profile_parse(struct s3_profile *p, const char *text, size_t len, const char *name,
		     bool config, unsigned *ret_line) must_check;

#endif
