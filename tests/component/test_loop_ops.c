/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Operations of a loop: sockets, polls, files, cancelling, stopping. Runs once
 * per backend (MOUNT_S3_LOOP).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "lib/on_loop.h"
#include "lib/test.h"
#include "loop/loop.h"

/* An operation with a gate that its end opens. */
struct probe {
	struct loop_op op;
	int res;
	atomic_uint ended;
	struct gate over;
};

static void probe_done(struct loop_op *op, int res)
{
	struct probe *p = list_entry(op, struct probe, op);

	p->res = res;
	p->ended++;
	gate_open(&p->over);
}

static void probe_init(struct probe *p)
{
	*p = (struct probe){.op.done = probe_done, .res = 12345};
	gate_init(&p->over);
}

static int probe_wait(struct probe *p)
{
	return gate_wait(&p->over) ? p->res : -ETIME;
}

/* What to start on the loop, for start(). */
struct want {
	enum { RECV, SEND, CONNECT, POLL, PREAD, PWRITE, SYNC, CANCEL, POLL_CANCEL } what;
	struct probe *p;
	int fd;
	void *buf;
	size_t len;
	uint64_t offset;
	const struct msghdr *msg;
	const struct sockaddr_in *addr;
	uint32_t events;
};

static void begin(void *arg)
{
	const struct want *w = arg;
	struct loop *l = loop_current();
	struct loop_op *op = &w->p->op;

	switch (w->what) {
	case RECV:
		loop_recv(l, op, w->fd, w->buf, w->len);
		break;
	case SEND:
		loop_sendmsg(l, op, w->fd, w->msg);
		break;
	case CONNECT:
		loop_connect(l, op, w->fd, (const struct sockaddr *)w->addr, sizeof(*w->addr));
		break;
	case POLL:
		loop_poll(l, op, w->fd, w->events);
		break;
	case PREAD:
		loop_pread(l, op, w->fd, w->buf, w->len, w->offset);
		break;
	case PWRITE:
		loop_pwrite(l, op, w->fd, w->buf, w->len, w->offset);
		break;
	case SYNC:
		loop_fdatasync(l, op, w->fd);
		break;
	case CANCEL:
		loop_cancel(l, op);
		break;
	case POLL_CANCEL:
		loop_poll(l, op, w->fd, w->events);
		loop_cancel(l, op);
		loop_cancel(l, op);
		break;
	}
}

static struct loop *loop;
static char one_byte[] = "x";

static void start(struct want w)
{
	if (w.what != CANCEL)
		probe_init(w.p);
	check(on_loop(loop, begin, &w));
}

#define START(...) start((struct want){__VA_ARGS__})

/* --- sockets ------------------------------------------------------------------- */

static void receive_waits_for_bytes(void)
{
	const int types[] = {SOCK_STREAM, SOCK_STREAM | SOCK_NONBLOCK};

	loop = start_loop(NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		struct probe p;
		char buf[16] = "";
		int sv[2];

		require(socketpair(AF_UNIX, types[i], 0, sv) == 0);
		START(.what = RECV, .p = &p, .fd = sv[0], .buf = buf, .len = sizeof(buf));
		check_int(write(sv[1], "hello", 5), ==, 5);
		check_int(probe_wait(&p), ==, 5);
		check_str(buf, "hello");
		check_int(write(sv[1], "again", 5), ==, 5);
		START(.what = RECV, .p = &p, .fd = sv[0], .buf = buf, .len = sizeof(buf));
		check_int(probe_wait(&p), ==, 5);
		(void)close(sv[1]);
		START(.what = RECV, .p = &p, .fd = sv[0], .buf = buf, .len = sizeof(buf));
		check_int(probe_wait(&p), ==, 0);
		(void)close(sv[0]);
		START(.what = RECV, .p = &p, .fd = -1, .buf = buf, .len = sizeof(buf));
		check_int(probe_wait(&p), ==, -EBADF);
	}
	end_loop(loop);
}

#define BULK (8 * MIB)

static unsigned char *bulk_out, *bulk_in;

/* One side of a transfer that goes on until all of BULK has passed. */
struct stream {
	struct probe p;
	int fd;
	size_t moved;
	struct iovec iov[3];
	struct msghdr msg;
	bool sends;
	int error;
};

