/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Control calls on a real server: `test_s3_live s3d|minio PROGRAM`. The server is
 * started here on a free port, in a folder of its own, and ended by its pid.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macro.h"
#include "lib/s3_sync.h"
#include "lib/test.h"
#include "s3/control.h"

#define BUCKET "test-bucket"
#define REGION "eu-west-1"

extern char **environ;

static bool is_minio;
static char folder[] = "/tmp/test_s3_live.XXXXXX";
static char endpoint[64];

/* --- server --- */

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	(void)close(fd);
	return ntohs(a.sin_port);
}

static bool answers(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool up = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	(void)close(fd);
	return up;
}

static pid_t start_server(const char *kind, const char *program)
{
	char address[32], log[64];
	const char *minio[] = {program, "server", folder, "--address", address, NULL};
	const char *s3d[] = {program, "--memory", "--listen", address, "--region", REGION, NULL};
	posix_spawn_file_actions_t files;
	int port = free_port(), r;
	pid_t pid;

	is_minio = strcmp(kind, "minio") == 0;
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	(void)snprintf(endpoint, sizeof(endpoint), "http://%s", address);
	(void)snprintf(log, sizeof(log), "%s.log", folder);
	(void)setenv("MINIO_ROOT_USER", getenv("AWS_ACCESS_KEY_ID"), 1);
	(void)setenv("MINIO_ROOT_PASSWORD", getenv("AWS_SECRET_ACCESS_KEY"), 1);
	(void)setenv("MINIO_REGION", REGION, 1);
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	(void)posix_spawn_file_actions_adddup2(&files, 1, 2);
	r = posix_spawn(&pid, program, &files, NULL, (char **)(uintptr_t)(is_minio ? minio : s3d),
			environ);
	(void)posix_spawn_file_actions_destroy(&files);
	if (r != 0)
		return -1;
	for (uint64_t end = clock_now() + 30 * NSEC_PER_SEC; clock_now() < end;) {
		struct timespec pause = {.tv_nsec = 20000000};

		if (answers(port))
			return pid;
		(void)nanosleep(&pause, NULL); /* polling another process: nothing to wait on */
	}
	(void)kill(pid, SIGKILL);
	return -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void stop_server(pid_t pid)
{
	char log[64];

	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)snprintf(log, sizeof(log), "%s.log", folder);
	(void)unlink(log);
	(void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- two calls that s3.h has no need of --- */

struct raw_call {
	struct s3_call call;
	const char *key;
	char body[4096];
	size_t len;
};

static void bucket_prepare(struct control *c)
{
	s3_request_start(&c->request, "PUT", NULL);
}

static void get_prepare(struct control *c)
{
	s3_request_start(&c->request, "GET", c->key);
}

static enum control_result raw_success(struct control *c)
{
	struct raw_call *r = container_of(c->call, struct raw_call, call);

	r->len = c->body.len < sizeof(r->body) ? c->body.len : sizeof(r->body);
	if (r->len)
		memcpy(r->body, c->body.data, r->len);
	return CONTROL_DONE;
}

static const struct control_type bucket_type = {
	.name = "CreateBucket", .prepare = bucket_prepare, .success = raw_success};
static const struct control_type get_type = {
	.name = "GET", .prepare = get_prepare, .success = raw_success};

static void start_raw(struct s3_client *c, struct loop *l, struct raw_call *r)
{
	control_start(c, l, &r->call, r->key, r->key ? &get_type : &bucket_type, 0, NULL);
}

SYNC_CALL(raw, raw_call, start_raw)
SYNC_CALL(get, s3_get_call, s3_get)

/* --- tests --- */

static struct s3_config config = {.bucket = BUCKET, .region = REGION, .endpoint_url = endpoint};

static void show(const struct s3_call *c)
{
	char line[600];

	s3_error_format(&c->error, line, sizeof(line));
	printf("# %s\n", line);
}

static int put_text(const char *key, const char *text, bool if_none_match, struct s3_object *ret)
{
	const struct iovec body = {(char *)(uintptr_t)text, strlen(text)};
	const struct s3_put_attrs attrs = {.content_type = "text/plain; a=\"b\"",
					   .if_none_match = if_none_match};
	struct s3_put_call p = {.key = key, .attrs = &attrs, .body = &body, .nbody = 1};
	int r = sync_put(&p);

	if (r < 0 && !(if_none_match && r == -EEXIST))
		show(&p.call);
	if (ret)
		*ret = p.object;
	return r;
}

static int delete_key(const char *key)
{
	struct s3_delete_call d = {.key = key};

	return sync_delete(&d);
}

static void create_bucket(void)
{
	struct raw_call r = {.key = NULL};

	check_int(sync_raw(&r), ==, 0);
	if (r.call.error.err)
		show(&r.call);
}

/* Keys that MinIO refuses come after the NULL. */
static const char *const keys[] = {
	"plain",
	"with space",
	"plus+sign",
	"percent%",
	"percent%20",
	"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
	"dir/below",
	"a&b=c;d?e#f",
	"quote\"'<>",
	"(paren)!*~",
	"comma,colon:at@dollar$",
	"[brackets]{braces}|^`",
	"tab\tkey",
	"new\nline",
	"\x01\x02\x7f",
	"trailing ",
	" leading",
	"ends with/",
	"semi;colon",
	".hidden",
	"a.b/c..d",
	NULL,
	"a//b",
	"/leading",
	"//",
	".",
	"..",
	"../up",
	"a/./b",
	"a/../b",
	"back\\slash",
};

static bool use_key(size_t i, bool *beyond)
{
	if (!keys[i])
		*beyond = true;
	return keys[i] && !(*beyond && is_minio);
}

static void odd_keys(void)
{
	bool beyond = false;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct s3_object o;
		struct s3_head_call h = {.key = keys[i]};
		struct raw_call g = {.key = keys[i]};
		const char *text;

		if (!use_key(i, &beyond))
			continue;
		text = keys[i][strlen(keys[i]) - 1] == '/' ? "" : keys[i];
		if (put_text(keys[i], text, false, &o) < 0) {
			test_fail_("PUT \"%s\"", keys[i]);
			continue;
		}
		check_int(sync_head(&h), ==, 0);
		check_int(h.object.size, ==, strlen(text));
		check_str(h.object.etag, o.etag);
		check(h.object.mtime > 1600000000);
		check_int(sync_raw(&g), ==, 0);
		check_int(g.len, ==, strlen(text));
		check_mem(g.body, text, g.len);
	}
}

static size_t known_keys(void)
{
	bool beyond = false;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		n += use_key(i, &beyond);
	return n;
}

static bool is_known(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i] && strcmp(keys[i], key) == 0)
			return true;
	return false;
}

