/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Decoder of aws-chunked: see chunked.h.
 *
 *   state      input                         next
 *   SIZE       "hex[;chunk-signature=..]"    DATA, or after size 0 TRAILER
 *   DATA       `left` bytes                  DATA_END
 *   DATA_END   empty line                    SIZE
 *   TRAILER    "name:value", empty line      TRAILER, DONE
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chunked.h"

static const char sha256_of_nothing[] =
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

int chunked_new(const struct signature *sig, bool has_trailer, struct chunked **ret)
{
	struct chunked *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->has_trailer = has_trailer;
	if (sig) {
		c->is_signed = true;
		c->sig = *sig;
		if (hash_init(&c->chunk_hash, HASH_SHA256) < 0) {
			free(c);
			return -ENOMEM;
		}
	}
	*ret = c;
	return 0;
}

void chunked_free(struct chunked *c)
{
	if (!c)
		return;
	hash_fini(&c->chunk_hash);
	free(c);
}

static int check_signature(struct chunked *c, const char *text, const char *given)
{
	uint8_t mac[32];
	char hex[65];

	hash_hmac256(c->sig.key, 32, text, strlen(text), mac);
	text_hex(mac, sizeof(mac), hex);
	if (strcmp(hex, given) != 0)
		return -EKEYREJECTED;
	memcpy(c->sig.text, hex, sizeof(hex));
	return 0;
}

/* At the end of a chunk's data. */
static int check_chunk(struct chunked *c)
{
	char text[512], hex[65];
	uint8_t d[32];

	if (!c->is_signed)
		return 0;
	hash_end(&c->chunk_hash, d);
	text_hex(d, sizeof(d), hex);
	hash_fini(&c->chunk_hash);
	if (hash_init(&c->chunk_hash, HASH_SHA256) < 0)
		return -ENOMEM;
	(void)snprintf(text, sizeof(text), "AWS4-HMAC-SHA256-PAYLOAD\n%s\n%s\n%s\n%s\n%s",
		       c->sig.date, c->sig.scope, c->sig.text, sha256_of_nothing, hex);
	return check_signature(c, text, c->chunk_sig);
}

static int check_trailer(struct chunked *c, const char *given)
{
	char text[512], hex[65], all[CHUNKED_TRAILER_MAX * 200] = "";
	uint8_t d[32];
	size_t n = 0;

	if (!c->is_signed)
		return 0;
	for (unsigned i = 0; i < c->ntrailers && n < sizeof(all); i++)
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s:%s\n", c->trailers[i].name,
				      c->trailers[i].value);
	hash_once(HASH_SHA256, all, MIN(n, sizeof(all) - 1), d);
	text_hex(d, sizeof(d), hex);
	(void)snprintf(text, sizeof(text), "AWS4-HMAC-SHA256-TRAILER\n%s\n%s\n%s\n%s", c->sig.date,
		       c->sig.scope, c->sig.text, hex);
	return check_signature(c, text, given);
}

static int on_size(struct chunked *c)
{
	static const char sig_name[] = ";chunk-signature=";
	size_t digits = strspn(c->line, "0123456789abcdefABCDEF");
	const char *rest = c->line + digits;

	if (digits == 0 || digits > 15)
		return -EINVAL;
	c->left = 0;
	for (size_t i = 0; i < digits; i++) {
		char ch = c->line[i];

		c->left = c->left << 4 | (uint64_t)(ch <= '9' ? ch - '0' : (ch | 32) - 'a' + 10);
	}
	if (c->is_signed) {
		if (strncmp(rest, sig_name, strlen(sig_name)) != 0 ||
		    strlen(rest) != strlen(sig_name) + 64)
			return -EINVAL;
		memcpy(c->chunk_sig, rest + strlen(sig_name), 65);
	}
	if (c->left) {
		c->state = CHUNKED_DATA;
		return 0;
	}
	c->state = CHUNKED_TRAILER;
	return check_chunk(c);
}

static int on_trailer(struct chunked *c)
{
	char *colon = strchr(c->line, ':'), *value;
	unsigned i = c->ntrailers;

	if (!c->line[0]) {
		c->state = CHUNKED_DONE;
		return 0;
	}
	if (!colon || !c->has_trailer || i == CHUNKED_TRAILER_MAX)
		return -EINVAL;
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " ");
	if (strcasecmp(c->line, "x-amz-trailer-signature") == 0)
		return check_trailer(c, value);
	if (strlen(c->line) >= sizeof(c->trailers[i].name) ||
	    strlen(value) >= sizeof(c->trailers[i].value))
		return -EINVAL;
	memcpy(c->trailers[i].name, c->line, strlen(c->line) + 1);
	memcpy(c->trailers[i].value, value, strlen(value) + 1);
	c->ntrailers++;
	return 0;
}

static int on_line(struct chunked *c)
{
	switch (c->state) {
	case CHUNKED_SIZE:
		return on_size(c);
	case CHUNKED_DATA_END:
		c->state = CHUNKED_SIZE;
		return c->line[0] ? -EINVAL : check_chunk(c);
	case CHUNKED_TRAILER:
		return on_trailer(c);
	case CHUNKED_DATA:
	case CHUNKED_DONE:
	default:
		return -EINVAL;
	}
}

/* Collect a line; some clients end the trailers with a bare newline. */
static int take_line(struct chunked *c, const char *data, size_t len, size_t *ret_used)
{
	const char *nl = memchr(data, '\n', len);
	size_t n = nl ? (size_t)(nl - data) : len;

	if (c->line_len + n >= sizeof(c->line))
		return -EINVAL;
	memcpy(c->line + c->line_len, data, n);
	c->line_len += n;
	*ret_used = n + (nl != NULL);
	if (!nl)
		return 0;
	if (c->line_len && c->line[c->line_len - 1] == '\r')
		c->line_len--;
	c->line[c->line_len] = '\0';
	c->line_len = 0;
	return on_line(c);
}

int chunked_feed(struct chunked *c, const char *data, size_t len, chunked_fn fn, void *arg)
{
	while (len) {
		size_t n;
		int r = 0;

		if (c->state == CHUNKED_DATA) {
			n = MIN(len, c->left);
			fn(arg, data, n);
			if (c->is_signed)
				hash_add(&c->chunk_hash, data, n);
			c->left -= n;
			if (!c->left)
				c->state = CHUNKED_DATA_END;
		} else {
			r = take_line(c, data, len, &n);
		}
		if (r < 0)
			return r;
		data += n;
		len -= n;
	}
	return 0;
}

/* The empty line behind the last chunk is missing in some clients' bodies. */
bool chunked_complete(const struct chunked *c)
{
	return c->state == CHUNKED_DONE || (c->state == CHUNKED_TRAILER && c->line_len == 0);
}