static void stream_step(struct stream *s)
{
	size_t left = BULK - s->moved;

	if (!s->sends) {
		loop_recv(loop_current(), &s->p.op, s->fd, bulk_in + s->moved, left);
		return;
	}
	/* three pieces, to see that a short send is handled by its count */
	s->iov[0] = (struct iovec){bulk_out + s->moved, left / 3};
	s->iov[1] = (struct iovec){bulk_out + s->moved + left / 3, left / 3};
	s->iov[2] = (struct iovec){bulk_out + s->moved + 2 * (left / 3), left - 2 * (left / 3)};
	s->msg = (struct msghdr){.msg_iov = s->iov, .msg_iovlen = 3};
	loop_sendmsg(loop_current(), &s->p.op, s->fd, &s->msg);
}

static void stream_done(struct loop_op *op, int res)
{
	struct stream *s = list_entry(op, struct stream, p.op);

	if (res <= 0) {
		s->error = res ? res : -EPIPE;
		gate_open(&s->p.over);
		return;
	}
	s->moved += (size_t)res;
	if (s->moved == BULK)
		gate_open(&s->p.over);
	else
		stream_step(s);
}

static void stream_begin(void *arg)
{
	struct stream *s = arg;

	stream_step(&s[0]);
	stream_step(&s[1]);
}

static void big_transfers_keep_every_byte(void)
{
	const int types[] = {SOCK_STREAM, SOCK_STREAM | SOCK_NONBLOCK};

	loop = start_loop(NULL);
	bulk_out = malloc(BULK);
	bulk_in = malloc(BULK);
	for (size_t i = 0; i < BULK; i++)
		bulk_out[i] = (unsigned char)(i * 2654435761u >> 13);
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		struct stream s[2] = {{.sends = true}, {.sends = false}};
		int sv[2];

		memset(bulk_in, 0, BULK);
		require(socketpair(AF_UNIX, types[i], 0, sv) == 0);
		for (unsigned k = 0; k < 2; k++) {
			probe_init(&s[k].p);
			s[k].p.op.done = stream_done;
			s[k].fd = sv[k];
		}
		require(on_loop(loop, stream_begin, s));
		check(gate_wait(&s[0].p.over));
		check(gate_wait(&s[1].p.over));
		check_int(s[0].error, ==, 0);
		check_int(s[1].error, ==, 0);
		check_mem(bulk_in, bulk_out, BULK);
		(void)close(sv[0]);
		(void)close(sv[1]);
	}
	free(bulk_out);
	free(bulk_in);
	end_loop(loop);
}

/* Fills the send buffer, so that a further send must wait. */
static void stuff(int fd)
{
	static const char block[65536];

	while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	while (send(fd, block, 1, MSG_DONTWAIT) > 0)
		;
}