/* All pages of `max`; each key once, in order. */
static void list_all(unsigned max)
{
	char *token = NULL, last[S3_KEY_MAX + 1] = "";
	size_t n = 0;

	for (int pages = 0; pages < 100; pages++) {
		struct s3_list_call l = {.max_keys = max, .token = token};
		int r = sync_list(&l);

		free(token);
		token = NULL;
		if (r < 0) {
			show(&l.call);
			test_fail_("page %d", pages);
			return;
		}
		for (size_t i = 0; i < l.page->count; i++, n++) {
			const struct s3_entry *e = &l.page->entries[i];

			if (!is_known(e->key) || strcmp(last, e->key) >= 0)
				test_fail_("\"%s\" after \"%s\"", e->key, last);
			(void)snprintf(last, sizeof(last), "%s", e->key);
			check(!e->is_prefix && e->object.etag[0] == '"');
		}
		check(l.page->count <= max && !l.page->unordered);
		if (l.page->truncated)
			token = strdup(l.page->next_token);
		s3_page_free(l.page);
		if (!token)
			break;
	}
	check_int(n, ==, known_keys());
}

static void list_pages(void)
{
	list_all(1000);
	list_all(7);
	list_all(1);
}

static void list_with_delimiter(void)
{
	struct s3_list_call l = {.prefix = "dir/", .delimiter = true, .max_keys = 1000};
	size_t prefixes = 0;

	check_int(sync_list(&l), ==, 0);
	require(l.page && l.page->count == 1);
	check_str(l.page->entries[0].key, "dir/below");
	s3_page_free(l.page);
	l = (struct s3_list_call){.prefix = "", .delimiter = true, .max_keys = 1000};
	check_int(sync_list(&l), ==, 0);
	require(l.page);
	for (size_t i = 0; i < l.page->count; i++) {
		prefixes += l.page->entries[i].is_prefix;
		if (i && strcmp(l.page->entries[i - 1].key, l.page->entries[i].key) >= 0)
			test_fail_("\"%s\" out of order", l.page->entries[i].key);
	}
	check_int(prefixes, ==, is_minio ? 3 : 6); /* dir/ ends with/ a.b/ ... */
	s3_page_free(l.page);
	l = (struct s3_list_call){.prefix = "with space", .max_keys = 10};
	check_int(sync_list(&l), ==, 0);
	check_int(l.page->count, ==, 1);
	s3_page_free(l.page);
	l = (struct s3_list_call){.start_after = "plus+sign", .max_keys = 1000};
	check_int(sync_list(&l), ==, 0);
	for (size_t i = 0; i < l.page->count; i++)
		check(strcmp(l.page->entries[i].key, "plus+sign") > 0);
	s3_page_free(l.page);
	l = (struct s3_list_call){.max_keys = 0};
	check_int(sync_list(&l), ==, 0);
	check_int(l.page->count, ==, 0);
	s3_page_free(l.page);
}

