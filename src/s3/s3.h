/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FACADE of s3/: an S3 client that runs on event loops.
 *
 *	s3_client_new(&config, &client);
 *	struct s3_head_call h = {.call = {.done = on_done}, .key = "a/b"};
 *	s3_head(client, loop, &h);	(on the loop's thread)
 *	... on_done(&h.call): h.call.error.err is 0 and h.object is filled
 *
 * Rules for every call:
 *  - The struct is the caller's, zeroed except for the inputs; it and all that
 *    it points to must stay valid and unmoved until `done`.
 *  - `done` is called exactly once, on the loop it was started on, never inside
 *    the starting function, unless s3_cancel ended the call first.
 *  - Retries, signing, redirects of region, timeouts happen inside. `error` says
 *    what the last attempt met; error.err is the -errno for the caller:
 *    -ENOENT (404 of a key), -EACCES (403), -ESTALE (412 on If-Match),
 *    -EEXIST (412 on If-None-Match), -EIO (everything else, the deadline
 *    included), -ECANCELED (loop stopped), -ENOMEM.
 *  - Memory handed out in a result is the caller's, freed as each struct says.
 */
#ifndef S3_S3_H
#define S3_S3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"
#include "base/macro.h"
#include "loop/loop.h"

#define S3_KEY_MAX	 1024 /* bytes of UTF-8, S3 limit */
#define S3_ETAG_MAX	 132  /* with quotes and NUL; S3's are 34-42 bytes, others may be longer */
#define S3_PART_MIN	 (5 * MIB)
#define S3_PART_MAX	 (5 * GIB)
#define S3_PARTS_MAX	 10000
#define S3_UPLOAD_ID_MAX 1024

struct s3_client;

enum s3_class {
	S3_OK,
	S3_NOT_FOUND,	 /* 404 of a key or upload */
	S3_NO_BUCKET,	 /* 404 NoSuchBucket */
	S3_FORBIDDEN,	 /* 403, and 400 with a credentials code */
	S3_EXPIRED,	 /* ExpiredToken, InvalidToken: refresh, then retry */
	S3_PRECONDITION, /* 412, 409 ConditionalRequestConflict */
	S3_WRONG_REGION, /* 301, 307, 400 with x-amz-bucket-region */
	S3_THROTTLED,	 /* 503, 429, SlowDown */
	S3_SERVER,	 /* 500, 502, 504, InternalError, 200 with an error document */
	S3_NETWORK,	 /* refused, reset, timeout, short body, TLS */
	S3_INVALID,	 /* other 4xx */
	S3_UNSUPPORTED,	 /* 501, unknown header or checksum */
	S3_PROTOCOL,	 /* an answer that breaks the rules of S3 */
	S3_LOCAL,	 /* out of memory, cancelled, no credentials */
};

struct s3_error {
	enum s3_class cls;
	int err;	   /* 0 or -errno, what a caller sees */
	int status;	   /* HTTP status, 0 when there was none */
	unsigned attempts; /* how many were made */
	char code[64];	   /* S3's <Code>, "" when there was none */
	char message[256]; /* S3's <Message> or the transport's text */
	char request_id[64];
	char region[32]; /* x-amz-bucket-region, "" when absent */
};

/* One line for the log or stderr: "503 SlowDown: Please reduce ... (request id ...)". */
void s3_error_format(const struct s3_error *e, char *ret, size_t len);

/*
 * The checksum that goes with what is uploaded, or that an object has. New objects
 * get one of the first two; an append must go on with what the object has.
 */
enum s3_sum_kind {
	S3_SUM_CRC32C,
	S3_SUM_CRC64NVME,
	S3_SUM_CRC32,
	S3_SUM_SHA1, /* digests: of one request's body, never joined */
	S3_SUM_SHA256,
	S3_SUM_OFF, /* none; also the number of kinds */
};
#define S3_SUM_TEXT	16 /* base64 of 8 bytes, NUL, room */
#define S3_SUM_TEXT_MAX 48 /* the same of 32 bytes */

/* Pure. `before`: 0, or the sum of the bytes before; 0 for S3_SUM_OFF and the digests. */
uint64_t s3_sum(enum s3_sum_kind kind, uint64_t before, const void *data, size_t len);
/* The sum of two pieces, the second of `len_b` bytes; a microsecond or two. */
uint64_t s3_sum_join(enum s3_sum_kind kind, uint64_t a, uint64_t b, uint64_t len_b);

/* What a server may have of an object, the cheapest first. */
enum s3_digest_kind {
	S3_DIGEST_NONE,
	S3_DIGEST_CRC64NVME,
	S3_DIGEST_CRC32C,
	S3_DIGEST_CRC32,
	S3_DIGEST_SHA1,
	S3_DIGEST_SHA256,
};
#define S3_DIGEST_MAX	 32 /* bytes */
#define S3_CHECKSUM_TEXT 64

/* x-amz-checksum-... of an answer. NONE: no usable one. */
struct s3_checksum {
	enum s3_digest_kind kind;
	bool by_parts;	/* the type is COMPOSITE: no use without the number of the parts */
	unsigned parts; /* 0: of the object's bytes; N: of the checksums of its N parts */
	unsigned char value[S3_DIGEST_MAX];
};
/* Takes in one header line; names are matched without case. */
void s3_checksum_header(struct s3_checksum *c, const char *name, size_t name_len, const char *value,
			size_t value_len);
/* Base64, as the header had it. */
void s3_checksum_text(const struct s3_checksum *c, char ret[S3_CHECKSUM_TEXT]);

/* Computes one. A CRC may be given by pieces whose sums are known, else by bytes in order. */
struct s3_digest {
	enum s3_digest_kind kind;
	uint64_t crc, shift, shift_len;
	void *ctx; /* EVP_MD_CTX; NULL: a CRC */
	bool failed;
};
int s3_digest_begin(struct s3_digest *d, enum s3_digest_kind kind) must_check;
void s3_digest_add(struct s3_digest *d, const void *data, size_t len);
/* CRCs only: `len` bytes that alone have that sum. */
void s3_digest_join(struct s3_digest *d, uint64_t crc, uint64_t len);
/* Gives the value, s3_digest_len bytes, and begins anew. */
int s3_digest_end(struct s3_digest *d, unsigned char ret[S3_DIGEST_MAX]) must_check;
void s3_digest_fini(struct s3_digest *d); /* a zeroed one too */
unsigned s3_digest_len(enum s3_digest_kind kind);
const char *s3_digest_name(enum s3_digest_kind kind);	  /* "CRC32C" */
enum s3_sum_kind s3_digest_crc(enum s3_digest_kind kind); /* S3_SUM_OFF: it is none */
/* Directory buckets list without order, and take appends and renames. */
enum s3_bucket_type {
	S3_BUCKET_INFER, /* directory when the name ends in --x-s3 */
	S3_BUCKET_GENERAL,
	S3_BUCKET_DIRECTORY,
};

struct s3_config {
	const char *bucket;
	enum s3_bucket_type bucket_type;
	const char *region; /* NULL: AWS_REGION, else us-east-1 (inferred, may be corrected) */
	const char *endpoint_url; /* NULL: AWS_ENDPOINT_URL, else AWS's rules */
	bool force_path_style;
	bool dual_stack, transfer_acceleration;
	bool no_sign_request;
	const char *profile; /* NULL: environment, then AWS_PROFILE or "default" */
	bool requester_pays;
	const char *expected_owner;
	const char *ca_bundle;
	enum s3_sum_kind upload_sum;
	unsigned get_connections;    /* of one loop's GETs; 0: 32 */
	unsigned max_attempts;	     /* 0: AWS_MAX_ATTEMPTS, else 10 */
	unsigned request_timeout_ms; /* whole operation, retries included; 0: 60 s */
};

/* Reads credentials; no network. *ret_why (static or in `why`) tells a person what is wrong. */
int s3_client_new(const struct s3_config *config, char *why, size_t why_len,
		  struct s3_client **ret) must_check;
void s3_client_free(struct s3_client *c); /* after all its loops have stopped */
/* What uploads are to carry now: S3_SUM_OFF once the server turned out not to know it. */
enum s3_sum_kind s3_client_sum(const struct s3_client *c);
/* ns in which the server answers small requests at best; LEAST_NONE before the first. */
uint64_t s3_client_delay(const struct s3_client *c);
bool s3_client_is_directory(const struct s3_client *c);
const char *s3_client_region(const struct s3_client *c);
const char *s3_client_endpoint(const struct s3_client *c); /* scheme://host[:port] */

enum s3_storage { S3_STANDARD_LIKE, S3_ARCHIVED }; /* ARCHIVED: needs a restore to be read */

/* What HEAD, GET and LIST say of an object. */
struct s3_object {
	uint64_t size;
	int64_t mtime; /* seconds since the epoch */
	enum s3_storage storage;
	char etag[S3_ETAG_MAX]; /* with its quotes, as sent in If-Match */
};

/* Common head of every call. */
struct s3_call {
	/* set by the caller */
	void (*done)(struct s3_call *c);
	uint64_t deadline; /* absolute; 0: now + the client's request_timeout_ms */
	/* result */
	struct s3_error error;
	/* private */
	struct s3_op *op;
	struct loop *loop;
	struct loop_task task; /* the end of a call that could not even begin */
};

struct s3_body_sum {
	enum s3_sum_kind kind;
	uint64_t value;
	bool no_value; /* not known; an upload computes it then, as it does digests */
};

/* Ends the call; `done` is not called. On the call's loop. No-op when not running. */
void s3_cancel(struct s3_call *c);

struct s3_head_call {
	struct s3_call call;
	const char *key;
	const char *if_match; /* NULL: none */
	bool checksum; /* ask for it too: in `sum`, and x-amz-checksum-... among the header lines;
			  may need the right to use the key */
	const char *part; /* of this part only, its number; NULL: of the object */
	/* Each attempt begins with on_attempt, then come the answer's header lines. May be NULL. */
	void (*on_attempt)(struct s3_head_call *h);
	void (*on_header)(struct s3_head_call *h, const char *name, size_t name_len,
			  const char *value, size_t value_len);
	struct s3_object object;
	/* Result with `checksum`, of the whole object; kind S3_SUM_OFF: none, or unknown to us. */
	struct s3_body_sum sum;
};
void s3_head(struct s3_client *c, struct loop *l, struct s3_head_call *h);

#define S3_PEEK_MAX MIB

/* GetObject of the first bytes of whatever version is there. One attempt, however it fails. */
struct s3_peek_call {
	struct s3_call call;
	const char *key;
	uint64_t length;	 /* 1..S3_PEEK_MAX; of an empty object the server may refuse it */
	struct s3_object object; /* result; size is that of all of it */
	char *data;		 /* result: min(length, size) bytes, free(); NULL on error */
	/* private */
	bool ranged, bad_range;
	uint64_t end, size; /* of Content-Range */
	char range[40];
};
void s3_peek(struct s3_client *c, struct loop *l, struct s3_peek_call *p);

/* One entry of a listing; a common prefix has its trailing '/' and no object data. */
struct s3_entry {
	const char *key; /* whole key, NUL-terminated; may hold any byte but NUL */
	size_t key_len;
	bool is_prefix;
	struct s3_object object;
};
/*
 * One page: objects and common prefixes merged in bytewise key order (in the
 * server's order when that is not sorted). Keys with NUL or over S3_KEY_MAX were
 * dropped and counted.
 */
struct s3_page {
	struct s3_entry *entries;
	size_t count, dropped;
	bool truncated;
	bool unordered;	  /* the server's order was not bytewise (directory buckets) */
	char *next_token; /* non-NULL if and only if truncated */
};
void s3_page_free(struct s3_page *p);
struct s3_list_call {
	struct s3_call call;
	const char *prefix;	 /* NULL or "": whole bucket */
	bool delimiter;		 /* '/' */
	const char *start_after; /* NULL: from the start */
	const char *token;	 /* continuation; NULL: first page */
	unsigned max_keys;	 /* 0..1000 */
	struct s3_page *page;	 /* result, the caller's to free; NULL on error */
};
void s3_list(struct s3_client *c, struct loop *l, struct s3_list_call *list);

/*
 * GET of one range of one version, bytes straight into the caller's memory.
 * A failed connection resumes at the byte where it stopped; each response is
 * checked (status, Content-Range, ETag, length) before a byte of it is placed.
 * Positions are offsets in the object. `length` must be > 0 and inside the
 * object, except for {0, 0}: an empty object, asked without Range.
 */
struct s3_get_call {
	struct s3_call call;
	const char *key;
	const char *if_match; /* required */
	uint64_t offset, length;
	bool demand; /* somebody waits for it: first in line for a connection, may be hedged */
	/* The range is the whole object, and its checksum is asked for: servers tell it when no
	 * Range is sent. */
	bool whole;
	/* Once, when the first valid response head is in. May be NULL. */
	void (*on_head)(struct s3_get_call *g);
	/* Where byte `pos` goes; returns at least 1 byte of room, at most to the range's end. */
	struct iovec (*on_space)(struct s3_get_call *g, uint64_t pos);
	/* `len` bytes from `pos` are in place; called in order, without gap or overlap. */
	void (*on_data)(struct s3_get_call *g, uint64_t pos, size_t len);
	/*
	 * Before more is received, at byte `pos`. True: not now; what follows stays with
	 * the kernel and the server until s3_get_resume, but not for longer than a moment,
	 * after which this call is received to its end unasked. May be NULL; does not cancel.
	 */
	bool (*on_pause)(struct s3_get_call *g, uint64_t pos);
	struct s3_object object;     /* valid from on_head */
	struct s3_checksum checksum; /* likewise, with `whole` */
};
void s3_get(struct s3_client *c, struct loop *l, struct s3_get_call *call);
/* Goes on where on_pause said no; otherwise harmless. On the call's loop, before `done`. */
void s3_get_resume(struct s3_get_call *call);

#define S3_METADATA_MAX 32

struct s3_metadata {
	const char *name; /* x-amz-meta-..., lower case */
	const char *value;
};

/* Attributes of a new object, the same for PutObject and CreateMultipartUpload. NULL: none sent. */
struct s3_put_attrs {
	const char *content_type;
	const char *storage_class;
	const char *sse; /* what the server answers must be the same, else -EIO */
	const char *sse_kms_key_id;
	const char *cache_control, *acl;
	const char *tagging; /* as a query string */
	const struct s3_metadata *metadata;
	unsigned nmetadata;
	bool if_none_match; /* refuse to replace: -EEXIST */
};

/*
 * With `write_offset` an append: the body is added to an object of exactly that
 * size, on directory buckets only (else -EIO, S3_UNSUPPORTED, and no request: other
 * servers would put the body in the object's place). 412 and a wrong offset are
 * -EIO there (S3_PRECONDITION: somebody else changed the object). An append whose
 * answer got lost is looked for before it is sent again.
 */
struct s3_put_call {
	struct s3_call call;
	const char *key;
	const struct s3_put_attrs *attrs; /* NULL: none */
	const struct iovec *body;	  /* sent from here, unchanged until done */
	unsigned nbody;
	const struct s3_body_sum *sum; /* of the body; NULL: computed here */
	const char *if_match;	       /* the object as it must be, with quotes; NULL: any */
	uint64_t write_offset;	       /* > 0: append there */
	const struct s3_body_sum
		*before;	  /* of the bytes before it, if known: proves whose they are */
	struct s3_object object;  /* result: etag and size, of the whole object */
	struct s3_body_sum whole; /* result: `before` of the next append */
};
void s3_put(struct s3_client *c, struct loop *l, struct s3_put_call *p);

struct s3_create_upload_call {
	struct s3_call call;
	const char *key;
	const struct s3_put_attrs *attrs;
	enum s3_sum_kind sum; /* that the parts will have */
	bool unclear;	 /* result: an attempt got no answer, it may have made another upload */
	char *upload_id; /* result, free(); with -EIO too when the encryption is not as asked */
};
void s3_create_upload(struct s3_client *c, struct loop *l, struct s3_create_upload_call *u);

struct s3_part {
	uint64_t size;
	char etag[S3_ETAG_MAX];
	enum s3_sum_kind kind;
	uint64_t sum;		    /* of the bytes, by kind */
	char checksum[S3_SUM_TEXT]; /* as sent, "" when none was */
};

struct s3_upload_part_call {
	struct s3_call call;
	const char *key, *upload_id;
	unsigned number; /* 1..S3_PARTS_MAX */
	const struct iovec *body;
	unsigned nbody;
	const struct s3_body_sum *sum; /* of the body; NULL: computed here */
	struct s3_part part;	       /* result */
};
void s3_upload_part(struct s3_client *c, struct loop *l, struct s3_upload_part_call *u);

/*
 * CompleteMultipartUpload, idempotent: after an unclear answer (timeout, reset,
 * NoSuchUpload on a retry, 200 with an error document) HEAD tells whether the
 * object with the expected size is there.
 */
struct s3_complete_call {
	struct s3_call call;
	const char *key, *upload_id;
	const struct s3_part *parts; /* part i has number i + 1 */
	unsigned nparts;
	bool if_none_match;
	const struct s3_body_sum *sum; /* of the whole object, compared; NULL: not known */
	struct s3_object object;       /* result: etag and size */
};
void s3_complete(struct s3_client *c, struct loop *l, struct s3_complete_call *u);

/* 0 also when the upload is gone already. */
struct s3_abort_call {
	struct s3_call call;
	const char *key, *upload_id;
};
void s3_abort(struct s3_client *c, struct loop *l, struct s3_abort_call *a);

struct s3_list_parts_call {
	struct s3_call call;
	const char *key, *upload_id;
	unsigned nparts;       /* result */
	uint64_t total;	       /* result: sum of sizes */
	struct s3_part *parts; /* result, free(); ordered by number, numbers contiguous or -EIO */
};
void s3_list_parts(struct s3_client *c, struct loop *l, struct s3_list_parts_call *p);

/* Multipart uploads that are not complete, by prefix: one page. */
struct s3_upload_info {
	char *key, *id;
	int64_t initiated; /* server's clock, seconds since the epoch */
};
struct s3_list_uploads_call {
	struct s3_call call;
	const char *prefix;
	struct s3_upload_info *uploads; /* result, s3_uploads_free() */
	unsigned nuploads;
	int64_t date; /* the server's clock at the answer; 0: not told */
};
void s3_list_uploads(struct s3_client *c, struct loop *l, struct s3_list_uploads_call *u);
void s3_uploads_free(struct s3_upload_info *uploads, unsigned n);

/*
 * RenameObject of directory buckets: -ENOENT (no source), -EEXIST (if_none_match and
 * the destination is there), -ENAMETOOLONG, -ESTALE (source_if_match), -ENOSYS (the
 * server does not have it; without a request when the client is not of a directory
 * bucket), -EIO. Repeated under one token, so that it takes effect once.
 */
struct s3_rename_call {
	struct s3_call call;
	const char *source, *key;
	bool if_none_match;	     /* refuse to replace */
	const char *source_if_match; /* NULL: none */
};
void s3_rename(struct s3_client *c, struct loop *l, struct s3_rename_call *r);

/* 0 also when the key is gone already. */
struct s3_delete_call {
	struct s3_call call;
	const char *key;
};
void s3_delete(struct s3_client *c, struct loop *l, struct s3_delete_call *d);

#endif
