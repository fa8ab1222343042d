/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Cancelling, file operations, and what happens to both when a loop stops. Runs
 * once per backend (MOUNT_S3_LOOP).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "lib/probe.h"

static char one_byte[] = "x";

/* --- cancelling ---------------------------------------------------------------- */

static void each_kind_can_be_cancelled(void)
{
	struct iovec iov = {one_byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct sockaddr_in a;
	struct probe r, s, p, c;
	int sv[2], lfd, cfd, fill[8];
	char buf[8];

	loop = start_loop(NULL);
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	stuff(sv[0]);
	START(.what = RECV, .p = &r, .fd = sv[0], .buf = buf, .len = sizeof(buf));
	START(.what = SEND, .p = &s, .fd = sv[0], .msg = &msg);
	START(.what = POLL, .p = &p, .fd = sv[0], .events = POLLIN);
	START(.what = CANCEL, .p = &s);
	check_int(probe_wait(&s), ==, -ECANCELED);
	START(.what = CANCEL, .p = &r);
	check_int(probe_wait(&r), ==, -ECANCELED);
	START(.what = CANCEL, .p = &p);
	check_int(probe_wait(&p), ==, -ECANCELED);

	/* a full backlog: the connection is never answered */
	lfd = listener(&a);
	for (unsigned i = 0; i < ARRAY_SIZE(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&a, sizeof(a));
	}
	cfd = socket(AF_INET, SOCK_STREAM, 0);
	START(.what = CONNECT, .p = &c, .fd = cfd, .addr = &a);
	START(.what = CANCEL, .p = &c);
	check_int(probe_wait(&c), ==, -ECANCELED);
	for (unsigned i = 0; i < ARRAY_SIZE(fill); i++)
		(void)close(fill[i]);
	(void)close(cfd);
	(void)close(lfd);
	(void)close(sv[0]);
	(void)close(sv[1]);
	end_loop(loop);
	check_int(r.ended + s.ended + p.ended + c.ended, ==, 4);
}

static void cancel_before_submission_and_after_the_end(void)
{
	struct probe p;
	int fds[2];

	loop = start_loop(NULL);
	require(pipe(fds) == 0);
	START(.what = POLL_CANCEL, .p = &p, .fd = fds[0], .events = POLLIN);
	check_int(probe_wait(&p), ==, -ECANCELED);
	START(.what = CANCEL, .p = &p);
	START(.what = POLL, .p = &p, .fd = fds[0], .events = POLLIN);
	check_int(write(fds[1], "x", 1), ==, 1);
	check_int(probe_wait(&p), ==, POLLIN);
	START(.what = CANCEL, .p = &p);
	end_loop(loop);
	check_int(p.ended, ==, 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

struct sync_cancel {
	struct probe p;
	int sv[2];
	char buf[4];
	bool let_go;
};

static void cancel_in_sync(void *arg)
{
	struct sync_cancel *c = arg;
	struct loop *l = loop_current();

	loop_recv(l, &c->p.op, c->sv[0], c->buf, sizeof(c->buf));
	loop_cancel_sync(l, &c->p.op);
	c->let_go = !c->p.op.in_flight && c->p.ended == 0;
	check_int(write(c->sv[1], "abc", 3), ==, 3);
}

static void after_a_synchronous_cancel_the_memory_is_free(void)
{
	struct sync_cancel c = {.sv = {-1, -1}};

	loop = start_loop(NULL);
	probe_init(&c.p);
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, c.sv) == 0);
	require(on_loop(loop, cancel_in_sync, &c));
	check(c.let_go);
	check_int(probe_wait(&c.p), ==, -ECANCELED);
	end_loop(loop);
	check_int(c.buf[0], ==, 0);
	check_int(c.p.ended, ==, 1);
	(void)close(c.sv[0]);
	(void)close(c.sv[1]);
}

static void a_reused_descriptor_gets_no_old_event(void)
{
	struct probe old, p;
	int first[2], second[2];

	loop = start_loop(NULL);
	for (unsigned i = 0; i < 50; i++) {
		require(pipe(first) == 0);
		START(.what = POLL, .p = &old, .fd = first[0], .events = POLLIN);
		START(.what = CANCEL, .p = &old);
		check_int(probe_wait(&old), ==, -ECANCELED);
		(void)close(first[0]);
		(void)close(first[1]);
		require(pipe(second) == 0);
		check_int(second[0], ==, first[0]);
		START(.what = POLL, .p = &p, .fd = second[0], .events = POLLIN);
		check_int(p.ended, ==, 0);
		check_int(write(second[1], "x", 1), ==, 1);
		check_int(probe_wait(&p), ==, POLLIN);
		(void)close(second[0]);
		(void)close(second[1]);
	}
	end_loop(loop);
}

/* --- files --------------------------------------------------------------------- */

static int temp_file(void)
{
	char path[] = "/tmp/test_loop.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd < 0)
		abort();
	(void)unlink(path);
	return fd;
}

static void files_are_read_and_written_at_offsets(void)
{
	char data[] = "0123456789", back[16] = "";
	struct probe p;
	int fd = temp_file();

	loop = start_loop(NULL);
	START(.what = PWRITE, .p = &p, .fd = fd, .buf = data, .len = 10, .offset = 100000);
	check_int(probe_wait(&p), ==, 10);
	START(.what = SYNC, .p = &p, .fd = fd);
	check_int(probe_wait(&p), ==, 0);
	START(.what = PREAD, .p = &p, .fd = fd, .buf = back, .len = 4, .offset = 100003);
	check_int(probe_wait(&p), ==, 4);
	check_str(back, "3456");
	START(.what = PREAD, .p = &p, .fd = fd, .buf = back, .len = 16, .offset = 100008);
	check_int(probe_wait(&p), ==, 2);
	START(.what = PREAD, .p = &p, .fd = fd, .buf = back, .len = 16, .offset = 200000);
	check_int(probe_wait(&p), ==, 0);
	START(.what = CANCEL, .p = &p);
	(void)close(fd);
	START(.what = PREAD, .p = &p, .fd = fd, .buf = back, .len = 16);
	check_int(probe_wait(&p), ==, -EBADF);
	START(.what = SYNC, .p = &p, .fd = fd);
	check_int(probe_wait(&p), ==, -EBADF);
	end_loop(loop);
}

#define FILE_OPS 500

static struct probe file_ops[FILE_OPS];
static char file_bytes[FILE_OPS];

struct file_run {
	int fd;
	bool write, cancel;
};

static void begin_files(void *arg)
{
	const struct file_run *f = arg;
	struct loop *l = loop_current();

	for (unsigned i = 0; i < FILE_OPS; i++) {
		probe_init(&file_ops[i]);
		if (f->write)
			loop_pwrite(l, &file_ops[i].op, f->fd, &file_bytes[i], 1, i);
		else
			loop_pread(l, &file_ops[i].op, f->fd, &file_bytes[i], 1, i);
	}
	for (unsigned i = 0; f->cancel && i < FILE_OPS; i++)
		loop_cancel(l, &file_ops[i].op);
}

static void many_file_operations_and_cancelled_ones(void)
{
	struct file_run f = {.fd = temp_file(), .write = true};
	unsigned wrong = 0;

	loop = start_loop(NULL);
	for (unsigned i = 0; i < FILE_OPS; i++)
		file_bytes[i] = (char)i;
	require(on_loop(loop, begin_files, &f));
	for (unsigned i = 0; i < FILE_OPS; i++)
		wrong += probe_wait(&file_ops[i]) != 1;
	check_int(wrong, ==, 0);
	memset(file_bytes, -1, sizeof(file_bytes));
	f.write = false;
	require(on_loop(loop, begin_files, &f));
	for (unsigned i = 0; i < FILE_OPS; i++)
		wrong += probe_wait(&file_ops[i]) != 1 || file_bytes[i] != (char)i;
	check_int(wrong, ==, 0);
	f.cancel = true;
	require(on_loop(loop, begin_files, &f));
	for (unsigned i = 0; i < FILE_OPS; i++) {
		int res = probe_wait(&file_ops[i]);

		wrong += res != 1 && res != -ECANCELED;
	}
	check_int(wrong, ==, 0);
	end_loop(loop);
	(void)close(f.fd);
}

/* --- stopping ------------------------------------------------------------------ */

static struct probe resubmitted;
static int resubmit_fd;

/* Asks for more while the loop ends. */
static void done_resubmits(struct loop_op *op, int res)
{
	probe_init(&resubmitted);
	loop_poll(loop_current(), &resubmitted.op, resubmit_fd, POLLIN);
	probe_done(op, res);
}

static void begin_resubmitter(void *arg)
{
	struct probe *p = arg;

	p->op.done = done_resubmits;
	loop_poll(loop_current(), &p->op, resubmit_fd, POLLIN);
}

static void stop_ends_everything_in_flight(void)
{
	struct iovec iov = {one_byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct probe r, s, p, w, re;
	char buf[8];
	int sv[2], fd = temp_file();
	uint64_t before;

	loop = start_loop(NULL);
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	stuff(sv[0]);
	resubmit_fd = sv[0];
	probe_init(&re);
	START(.what = RECV, .p = &r, .fd = sv[0], .buf = buf, .len = sizeof(buf));
	START(.what = SEND, .p = &s, .fd = sv[0], .msg = &msg);
	START(.what = POLL, .p = &p, .fd = sv[0], .events = POLLIN);
	START(.what = PWRITE, .p = &w, .fd = fd, .buf = buf, .len = sizeof(buf));
	require(on_loop(loop, begin_resubmitter, &re));
	before = clock_now();
	end_loop(loop);
	check_int(clock_now() - before, <, 4 * NSEC_PER_SEC);
	check_int(r.res, ==, -ECANCELED);
	check_int(s.res, ==, -ECANCELED);
	check_int(p.res, ==, -ECANCELED);
	check_int(re.res, ==, -ECANCELED);
	check_int(resubmitted.res, ==, -ECANCELED);
	check(w.res == (int)sizeof(buf) || w.res == -ECANCELED);
	check_int(r.ended + s.ended + p.ended + w.ended + re.ended + resubmitted.ended, ==, 6);
	(void)close(sv[0]);
	(void)close(sv[1]);
	(void)close(fd);
}

int main(void)
{
	if (no_backend()) {
		printf("1..0 # SKIP this kernel does not give a ring\n");
		return 0;
	}
	return test_run((struct test[]){
		TEST(each_kind_can_be_cancelled),
		TEST(cancel_before_submission_and_after_the_end),
		TEST(after_a_synchronous_cancel_the_memory_is_free),
		TEST(a_reused_descriptor_gets_no_old_event),
		TEST(files_are_read_and_written_at_offsets),
		TEST(many_file_operations_and_cancelled_ones),
		TEST(stop_ends_everything_in_flight),
		{0},
	});
}