static void conditions(void)
{
	struct s3_object o;
	struct s3_head_call h = {.key = "cond"};

	check_int(put_text("cond", "1", true, &o), ==, 0);
	check_int(put_text("cond", "2", true, NULL), ==, -EEXIST);
	h.if_match = o.etag;
	check_int(sync_head(&h), ==, 0);
	h = (struct s3_head_call){.key = "cond", .if_match = "\"0123\""};
	check_int(sync_head(&h), ==, -ESTALE);
	check_int(h.call.error.cls, ==, S3_PRECONDITION);
	check_int(delete_key("cond"), ==, 0);
	check_int(delete_key("cond"), ==, 0);
	h = (struct s3_head_call){.key = "cond"};
	check_int(sync_head(&h), ==, -ENOENT);
	check_int(h.call.error.cls, ==, S3_NOT_FOUND);
	check_int(h.call.error.attempts, ==, 1);
}

static char big[5 << 20];
static char got[5 << 20];

static struct iovec get_space(struct s3_get_call *g, uint64_t pos)
{
	return (struct iovec){got + (pos - g->offset), sizeof(got) - (pos - g->offset)};
}

static void get_data(struct s3_get_call *g, uint64_t pos, size_t len)
{
	(void)g, (void)pos, (void)len;
}

static int get_range(const char *key, const char *etag, uint64_t offset, uint64_t length,
		     struct s3_get_call *g)
{
	memset(got, 0, sizeof(got));
	*g = (struct s3_get_call){.key = key,
				  .if_match = etag,
				  .offset = offset,
				  .length = length,
				  .on_space = get_space,
				  .on_data = get_data};
	return sync_get(g);
}

