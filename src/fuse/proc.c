/* SPDX-License-Identifier: Apache-2.0 */

/*
 * procfs. A signal that ends a process appears as SIGKILL in the pending mask of
 * each of its threads (the kernel's complete_signal), except for those that dump
 * core: they stay what they are until they are taken, so that their disposition
 * has to be looked at. Any thread.
 */
#include "fuse/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/parse.h"

#define STATUS_MAX   8192
#define FDS_MAX	     256
#define ASLEEP_TRIES 4 /* of about 10 us */
#define DIGITS	     "0123456789"
/* field numbers of proc(5), and a flag of the kernel's linux/sched.h */
#define STAT_FLAGS     9
#define STAT_EXIT_CODE 52
#define PF_EXITING     0x4
#define BIT(sig)       (UINT64_C(1) << ((sig)-1))

/* Their default is to be ignored, to stop or to continue. */
#define HARMLESS                                                                                   \
	(BIT(SIGCHLD) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGCONT) | BIT(SIGSTOP) | BIT(SIGTSTP) | \
	 BIT(SIGTTIN) | BIT(SIGTTOU))

static int read_proc(pid_t tid, const char *file, char *ret, size_t len)
{
	char path[64 + NAME_MAX];
	_cleanup_(closep) int fd = -1;
	ssize_t n;

	if (tid <= 0)
		return -ESRCH;
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ret, len - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return 0;
}

/* The text after "\nNAME:\t", or NULL. */
static const char *field(const char *status, const char *name)
{
	size_t len = strlen(name);

	for (const char *s = strchr(status, '\n'); s; s = strchr(s + 1, '\n')) {
		if (strncmp(s + 1, name, len) != 0 || s[1 + len] != ':')
			continue;
		s += len + 2;
		return s + strspn(s, " \t");
	}
	return NULL;
}

static uint64_t mask(const char *status, const char *name)
{
	const char *s = field(status, name);
	uint64_t v = 0;

	for (; s && ((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'f')); s++)
		v = v << 4 | (uint64_t)(*s <= '9' ? *s - '0' : *s - 'a' + 10);
	return v;
}

void proc_parse_signals(const char *status, struct proc_signals *ret)
{
	*ret = (struct proc_signals){
		.pending = mask(status, "SigPnd") | mask(status, "ShdPnd"),
		.blocked = mask(status, "SigBlk"),
		.ignored = mask(status, "SigIgn"),
		.caught = mask(status, "SigCgt"),
	};
}

bool proc_signals_fatal(const struct proc_signals *s)
{
	if (s->pending & BIT(SIGKILL))
		return true;
	return (s->pending & ~(s->blocked | s->ignored | s->caught | HARMLESS)) != 0;
}

/* "257 0xffffff9c 0x7ffc... 0x241 ...": the number, its arguments; those of openat2 do not tell. */
int proc_parse_open(const char *syscall)
{
	static const struct {
		int number, flags; /* which argument; 0: it always creates, for writing */
	} calls[] = {
		{SYS_openat, 3}, {SYS_mknodat, 0},
#ifdef SYS_open
		{SYS_open, 2},	 {SYS_creat, 0},   {SYS_mknod, 0},
#endif
	};
	unsigned long long args[3];
	int number;

	if (sscanf(syscall, "%d %llx %llx %llx", &number, &args[0], &args[1], &args[2]) != 4)
		return -1; /* "running" */
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].number == number)
			return calls[i].flags ? (int)(args[calls[i].flags - 1] & INT_MAX)
					      : O_CREAT | O_WRONLY;
	return -1;
}

/* A thread that has just sent its request may not be asleep yet, and tells nothing until then. */
static int open_flags(pid_t tid)
{
	char text[STATUS_MAX];
	int r;

	for (int tries = 0; tries < ASLEEP_TRIES; tries++) {
		r = read_proc(tid, "syscall", text, sizeof(text));
		if (r < 0)
			return r;
		if (strncmp(text, "running", 7) != 0)
			return proc_parse_open(text);
	}
	return -1;
}

bool proc_may_create(pid_t tid)
{
	int flags = open_flags(tid);

	return flags >= 0 && flags & O_CREAT;
}

bool proc_opens_to_read(pid_t tid)
{
	int flags = open_flags(tid);

	return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY &&
	       !(flags & (O_CREAT | O_TRUNC | O_DIRECTORY | O_PATH));
}

bool proc_being_killed(pid_t tid)
{
	char status[STATUS_MAX];
	struct proc_signals s;

	if (read_proc(tid, "status", status, sizeof(status)) < 0)
		return false;
	proc_parse_signals(status, &s);
	return proc_signals_fatal(&s);
}

