/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The keys of one profile out of an AWS ini file. Pure.
 *
 *	[default]  [NAME] (credentials)  [profile NAME] (config)
 *	name = value		names without case; value to the end of the line,
 *				less blanks and what follows " #" or " ;"
 *	name =			begins a nested block: indented lines until the next
 *	  nested = value	line at the margin are skipped
 *	# comment  ; comment
 *
 * A section may come more than once; the last value counts. Lines of other
 * sections are not looked at.
 */
#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "s3/creds.h"

/* A run of characters in the text. */
struct span {
	const char *p;
	size_t n;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s)
{
	while (s.n && blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool span_is(struct span s, const char *text)
{
	return s.n == strlen(text) && strncasecmp(s.p, text, s.n) == 0;
}

static void wipe(char *s)
{
	if (s)
		OPENSSL_cleanse(s, strlen(s));
	free(s);
}

void s3_profile_fini(struct s3_profile *p)
{
	wipe(p->access_key);
	wipe(p->secret);
	wipe(p->token);
	*p = (struct s3_profile){0};
}

/* True when the header line, from its '[', names the profile; -EINVAL without ']'. */
static int header_matches(struct span s, const char *name, bool config)
{
	const char *end = memchr(s.p, ']', s.n);
	struct span in;

	if (!end)
		return -EINVAL;
	in = trim((struct span){s.p + 1, (size_t)(end - s.p) - 1});
	if (config && !(in.n == 7 && memcmp(in.p, "default", 7) == 0)) {
		if (in.n < 8 || memcmp(in.p, "profile", 7) != 0 || !blank(in.p[7]))
			return 0;
		in = trim((struct span){in.p + 7, in.n - 7});
		if (in.n >= 2 && in.p[0] == '"' && in.p[in.n - 1] == '"')
			in = (struct span){in.p + 1, in.n - 2};
	}
	return in.n == strlen(name) && memcmp(in.p, name, in.n) == 0;
}

static struct span without_comment(struct span v)
{
	for (size_t i = 1; i < v.n; i++)
		if ((v.p[i] == '#' || v.p[i] == ';') && blank(v.p[i - 1]))
			return (struct span){v.p, i};
	return v;
}

static int set(char **at, struct span v)
{
	char *s = strndup(v.p, v.n);

	if (!s)
		return -ENOMEM;
	wipe(*at);
	*at = s;
	return 0;
}

static int on_property(struct s3_profile *p, struct span name, struct span value)
{
	static const char *const unsupported[] = {
		"role_arn",	 "credential_process",	    "sso_session",
		"sso_start_url", "web_identity_token_file",
	};

	if (value.n == 0)
		return 0;
	if (span_is(name, "aws_access_key_id"))
		return set(&p->access_key, value);
	if (span_is(name, "aws_secret_access_key"))
		return set(&p->secret, value);
	if (span_is(name, "aws_session_token"))
		return set(&p->token, value);
	for (size_t i = 0; i < ARRAY_SIZE(unsupported); i++)
		if (span_is(name, unsupported[i]))
			p->unsupported = unsupported[i];
	return 0;
}

/* One line inside the section. `nested`: inside the block of a property without value. */
static int on_line(struct s3_profile *p, struct span line, bool *nested)
{
	bool indented = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
	struct span s = trim(line), name, value;
	const char *eq;

	if (s.n == 0 || s.p[0] == '#' || s.p[0] == ';')
		return 0;
	if (indented && *nested)
		return 0;
	eq = memchr(s.p, '=', s.n);
	if (!eq)
		return -EINVAL;
	name = trim((struct span){s.p, (size_t)(eq - s.p)});
	value = trim(without_comment((struct span){eq + 1, (size_t)(s.p + s.n - eq) - 1}));
	*nested = value.n == 0;
	return name.n ? on_property(p, name, value) : -EINVAL;
}

int s3_profile_parse(struct s3_profile *p, const char *text, size_t len, const char *name,
		     bool config, unsigned *ret_line)
{
	const char *end = text + len;
	bool found = false, inside = false, nested = false;
	unsigned number = 0;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		struct span line = {text, (size_t)((nl ? nl : end) - text)};
		int r = 0;

		number++;
		text = nl ? nl + 1 : end;
		if (line.n && line.p[0] == '[') {
			r = header_matches(line, name, config);
			inside = r == 1;
			found = found || inside;
			nested = false;
		} else if (inside) {
			r = on_line(p, line, &nested);
		}
		if (r == -EINVAL)
			*ret_line = number;
		if (r < 0)
			return r;
	}
	return found;
}
