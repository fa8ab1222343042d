/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Socket operations and polls of a loop. Runs once per backend (MOUNT_S3_LOOP);
 * cancelling, files and the end of a loop are in test_loop_end.c.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lib/probe.h"

static char one_byte[] = "x";

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
		{0},
	});
}