static void empty(int fd)
{
	static char block[65536];

	while (recv(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
}

static void one_descriptor_serves_both_directions_at_once(void)
{
	struct iovec iov = {one_byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct probe in, out, poll_in, poll_out;
	char buf[4] = "";
	int sv[2];

	loop = start_loop(NULL);
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == 0);
	stuff(sv[0]);
	START(.what = POLL, .p = &poll_in, .fd = sv[0], .events = POLLIN);
	START(.what = RECV, .p = &in, .fd = sv[0], .buf = buf, .len = 1);
	START(.what = SEND, .p = &out, .fd = sv[0], .msg = &msg);
	START(.what = POLL, .p = &poll_out, .fd = sv[0], .events = POLLOUT);
	check_int(write(sv[1], "a", 1), ==, 1);
	check_int(probe_wait(&poll_in), ==, POLLIN);
	check_int(probe_wait(&in), ==, 1);
	check_str(buf, "a");
	check_int(out.ended + poll_out.ended, ==, 0);
	empty(sv[1]);
	check_int(probe_wait(&out), ==, 1);
	check_int(probe_wait(&poll_out), ==, POLLOUT);
	end_loop(loop);
	(void)close(sv[0]);
	(void)close(sv[1]);
}

static void a_broken_pipe_is_an_error_not_a_signal(void)
{
	struct iovec iov = {one_byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct probe p;
	int sv[2];

	loop = start_loop(NULL);
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	(void)close(sv[1]);
	START(.what = SEND, .p = &p, .fd = sv[0], .msg = &msg);
	check_int(probe_wait(&p), ==, -EPIPE);
	(void)close(sv[0]);
	end_loop(loop);
}

static int listener(struct sockaddr_in *ret)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 0) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	*ret = a;
	return fd;
}

static void connect_succeeds_and_is_refused(void)
{
	const int types[] = {SOCK_STREAM, SOCK_STREAM | SOCK_NONBLOCK};
	struct sockaddr_in a;
	struct probe p;
	int fd, peer, flags;

	loop = start_loop(NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		int lfd = listener(&a);

		fd = socket(AF_INET, types[i], 0);
		flags = fcntl(fd, F_GETFL);
		START(.what = CONNECT, .p = &p, .fd = fd, .addr = &a);
		check_int(probe_wait(&p), ==, 0);
		check_int(fcntl(fd, F_GETFL), ==, flags);
		peer = accept(lfd, NULL, NULL);
		check(peer >= 0);
		(void)close(peer);
		(void)close(fd);
		(void)close(lfd);
		fd = socket(AF_INET, types[i], 0);
		START(.what = CONNECT, .p = &p, .fd = fd, .addr = &a);
		check_int(probe_wait(&p), ==, -ECONNREFUSED);
		(void)close(fd);
	}
	end_loop(loop);
}

/* --- polls --------------------------------------------------------------------- */

static void poll_reports_what_happened(void)
{
	struct probe p;
	int fds[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	loop = start_loop(NULL);
	require(pipe(fds) == 0);
	START(.what = POLL, .p = &p, .fd = fds[1], .events = POLLOUT);
	check_int(probe_wait(&p), ==, POLLOUT);
	START(.what = POLL, .p = &p, .fd = fds[0], .events = POLLIN);
	check_int(write(fds[1], "x", 1), ==, 1);
	check_int(probe_wait(&p), ==, POLLIN);
	(void)close(fds[1]);
	START(.what = POLL, .p = &p, .fd = fds[0], .events = POLLIN);
	check_int(probe_wait(&p), ==, POLLIN | POLLHUP);
	(void)close(fds[0]);
	START(.what = POLL, .p = &p, .fd = file, .events = POLLIN);
	check_int(probe_wait(&p), ==, POLLIN);
	(void)close(file);
	START(.what = POLL, .p = &p, .fd = file, .events = POLLIN);
	check_int(probe_wait(&p), ==, -EBADF);
	end_loop(loop);
}

/* More than the rings hold at once, both when submitted and when they end. */
#define CROWD 6000

static struct probe crowd[CROWD];
static int crowd_fd;

static void begin_crowd(void *arg)
{
	for (unsigned i = 0; i < CROWD; i++) {
		probe_init(&crowd[i]);
		loop_poll(loop_current(), &crowd[i].op, crowd_fd, POLLIN);
	}
}

static void more_operations_than_the_rings_hold(void)
{
	int fds[2];
	unsigned wrong = 0;

	loop = start_loop(NULL);
	require(pipe(fds) == 0);
	crowd_fd = fds[0];
	require(on_loop(loop, begin_crowd, NULL));
	check_int(write(fds[1], "x", 1), ==, 1);
	for (unsigned i = 0; i < CROWD; i++)
		wrong += probe_wait(&crowd[i]) != POLLIN;
	check_int(wrong, ==, 0);
	end_loop(loop);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void stop_ends_more_than_the_rings_hold(void)
{
	int fds[2];
	unsigned wrong = 0;

	loop = start_loop(NULL);
	require(pipe(fds) == 0);
	crowd_fd = fds[0];
	require(on_loop(loop, begin_crowd, NULL));
	end_loop(loop);
	for (unsigned i = 0; i < CROWD; i++)
		wrong += crowd[i].ended != 1 || crowd[i].res != -ECANCELED;
	check_int(wrong, ==, 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

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
		TEST(receive_waits_for_bytes),
		TEST(big_transfers_keep_every_byte),
		TEST(one_descriptor_serves_both_directions_at_once),
		TEST(a_broken_pipe_is_an_error_not_a_signal),
		TEST(connect_succeeds_and_is_refused),
		TEST(poll_reports_what_happened),
		TEST(more_operations_than_the_rings_hold),
		TEST(stop_ends_more_than_the_rings_hold),
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