static void ranges(void)
{
	const char *key = "a b/+&=;%\xc3\xa9~*'()!";
	const struct iovec body = {big, sizeof(big)};
	struct s3_put_call p = {.key = key, .body = &body, .nbody = 1};
	const uint64_t at[][2] = {{0, sizeof(big)}, {0, 1}, {sizeof(big) - 1, 1}, {12345, 2000000}};
	struct s3_get_call g;
	struct s3_object o;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31 + i / 251);
	require(sync_put(&p) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		check_int(get_range(key, p.object.etag, at[i][0], at[i][1], &g), ==, 0);
		if (g.call.error.err < 0)
			show(&g.call);
		check_mem(got, big + at[i][0], at[i][1]);
		check_int(g.object.size, ==, sizeof(big));
		check_str(g.object.etag, p.object.etag);
		check_int(g.call.error.attempts, ==, 1);
	}
	check_int(get_range(key, "\"0123\"", 0, 10, &g), ==, -ESTALE);
	check_int(get_range(key, p.object.etag, sizeof(big), 10, &g), ==, -EIO);
	check_int(g.call.error.cls, ==, S3_INVALID);
	check_int(delete_key(key), ==, 0);
	check_int(get_range(key, p.object.etag, 0, 10, &g), ==, -ENOENT);
	check_int(put_text("empty", "", false, &o), ==, 0);
	check_int(get_range("empty", o.etag, 0, 0, &g), ==, 0);
	check_int(delete_key("empty"), ==, 0);
}

static bool upload_part(const char *id, unsigned number, size_t len, struct s3_part *ret)
{
	struct iovec body[2] = {{big, len / 3}, {big + len / 3, len - len / 3}};
	struct s3_upload_part_call u = {
		.key = "multi part", .upload_id = id, .number = number, .body = body, .nbody = 2};

	if (sync_part(&u) < 0) {
		show(&u.call);
		return false;
	}
	check_int(u.part.size, ==, len);
	check(u.part.checksum[0] != '\0');
	*ret = u.part;
	return true;
}

static void multipart(void)
{
	const struct s3_put_attrs attrs = {.content_type = "x/y"};
	struct s3_create_upload_call c = {.key = "multi part", .attrs = &attrs};
	struct s3_list_parts_call lp = {.key = "multi part"};
	struct s3_complete_call done = {.key = "multi part", .nparts = 3};
	struct s3_head_call h = {.key = "multi part"};
	struct s3_part part[3];

	memset(big, 'b', sizeof(big));
	if (sync_create(&c) < 0)
		show(&c.call);
	require(c.upload_id);
	require(upload_part(c.upload_id, 1, sizeof(big), &part[0]));
	require(upload_part(c.upload_id, 3, 17, &part[2]));
	lp.upload_id = c.upload_id;
	check_int(sync_parts(&lp), ==, -EIO); /* a gap */
	check(!lp.parts);
	require(upload_part(c.upload_id, 2, sizeof(big), &part[1]));
	lp = (struct s3_list_parts_call){.key = "multi part", .upload_id = c.upload_id};
	check_int(sync_parts(&lp), ==, 0);
	check_int(lp.nparts, ==, 3);
	check_int(lp.total, ==, 2 * sizeof(big) + 17);
	for (unsigned i = 0; i < lp.nparts; i++)
		check_str(lp.parts[i].etag, part[i].etag);
	free(lp.parts);
	done.upload_id = c.upload_id;
	done.parts = part;
	if (sync_complete(&done) < 0)
		show(&done.call);
	check_int(done.call.error.err, ==, 0);
	check_int(done.object.size, ==, 2 * sizeof(big) + 17);
	check_int(sync_head(&h), ==, 0);
	check_int(h.object.size, ==, 2 * sizeof(big) + 17);
	check_str(h.object.etag, done.object.etag);
	/* once more, as after a lost answer: the upload is gone */
	done.call = (struct s3_call){0};
	check_int(sync_complete(&done), ==, -EIO);
	check_int(delete_key("multi part"), ==, 0);
	free(c.upload_id);
}

static void aborted(void)
{
	struct s3_create_upload_call c = {.key = "aborted"};
	struct s3_abort_call a = {.key = "aborted"};

	check_int(sync_create(&c), ==, 0);
	a.upload_id = c.upload_id;
	check_int(sync_abort(&a), ==, 0);
	check_int(sync_abort(&a), ==, 0);
	free(c.upload_id);
}

