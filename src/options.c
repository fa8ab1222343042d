/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Command line: options.tbl made into a parser. Behaves as the peer's: long
 * options take "--flag value" and "--flag=value" and are never abbreviated,
 * short ones may be grouped, options and positionals mix, "--" ends the
 * options, and an option given twice is an error.
 */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "options_check.h"

enum kind { FLAG, STRING, NUMBER, OCTAL, TTL, CHOICE, LIST };

struct option_def {
	const char *section, *name;
	char short_name;
	enum kind kind;
	size_t offset;
	const char *value;
	uint64_t min, max;
	const char *help;
};

static const struct option_def defs[] = {
#define OPTION(section, name, short_name, kind, field, value, min, max, help) \
	{section, name, short_name, kind, offsetof(struct options, field), value, min, max, help},
#include "options.tbl"
#undef OPTION
};

struct rule {
	const char *a, *b;
};

static const struct rule conflicts[] = {
#define OPTION(...)
#define CONFLICT(a, b) {a, b},
#include "options.tbl"
#undef CONFLICT
};

static const struct rule requirements[] = {
#define REQUIRES(a, b) {a, b},
#include "options.tbl"
#undef REQUIRES
#undef OPTION
};

struct parser {
	struct options *o;
	char *why;
	size_t why_len;
	unsigned seen[ARRAY_SIZE(defs)]; /* the how many-th option it was, 0: not given */
	unsigned nseen;
	const char *positional[2];
	int npositional;
};

static int usage(struct parser *p, const char *fmt, ...) printf_like(2, 3);

