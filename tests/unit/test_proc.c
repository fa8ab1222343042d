/* SPDX-License-Identifier: Apache-2.0 */

/* What /proc says of a caller: fatal signals, processes, other descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"
#include "fuse/proc.h"
#include "lib/test.h"

#define BIT(sig) (UINT64_C(1) << ((sig)-1))

static void only_signals_that_end_the_process_are_fatal(void)
{
	static const struct {
		struct proc_signals s;
		bool fatal;
	} cases[] = {
		{{0}, false},
		{{.pending = BIT(SIGKILL)}, true},
		{{.pending = BIT(SIGKILL), .blocked = UINT64_MAX}, true},
		{{.pending = BIT(SIGALRM)}, true},
		{{.pending = BIT(SIGALRM), .caught = BIT(SIGALRM)}, false},
		{{.pending = BIT(SIGALRM), .ignored = BIT(SIGALRM)}, false},
		{{.pending = BIT(SIGALRM), .blocked = BIT(SIGALRM)}, false},
		{{.pending = BIT(SIGCHLD) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGCONT)}, false},
		{{.pending = BIT(SIGSTOP) | BIT(SIGTSTP)}, false},
		{{.pending = BIT(SIGQUIT) | BIT(SIGURG)}, true},
		{{.pending = BIT(SIGINT) | BIT(SIGUSR1), .caught = BIT(SIGINT)}, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (proc_signals_fatal(&cases[i].s) != cases[i].fatal)
			test_fail_("case %zu is not %d", i, cases[i].fatal);
	}
}

static void masks_are_read_by_name(void)
{
	struct proc_signals s;

	proc_parse_signals("Name:\tSigPnd:\nThreads:\t1\nSigQ:\t0/7\n"
			   "SigPnd:\t0000000000000100\nShdPnd:\t00000000000000a0\n"
			   "SigBlk:\t0000000000000001\nSigIgn:\t0000000000000002\n"
			   "SigCgt:\tf000000000000004\n",
			   &s);
	check_int(s.pending, ==, 0x1a0);
	check_int(s.blocked, ==, 1);
	check_int(s.ignored, ==, 2);
	check(s.caught == UINT64_C(0xf000000000000004));
	proc_parse_signals("", &s);
	check_int(s.pending, ==, 0);
}

static void own_process_is_known(void)
{
	pid_t tgid = 0;

	check_int(proc_tgid(getpid(), &tgid), ==, 0);
	check_int(tgid, ==, getpid());
	check(!proc_being_killed(getpid()));
	check(!proc_was_killed(getpid()));
	check_int(proc_tgid(0, &tgid), <, 0);
	check(!proc_being_killed(0));
}

static void a_pending_signal_is_seen(void)
{
	sigset_t set, old;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, &old);
	(void)raise(SIGUSR1);
	check(!proc_being_killed(getpid())); /* blocked: it does not end the process */
	(void)signal(SIGUSR1, SIG_IGN);	     /* drops the pending one */
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	(void)signal(SIGUSR1, SIG_DFL);
}

static void a_dup_for_writing_is_found(void)
{
	char path[] = "/tmp/test_proc.XXXXXX";
	const char *name = path + sizeof("/tmp/") - 1;
	int fd = mkstemp(path), copy, reader;
	struct stat st;

	require(fd >= 0 && fstat(fd, &st) == 0);
	copy = dup(fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	(void)close(fd);
	check_int(proc_holds_file(getpid(), name, st.st_ino), ==, PROC_YES);
	check_int(proc_holds_file(getpid(), name, st.st_ino + 1), ==, PROC_NO);
	check_int(proc_holds_file(getpid(), "another", st.st_ino), ==, PROC_NO);
	(void)close(copy);
	check_int(proc_holds_file(getpid(), name, st.st_ino), ==, PROC_NO);
	check_int(proc_holds_file(0, name, st.st_ino), ==, PROC_UNKNOWN);
	(void)close(reader);
	(void)unlink(path);
}

static void children_may_share(void)
{
	int ends[2];
	char c;
	pid_t pid;

	require(pipe(ends) == 0);
	check(!proc_may_have_shared(getpid()));
	pid = fork();
	if (pid == 0) {
		(void)close(ends[1]);
		_exit(read(ends[0], &c, 1) < 0);
	}
	(void)close(ends[0]);
	check(proc_may_have_shared(getpid()));
	(void)close(ends[1]);
	(void)waitpid(pid, NULL, 0);
	check(!proc_may_have_shared(getpid()));
}

static void what_a_call_opens_a_file_for(void)
{
	static const struct {
		const char *text;
		int flags;
	} rows[] = {
#ifdef __x86_64__
		{"2 0x7ffc1 0x241 0x1b6 0x0 0x0 0x0 0x7ffc0 0x7f0\n", O_WRONLY | O_CREAT | O_TRUNC},
		{"2 0x7ffc1 0x80000 0x0 0x0 0x0 0x0 0x7ffc0 0x7f0\n", O_RDONLY | O_CLOEXEC},
		{"85 0x7ffc1 0x1a4 0x0 0x0 0x0 0x0 0x7ffc0 0x7f0\n",
		 O_WRONLY | O_CREAT},					     /* creat */
		{"4 0x7ffc1 0x7ffc40 0x40 0x0 0x0 0x0 0x7ffc0 0x7f0\n", -1}, /* stat */
#endif
		{"running\n", -1},
		{"-1 0x7ffc0 0x7f0\n", -1},
		{"", -1},
	};
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_int(proc_parse_open(rows[i].text), ==, rows[i].flags);
	(void)snprintf(text, sizeof(text), "%d 0xffffff9c 0x7ffc1 0x%x 0x1b6 0x0 0x0 0x0 0x0\n",
		       (int)SYS_openat, O_WRONLY | O_CREAT | O_CLOEXEC);
	check_int(proc_parse_open(text), ==, O_WRONLY | O_CREAT | O_CLOEXEC);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(only_signals_that_end_the_process_are_fatal),
		TEST(masks_are_read_by_name),
		TEST(own_process_is_known),
		TEST(a_pending_signal_is_seen),
		TEST(a_dup_for_writing_is_found),
		TEST(children_may_share),
		TEST(what_a_call_opens_a_file_for),
		{0},
	});
}
