/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An s3d of the test's own, and its control side (tests/s3d/README.md):
 *
 *	s3d_begin("/path/to/s3d", (const char *const[]){"--quirk", "small-parts", NULL});
 *	status = s3d_ask("POST", "fault?kind=reset&op=PutObject", NULL, 0, &answer);
 *	s3d_end();
 *
 * Ends by its pid; s3d_ask returns the status, or aborts the test program.
 */
#ifndef TESTS_LIB_S3D_PROC_H
#define TESTS_LIB_S3D_PROC_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define S3D_ARGS_MAX 16
#define S3D_BUCKET   "test-bucket"

static struct {
	pid_t pid;
	int port;
	char endpoint[64];
} s3d_;

static inline int s3d_connect_(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)s3d_.port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static inline void s3d_free_port_(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	(void)close(fd);
	s3d_.port = ntohs(a.sin_port);
}

/* Sets the credentials of the environment too. */
static inline void s3d_begin(const char *program, const char *const *more)
{
	const char *argv[S3D_ARGS_MAX] = {program, "--memory", "--bucket", S3D_BUCKET, "--listen"};
	char address[32];
	int n = 5;

	(void)setenv("AWS_ACCESS_KEY_ID", "test-key", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "test-secret-of-tests", 1);
	s3d_free_port_();
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", s3d_.port);
	(void)snprintf(s3d_.endpoint, sizeof(s3d_.endpoint), "http://%s", address);
	argv[n++] = address;
	for (; more && *more && n < S3D_ARGS_MAX - 1; more++)
		argv[n++] = *more;
	if (posix_spawn(&s3d_.pid, program, NULL, NULL, (char **)(uintptr_t)argv, environ) != 0) {
		printf("Bail out! %s cannot be started\n", program);
		exit(1);
	}
	for (int i = 0; i < 1500; i++) {
		struct timespec pause = {.tv_nsec = 20000000};
		int fd = s3d_connect_();

		if (fd >= 0) {
			(void)close(fd);
			return;
		}
		(void)nanosleep(&pause, NULL); /* polling another process */
	}
	printf("Bail out! %s does not answer\n", program);
	exit(1);
}

static inline void s3d_end(void)
{
	(void)kill(s3d_.pid, SIGKILL);
	(void)waitpid(s3d_.pid, NULL, 0);
}

struct s3d_answer {
	char *data; /* free() */
	size_t len; /* of the body */
	const char *body;
};

static inline void s3d_read_(int fd, struct s3d_answer *a)
{
	size_t cap = 0;
	ssize_t n;
	char *end;

	*a = (struct s3d_answer){0};
	do {
		if (cap - a->len < 65536) {
			cap = cap ? cap * 2 : 131072;
			a->data = realloc(a->data, cap + 1);
			if (!a->data)
				abort();
		}
		n = read(fd, a->data + a->len, cap - a->len);
		a->len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	a->data[a->len] = '\0';
	end = memmem(a->data, a->len, "\r\n\r\n", 4);
	if (!end) {
		printf("Bail out! s3d gave no answer\n");
		exit(1);
	}
	a->body = end + 4;
	a->len -= (size_t)(a->body - a->data);
}

/* `ret` may be NULL. */
static inline int s3d_ask(const char *method, const char *what, const void *body, size_t len,
			  struct s3d_answer *ret)
{
	struct s3d_answer a;
	int fd = s3d_connect_(), status;

	if (fd < 0) {
		printf("Bail out! s3d is gone\n");
		exit(1);
	}
	(void)dprintf(fd,
		      "%s /_s3d/%s HTTP/1.1\r\nHost: s3d\r\nConnection: close\r\n"
		      "Content-Length: %zu\r\n\r\n",
		      method, what, len);
	while (len) {
		ssize_t n = write(fd, body, len);

		if (n <= 0)
			break;
		body = (const char *)body + n;
		len -= (size_t)n;
	}
	s3d_read_(fd, &a);
	(void)close(fd);
	status = (int)strtol(a.data + 9, NULL, 10);
	if (ret)
		*ret = a;
	else
		free(a.data);
	return status;
}

#endif