static int usage(struct parser *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(p->why, p->why_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static const struct option_def *find_long(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(defs); i++)
		if (strlen(defs[i].name) == len && strncmp(defs[i].name, name, len) == 0)
			return &defs[i];
	return NULL;
}

static const struct option_def *find_short(char c)
{
	for (size_t i = 0; i < ARRAY_SIZE(defs); i++)
		if (defs[i].short_name == c)
			return &defs[i];
	return NULL;
}

static void *field(struct parser *p, const struct option_def *d)
{
	return (char *)p->o + d->offset;
}

static bool is_choice(const char *list, const char *value)
{
	size_t len = strlen(value);

	while (*list) {
		size_t n = strcspn(list, "|");

		if (n == len && strncmp(list, value, n) == 0)
			return true;
		list += n + (list[n] == '|');
	}
	return false;
}

static int parse_ttl(const char *v, uint64_t *ret)
{
	if (strcmp(v, "minimal") == 0)
		*ret = TTL_MINIMAL;
	else if (strcmp(v, "indefinite") == 0)
		*ret = TTL_INDEFINITE;
	else
		return parse_u64(v, 0, TTL_MAX, ret);
	return 0;
}

static int bad_value(struct parser *p, const struct option_def *d, const char *v, int r)
{
	const char *ttl = "TTL must be a valid number of seconds, or 'indefinite', or 'minimal'";

	if (d->kind == OCTAL)
		return usage(p, "invalid value '%s' for '--%s <%s>': %s", v, d->name, d->value,
			     r == -ERANGE ? "only user/group/other permissions are supported"
					  : "must be a valid octal number");
	if (d->kind == TTL && r == -ERANGE)
		ttl = "TTL must not be greater than 3153600000s (~100 years), or be 'indefinite', "
		      "or 'minimal'";
	if (d->kind == TTL)
		return usage(p, "invalid value '%s' for '--%s <%s>': %s", v, d->name, d->value,
			     ttl);
	if (d->kind == CHOICE)
		return usage(p, "invalid value '%s' for '--%s': possible values are %s", v, d->name,
			     d->value);
	if (d->max == UINT64_MAX)
		return usage(
			p, "invalid value '%s' for '--%s <%s>': must be a number of at least %llu",
			v, d->name, d->value, (unsigned long long)d->min);
	return usage(p, "invalid value '%s' for '--%s <%s>': must be a number from %llu to %llu", v,
		     d->name, d->value, (unsigned long long)d->min, (unsigned long long)d->max);
}

static int store_list(struct parser *p, const struct option_def *d, const char *v)
{
	struct option_list *l = field(p, d);

	if (l->n == d->max)
		return usage(p, "the argument '--%s <%s>' can be used %llu times at most", d->name,
			     d->value, (unsigned long long)d->max);
	l->v[l->n++] = v;
	return 0;
}

static int store(struct parser *p, const struct option_def *d, const char *v)
{
	int r = 0;

	switch (d->kind) {
	case FLAG:
		*(bool *)field(p, d) = true;
		break;
	case STRING:
		*(const char **)field(p, d) = v;
		break;
	case LIST:
		return store_list(p, d, v);
	case CHOICE:
		*(const char **)field(p, d) = v;
		r = is_choice(d->value, v) ? 0 : -EINVAL;
		break;
	case NUMBER:
		r = parse_u64(v, d->min, d->max, field(p, d));
		break;
	case OCTAL:
		r = parse_octal(v, d->max, field(p, d));
		break;
	case TTL:
		r = parse_ttl(v, field(p, d));
		break;
	}
	return r < 0 ? bad_value(p, d, v, r) : 0;
}

static int given(struct parser *p, const struct option_def *d, const char *v)
{
	size_t i = (size_t)(d - defs);

	if (p->seen[i] && d->kind != LIST)
		return usage(p, "the argument '--%s%s%s%s' cannot be used multiple times", d->name,
			     d->value ? " <" : "", d->value ? d->value : "", d->value ? ">" : "");
	p->seen[i] = ++p->nseen;
	if (d->kind != FLAG && (!v || (*v == '\0' && strcmp(d->name, "prefix") != 0)))
		return usage(p, "a value is required for '--%s <%s>' but none was supplied",
			     d->name, strcmp(d->name, "sse") == 0 ? "SSE" : d->value);
	return store(p, d, v);
}

/* "--name", "--name=value" or "--name value"; *i moves over a value that was taken. */
static int parse_long(struct parser *p, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2;
	size_t len = strcspn(name, "=");
	const struct option_def *d = find_long(name, len);

	if (!d)
		return usage(p, "unexpected argument '--%.*s' found; see 'mount-s3 --help'",
			     (int)len, name);
	if (d->kind == FLAG) {
		if (name[len] == '=')
			return usage(p, "unexpected value for '--%s': it takes none", d->name);
		return given(p, d, NULL);
	}
	if (name[len] == '=')
		return given(p, d, name + len + 1);
	if (*i + 1 >= argc || (argv[*i + 1][0] == '-' && argv[*i + 1][1] == '-'))
		return given(p, d, NULL);
	return given(p, d, argv[++*i]);
}

/* "-fd", "-l DIR", "-lDIR", "-l=DIR". */
static int parse_short(struct parser *p, int argc, char **argv, int *i)
{
	for (const char *c = argv[*i] + 1; *c; c++) {
		const struct option_def *d = find_short(*c);
		int r;

		if (!d)
			return usage(p, "unexpected argument '-%c' found; see 'mount-s3 --help'",
				     *c);
		if (d->kind == FLAG) {
			r = given(p, d, NULL);
			if (r < 0)
				return r;
			continue;
		}
		if (c[1])
			return given(p, d, c + 1 + (c[1] == '='));
		return given(p, d, *i + 1 < argc ? argv[++*i] : NULL);
	}
	return 0;
}

static int parse_args(struct parser *p, int argc, char **argv)
{
	bool options_ended = false;

	for (int i = 1; i < argc; i++) {
		int r = 0;

		if (!options_ended && strcmp(argv[i], "--") == 0)
			options_ended = true;
		else if (!options_ended && strncmp(argv[i], "--", 2) == 0)
			r = parse_long(p, argc, argv, &i);
		else if (!options_ended && argv[i][0] == '-' && argv[i][1])
			r = parse_short(p, argc, argv, &i);
		else if (p->npositional == 2)
			r = usage(p, "unexpected argument '%s' found; see 'mount-s3 --help'",
				  argv[i]);
		else
			p->positional[p->npositional++] = argv[i];
		if (r < 0)
			return r;
	}
	return 0;
}

static unsigned seen(const struct parser *p, const char *name)
{
	return p->seen[find_long(name, strlen(name)) - defs];
}

/* The names are told in the order in which they were given. */
static int conflict(struct parser *p, const char *a, const char *b)
{
	bool in_order = seen(p, a) < seen(p, b);

	return usage(p, "the argument '--%s' cannot be used with '--%s'", in_order ? a : b,
		     in_order ? b : a);
}

static int check_rules(struct parser *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(conflicts); i++)
		if (seen(p, conflicts[i].a) && seen(p, conflicts[i].b))
			return conflict(p, conflicts[i].a, conflicts[i].b);
	for (size_t i = 0; i < ARRAY_SIZE(requirements); i++)
		if (seen(p, requirements[i].a) && !seen(p, requirements[i].b))
			return usage(p, "the argument '--%s' requires '--%s'", requirements[i].a,
				     requirements[i].b);
	return 0;
}