int proc_tgid(pid_t tid, pid_t *ret)
{
	char status[STATUS_MAX];
	const char *s;
	uint64_t v;
	int r = tid > 0 ? (int)syscall(SYS_pidfd_open, tid, 0) : -1;

	if (r >= 0) { /* refused for all but the first thread of a process */
		(void)close(r);
		*ret = tid;
		return 0;
	}
	r = read_proc(tid, "status", status, sizeof(status));
	if (r < 0)
		return r;
	s = field(status, "Tgid");
	if (!s)
		return -ESRCH;
	r = parse_u64n(s, strspn(s, DIGITS), &v);
	if (r < 0)
		return r;
	*ret = (pid_t)v;
	return 0;
}

/* Fields of /proc/TID/stat after the command, which ends at the last ')': state is number 3. */
static const char *stat_field(const char *stat, unsigned number)
{
	const char *s = strrchr(stat, ')');

	for (unsigned n = 2; s && n < number; n++) {
		s = strchr(s, ' ');
		if (s)
			s++;
	}
	return s;
}

/* Whether the thread is in its exit, and with which wait(2) status. */
static bool exiting(pid_t tid, uint64_t *ret_code)
{
	char stat[STATUS_MAX];
	const char *flags, *code;
	uint64_t f = 0;

	if (read_proc(tid, "stat", stat, sizeof(stat)) < 0)
		return false;
	flags = stat_field(stat, STAT_FLAGS);
	code = stat_field(stat, STAT_EXIT_CODE);
	if (!flags || !code || parse_u64n(flags, strspn(flags, DIGITS), &f) < 0 ||
	    parse_u64n(code, strspn(code, DIGITS), ret_code) < 0)
		return false;
	return f & PF_EXITING;
}

bool proc_was_killed(pid_t tid)
{
	uint64_t code = 0;

	/* a process that leaves by exit() has its status in the second byte */
	return exiting(tid, &code) && (code & 0x7f) != 0;
}

static bool has_children(pid_t tgid)
{
	char path[64], c;
	_cleanup_(closep) int fd = -1;

	/* of the main thread only: what other threads forked is not seen there */
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)tgid, (int)tgid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || read(fd, &c, 1) != 0;
}

static bool single_thread(pid_t tgid)
{
	char status[STATUS_MAX];
	const char *s;

	if (read_proc(tgid, "status", status, sizeof(status)) < 0)
		return false;
	s = field(status, "Threads");
	return s && s[0] == '1' && (s[1] == '\n' || s[1] == '\0');
}

bool proc_may_have_shared(pid_t tgid)
{
	uint64_t code;

	/* a parent that exits may leave its descriptors to a daemon */
	return tgid <= 0 || exiting(tgid, &code) || !single_thread(tgid) || has_children(tgid);
}

/* Of /proc/PID/fdinfo/FD: open for writing, on that inode. */
static bool fd_is_writer(pid_t tgid, const char *fd, uint64_t ino)
{
	char file[sizeof("fdinfo/") + NAME_MAX], info[STATUS_MAX];
	const char *flags, *number;
	uint64_t f, n;

	(void)snprintf(file, sizeof(file), "fdinfo/%s", fd);
	if (read_proc(tgid, file, info, sizeof(info)) < 0)
		return false;
	flags = field(info, "flags");
	number = field(info, "ino");
	if (!flags || !number || parse_u64n(number, strspn(number, DIGITS), &n) < 0 || n != ino)
		return false;
	/* octal; the access mode is its last digit's lower two bits */
	flags += strspn(flags, DIGITS);
	f = (uint64_t)(flags[-1] - '0');
	return (f & O_ACCMODE) != O_RDONLY;
}

enum proc_answer proc_holds_file(pid_t tgid, const char *name, uint64_t ino)
{
	char path[64], target[4096];
	enum proc_answer answer = PROC_NO;
	const struct dirent *e;
	size_t len = strlen(name);
	unsigned seen = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)tgid);
	d = tgid > 0 ? opendir(path) : NULL;
	if (!d)
		return PROC_UNKNOWN;
	while (answer == PROC_NO && seen < FDS_MAX && (e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);
		const char *base;

		if (n < 0)
			continue; /* "." and ".." */
		seen++;
		target[n] = '\0';
		/* the name alone spares the look at most descriptors; " (deleted)" may follow */
		base = strrchr(target, '/');
		if (base && strncmp(base + 1, name, len) == 0 && fd_is_writer(tgid, e->d_name, ino))
			answer = PROC_YES;
	}
	(void)closedir(d);
	return seen > 0 ? answer : PROC_UNKNOWN;
}
