/* SPDX-License-Identifier: Apache-2.0 */

/* The command line as an immutable struct. The table is options.tbl. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/macro.h"

#define TTL_MINIMAL    UINT64_C(0)
#define TTL_INDEFINITE UINT64_MAX
#define TTL_MAX	       UINT64_C(3153600000) /* seconds: 100 years, the peer's limit */

#define OPTION_LIST_MAX 32

/* An option that may be given several times. */
struct option_list {
	const char *v[OPTION_LIST_MAX];
	unsigned n;
};

struct options {
	const char *bucket, *directory; /* bucket without s3:// and prefix */
	const char *prefix;		/* "" or ends in '/' */
	bool prefix_given;

	const char *region, *endpoint_url, *bucket_type, *storage_class, *expected_bucket_owner;
	const char *sse, *sse_kms_key_id, *profile, *ca_bundle, *user_agent_prefix, *log_directory;
	const char *cache_control, *acl, *upload_checksums; /* NULL: not given */
	struct option_list tag, metadata;
	bool strict_metadata, incremental_upload, if_none_match, infer_content_type,
		fixed_part_size;
	bool force_path_style, dual_stack, transfer_acceleration, requester_pays, no_sign_request;
	bool read_only, allow_delete, allow_overwrite, auto_unmount, allow_root, allow_other;
	bool verify_checksums;
	bool immutable; /* implies read_only and indefinite TTLs */
	bool debug, debug_client, no_log, foreground, help, version;
	const char *direct_io;				     /* NULL: not given */
	uint64_t uid, gid;				     /* 0: not given */
	uint64_t dir_mode, file_mode;			     /* permission bits */
	uint64_t max_threads, memory_target_mib;	     /* 0: not given */
	uint64_t throughput_gbps, random_block_kib;	     /* 0: not given */
	uint64_t part_size, read_part_size, write_part_size; /* 0: not given */
	uint64_t metadata_ttl, negative_metadata_ttl; /* seconds, TTL_MINIMAL or TTL_INDEFINITE */
	bool negative_ttl_given, ttl_zero;	      /* "0" was written: minimal, deprecated */
	char *owned_prefix, *owned_bucket; /* what `bucket` and `prefix` of an s3:// URI point to */
};

/*
 * Fills *o from argv, which must outlive it. 0: go on. -EINVAL: a usage error,
 * `why` says it in one sentence (exit 2). --help and --version stop checking.
 */
int options_parse(int argc, char **argv, struct options *o, char *why, size_t why_len) must_check;
void options_fini(struct options *o);
void options_print_help(FILE *out);
/* The OPTIONS section of the manual page, in mdoc. */
void options_print_man(FILE *out);

#endif