int options_parse(int argc, char **argv, struct options *o, char *why, size_t why_len)
{
	struct parser p = {.o = o, .why = why, .why_len = why_len};
	int r;

	*o = (struct options){.prefix = "", .dir_mode = 0755, .file_mode = 0644};
	r = parse_args(&p, argc, argv);
	if (r < 0 || o->help || o->version)
		return r;
	r = check_rules(&p);
	if (r < 0)
		return r;
	if (p.npositional < 2)
		return usage(&p, "the following required arguments were not provided:%s%s",
			     p.npositional < 1 ? " <BUCKET_NAME>" : "", " <DIRECTORY>");
	o->bucket = p.positional[0];
	o->directory = p.positional[1];
	o->prefix_given = seen(&p, "prefix") > 0;
	o->negative_ttl_given = seen(&p, "negative-metadata-ttl") > 0;
	if (!o->negative_ttl_given)
		o->negative_metadata_ttl = o->metadata_ttl;
	if (o->immutable) {
		o->read_only = true;
		o->metadata_ttl = o->negative_metadata_ttl = TTL_INDEFINITE;
	}
	return options_check(o, why, why_len);
}

void options_fini(struct options *o)
{
	free(o->owned_prefix);
	free(o->owned_bucket);
	o->owned_prefix = o->owned_bucket = NULL;
}

void options_print_help(FILE *out)
{
	const char *section = "";

	(void)fprintf(out, "Mount an Amazon S3 bucket, or one of any S3 server, as a directory\n\n"
			   "Usage: mount-s3 [OPTIONS] <BUCKET_NAME> <DIRECTORY>\n\n"
			   "Arguments:\n"
			   "  <BUCKET_NAME>  Bucket, or s3://BUCKET/PREFIX/\n"
			   "  <DIRECTORY>    Existing directory to mount at, or /dev/fd/N\n");
	for (size_t i = 0; i < ARRAY_SIZE(defs); i++) {
		const struct option_def *d = &defs[i];

		if (strcmp(section, d->section) != 0)
			(void)fprintf(out, "\n%s:\n", d->section);
		section = d->section;
		if (d->short_name)
			(void)fprintf(out, "  -%c, ", d->short_name);
		else
			(void)fprintf(out, "      ");
		(void)fprintf(out, "--%s%s%s%s\n          %s\n", d->name, d->value ? " <" : "",
			      d->value ? d->value : "", d->value ? ">" : "", d->help);
	}
	(void)fprintf(out,
		      "\nExit status: 0 mounted (or ended cleanly, with -f); 1 failed; 2 wrong "
		      "usage.\n");
}

void options_print_man(FILE *out)
{
	const char *section = "";

	for (size_t i = 0; i < ARRAY_SIZE(defs); i++) {
		const struct option_def *d = &defs[i];

		if (strcmp(section, d->section) != 0)
			(void)fprintf(out, "%s.Ss %s\n.Bl -tag -width Ds\n", i ? ".El\n" : "",
				      d->section);
		section = d->section;
		(void)fprintf(out, ".It ");
		if (d->short_name)
			(void)fprintf(out, "Fl %c , ", d->short_name);
		(void)fprintf(out, "Fl \\-%s", d->name);
		if (d->value)
			(void)fprintf(out, " Ar %s", d->value);
		(void)fprintf(out, "\n%s.\n", d->help);
	}
	(void)fprintf(out, ".El\n");
}