static void refusals(void)
{
	struct s3_config other = config;
	struct s3_list_call l = {.max_keys = 1};
	char secret[64], line[600];

	sync_end();
	other.bucket = "no-such-bucket";
	sync_begin(&other);
	check_int(sync_list(&l), ==, -EIO);
	check_int(l.call.error.cls, ==, S3_NO_BUCKET);
	sync_end();

	(void)snprintf(secret, sizeof(secret), "%s", getenv("AWS_SECRET_ACCESS_KEY"));
	(void)setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
	sync_begin(&config);
	l = (struct s3_list_call){.max_keys = 1};
	check_int(sync_list(&l), ==, -EACCES);
	s3_error_format(&l.call.error, line, sizeof(line));
	check(strstr(line, "403 SignatureDoesNotMatch: ") == line);
	check(strstr(line, "check the secret key") != NULL);
	sync_end();
	(void)setenv("AWS_SECRET_ACCESS_KEY", secret, 1);
	sync_begin(&config);
}

/* The region was not given: what the server says is used from then on. */
static void region_is_corrected(void)
{
	struct s3_config other = config;
	struct s3_list_call l = {.max_keys = 1};

	sync_end();
	other.region = NULL;
	sync_begin(&other);
	check_str(s3_client_region(sync_.client), "us-east-1");
	check_int(sync_list(&l), ==, 0);
	check_int(l.call.error.attempts, ==, 2);
	check_str(s3_client_region(sync_.client), REGION);
	s3_page_free(l.page);
	l = (struct s3_list_call){.max_keys = 1};
	check_int(sync_list(&l), ==, 0);
	check_int(l.call.error.attempts, ==, 1);
	s3_page_free(l.page);
	sync_end();

	/* A GET finds it out for itself. */
	struct s3_object o;
	struct s3_get_call g;
	sync_begin(&other);
	check_int(put_text("elsewhere", "x", false, &o), ==, 0);
	sync_end();
	sync_begin(&other);
	check_int(get_range("elsewhere", o.etag, 0, 1, &g), ==, 0);
	check_int(g.call.error.attempts, ==, 2);
	check_str(s3_client_region(sync_.client), REGION);
	check_int(delete_key("elsewhere"), ==, 0);
	sync_end();

	/* A region that was given stays, and the error says which is right. */
	other.region = "ap-south-1";
	sync_begin(&other);
	l = (struct s3_list_call){.max_keys = 1};
	check_int(sync_list(&l), ==, -EIO);
	check_int(l.call.error.cls, ==, S3_WRONG_REGION);
	check_str(l.call.error.region, REGION);
	sync_end();
	sync_begin(&config);
}

static void delete_all(void)
{
	struct s3_list_call l = {.max_keys = 1000};
	bool beyond = false;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (use_key(i, &beyond))
			check_int(delete_key(keys[i]), ==, 0);
	check_int(sync_list(&l), ==, 0);
	require(l.page);
	check_int(l.page->count, ==, 0);
	s3_page_free(l.page);
}

int main(int argc, char **argv)
{
	const char *given = getenv("MINIO_BIN"), *program = argc == 3 ? argv[2] : "";
	pid_t pid;
	int r;

	if (given && argc == 3 && strcmp(argv[1], "minio") == 0)
		program = given;
	if (no_backend() || access(program, X_OK) != 0)
		return 77;
	if (!mkdtemp(folder))
		return 1;
	(void)unsetenv("AWS_REGION");
	(void)unsetenv("AWS_ENDPOINT_URL");
	(void)setenv("AWS_ACCESS_KEY_ID", "testaccess", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
	pid = start_server(argv[1], program);
	if (pid < 0)
		return 1;
	sync_begin(&config);
	r = test_run((struct test[]){
		TEST(create_bucket),
		TEST(odd_keys),
		TEST(list_pages),
		TEST(list_with_delimiter),
		TEST(conditions),
		TEST(ranges),
		TEST(multipart),
		TEST(aborted),
		TEST(refusals),
		TEST(region_is_corrected),
		TEST(delete_all),
		{0},
	});
	sync_end();
	stop_server(pid);
	return r;
}
