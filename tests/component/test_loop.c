/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tasks, timers and the life of a loop. Runs once per backend (MOUNT_S3_LOOP);
 * operations are in test_loop_ops.c.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "lib/on_loop.h"
#include "lib/test.h"
#include "loop/loop.h"

/* --- tasks --------------------------------------------------------------------- */

#define POSTERS	   4
#define PER_POSTER 20000

struct numbered {
	struct loop_task task;
	unsigned poster, number;
};

static struct numbered numbered[POSTERS][PER_POSTER];
static unsigned next_number[POSTERS];
static unsigned out_of_order, tasks_run;
static struct gate all_run;
static struct loop *shared;

static void run_numbered(struct loop_task *t)
{
	const struct numbered *n = list_entry(t, struct numbered, task);

	out_of_order += n->number != next_number[n->poster]++;
	if (++tasks_run == POSTERS * PER_POSTER)
		gate_open(&all_run);
}

static void *poster(void *arg)
{
	struct numbered *mine = arg;

	for (unsigned i = 0; i < PER_POSTER; i++)
		loop_post(shared, &mine[i].task);
	return NULL;
}

static void tasks_keep_the_order_of_each_poster(void)
{
	pthread_t threads[POSTERS];

	gate_init(&all_run);
	shared = start_loop(NULL);
	for (unsigned p = 0; p < POSTERS; p++) {
		for (unsigned i = 0; i < PER_POSTER; i++)
			numbered[p][i] = (struct numbered){
				.task.run = run_numbered, .poster = p, .number = i};
		require(pthread_create(&threads[p], NULL, poster, numbered[p]) == 0);
	}
	for (unsigned p = 0; p < POSTERS; p++)
		(void)pthread_join(threads[p], NULL);
	check(gate_wait(&all_run));
	end_loop(shared);
	check_int(out_of_order, ==, 0);
	check_int(tasks_run, ==, POSTERS * PER_POSTER);
}

/* Two loops hand one task to and fro: a lost wake would stop them. */
#define ROUNDS 20000

static struct loop *pair[2];
static unsigned rounds;

static void run_pingpong(struct loop_task *t)
{
	unsigned i = loop_index(loop_current());

	if (++rounds == ROUNDS)
		gate_open(&all_run);
	else
		loop_post(pair[!i], t);
}

static void no_wake_is_lost(void)
{
	struct loop_task t = {.run = run_pingpong};

	gate_init(&all_run);
	for (unsigned i = 0; i < 2; i++) {
		require(loop_new(&(struct loop_config){.index = i}, &pair[i]) == 0);
		require(loop_start(pair[i]) == 0);
	}
	loop_post(pair[0], &t);
	check(gate_wait(&all_run));
	end_loop(pair[0]);
	end_loop(pair[1]);
}

static void run_and_free(struct loop_task *t)
{
	free(t);
	gate_open(&all_run);
}

static unsigned again_left;

static void run_again(struct loop_task *t)
{
	if (again_left-- > 1)
		loop_post(loop_current(), t);
	else
		run_and_free(t);
}

static void a_task_may_free_or_post_itself(void)
{
	struct loop *l = start_loop(NULL);
	struct loop_task *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));

	gate_init(&all_run);
	a->run = run_and_free;
	b->run = run_again;
	again_left = 1000;
	loop_post(l, a);
	loop_post(l, b);
	check(gate_wait(&all_run));
	check(gate_wait(&all_run));
	end_loop(l);
	check_int(again_left, ==, 0);
}

static struct loop_task taken_back;
static void (*post_taken_back)(struct loop *l, struct loop_task *t);
static bool first_unpost, second_unpost;

static void run_taken_back(struct loop_task *t)
{
	test_fail_("a task ran that was taken back");
}

static void post_and_take_back(void *arg)
{
	post_taken_back(loop_current(), &taken_back);
	first_unpost = loop_unpost(loop_current(), &taken_back);
	second_unpost = loop_unpost(loop_current(), &taken_back);
}

static void check_taken_back(void (*post)(struct loop *l, struct loop_task *t))
{
	struct loop *l = start_loop(NULL);

	post_taken_back = post;
	taken_back.run = run_taken_back;
	require(on_loop(l, post_and_take_back, NULL));
	check(first_unpost);
	check(!second_unpost);
	end_loop(l);
}

static void a_posted_task_can_be_taken_back(void)
{
	check_taken_back(loop_post);
}

static void a_piece_can_be_taken_back(void)
{
	check_taken_back(loop_post_piece);
}

/* Eight pieces beside a task that runs in each turn. */
#define PIECES 8

static struct numbered pieces[PIECES];
static struct loop_task each_turn;
static unsigned turns, turn_of[PIECES], pieces_run;

static void run_each_turn(struct loop_task *t)
{
	turns++;
	if (pieces_run < PIECES)
		loop_post(loop_current(), t);
	else
		gate_open(&all_run);
}

static void run_piece(struct loop_task *t)
{
	const struct numbered *p = list_entry(t, struct numbered, task);

	check_int(p->number, ==, pieces_run);
	turn_of[pieces_run++] = turns;
}

static void post_pieces(void *arg)
{
	each_turn.run = run_each_turn;
	for (unsigned i = 0; i < PIECES; i++) {
		pieces[i] = (struct numbered){.task.run = run_piece, .number = i};
		loop_post_piece(loop_current(), &pieces[i].task);
	}
	loop_post(loop_current(), &each_turn);
}

static void one_piece_runs_in_a_turn(void)
{
	struct loop *l = start_loop(NULL);

	gate_init(&all_run);
	require(on_loop(l, post_pieces, NULL));
	check(gate_wait(&all_run));
	end_loop(l);
	for (unsigned i = 1; i < PIECES; i++)
		check_int(turn_of[i], ==, turn_of[i - 1] + 1);
}

static atomic_uint late_tasks;

static void run_late(struct loop_task *t)
{
	atomic_fetch_add(&late_tasks, 1);
}

static void stop_runs_what_was_posted(void)
{
	static struct loop_task late[5000];
	struct loop *l = start_loop(NULL);

	for (unsigned i = 0; i < ARRAY_SIZE(late); i++) {
		late[i].run = run_late;
		loop_post(l, &late[i]);
	}
	end_loop(l);
	check_int(atomic_load(&late_tasks), ==, ARRAY_SIZE(late));
}

static struct loop_task late_piece[600];

static void post_late_pieces(void *arg)
{
	for (unsigned i = 0; i < ARRAY_SIZE(late_piece); i++) {
		late_piece[i].run = run_late;
		loop_post_piece(loop_current(), &late_piece[i]);
	}
}

static void stop_runs_the_pieces(void)
{
	struct loop *l = start_loop(NULL);

	atomic_store(&late_tasks, 0);
	require(on_loop(l, post_late_pieces, NULL));
	end_loop(l);
	check_int(atomic_load(&late_tasks), ==, ARRAY_SIZE(late_piece));
}

/* --- timers -------------------------------------------------------------------- */

#define TIMERS 700

static struct timed {
	struct loop_timer timer;
	unsigned fired;
	bool cancelled;
} timed[TIMERS];
static uint64_t last_deadline;
static unsigned early, unordered, to_fire;

static void fire_timed(struct loop_timer *t)
{
	struct timed *x = list_entry(t, struct timed, timer);

	x->fired++;
	early += clock_now() < t->deadline;
	unordered += t->deadline < last_deadline;
	last_deadline = t->deadline;
	if (--to_fire == 0)
		gate_open(&all_run);
}

static void arm_all(void *arg)
{
	struct loop *l = loop_current();
	uint64_t base = clock_now() + 5 * NSEC_PER_MSEC, span = 40 * NSEC_PER_MSEC;

	for (unsigned i = 0; i < TIMERS; i++) {
		timed[i] = (struct timed){.timer.fire = fire_timed};
		check_int(loop_timer_set(l, &timed[i].timer, base + backoff_random() % span), ==,
			  0);
	}
	for (unsigned i = 0; i < TIMERS; i += 3)
		check_int(loop_timer_set(l, &timed[i].timer, base + backoff_random() % span), ==,
			  0);
	to_fire = TIMERS;
	for (unsigned i = 1; i < TIMERS; i += 3) {
		loop_timer_cancel(l, &timed[i].timer);
		loop_timer_cancel(l, &timed[i].timer);
		timed[i].cancelled = true;
		to_fire--;
	}
}

static void timers_fire_in_order_and_not_early(void)
{
	struct loop *l = start_loop(NULL);

	gate_init(&all_run);
	require(on_loop(l, arm_all, NULL));
	check(gate_wait(&all_run));
	end_loop(l);
	check_int(early, ==, 0);
	check_int(unordered, ==, 0);
	for (unsigned i = 0; i < TIMERS; i++)
		check_int(timed[i].fired, ==, !timed[i].cancelled);
}

static struct loop_timer busy_timer, distant;
static bool busy_over, stopping;
static unsigned early_ends; /* of the distant timer, when the loop stops */

static void fire_busy(struct loop_timer *t)
{
	if (!busy_over)
		check_int(loop_timer_set(loop_current(), t, 0), ==, 0);
}

static void fire_at_stop(struct loop_timer *t)
{
	if (!stopping)
		test_fail_("a timer fired that is not due");
	early_ends++;
}

static void arm_busy(void *arg)
{
	busy_timer.fire = fire_busy;
	distant.fire = fire_at_stop;
	check_int(loop_timer_set(loop_current(), &busy_timer, 0), ==, 0);
	check_int(loop_timer_set(loop_current(), &distant, clock_now() + 3600 * NSEC_PER_SEC), ==,
		  0);
}

static void end_busy(void *arg)
{
	busy_over = true;
}

static void a_timer_that_is_always_due_starves_nobody(void)
{
	struct loop *l = start_loop(NULL);

	require(on_loop(l, arm_busy, NULL));
	for (unsigned i = 0; i < 100; i++)
		check(on_loop(l, end_busy, NULL));
	stopping = true; /* the loop's thread sees it: stopping it takes a lock */
	end_loop(l);
	check_int(early_ends, ==, 1);
}

static struct loop_timer retrying, for_ever;
static unsigned retries, rearms;

static void fire_retrying(struct loop_timer *t)
{
	if (++retries < 4)
		check_int(loop_timer_set(loop_current(), t, clock_now() + 3600 * NSEC_PER_SEC), ==,
			  0);
}

/* Always due before the other one. */
static void fire_for_ever(struct loop_timer *t)
{
	rearms++;
	check_int(loop_timer_set(loop_current(), t, clock_now() + 1800 * NSEC_PER_SEC), ==, 0);
}

static void arm_for_the_end(void *arg)
{
	retrying.fire = fire_retrying;
	for_ever.fire = fire_for_ever;
	check_int(loop_timer_set(loop_current(), &retrying, clock_now() + 3600 * NSEC_PER_SEC), ==,
		  0);
	check_int(loop_timer_set(loop_current(), &for_ever, clock_now() + 1800 * NSEC_PER_SEC), ==,
		  0);
}

static void stop_fires_timers_but_not_for_ever(void)
{
	struct loop *l = start_loop(NULL);
	uint64_t before;

	require(on_loop(l, arm_for_the_end, NULL));
	before = clock_now();
	end_loop(l);
	check_int(clock_now() - before, <, 3 * NSEC_PER_SEC);
	check_int(retries, ==, 4);
	check_int(rearms, >=, 4);
	check_int(rearms, <, 100);
}

/* --- the thread ---------------------------------------------------------------- */

static char thread_name[32];
static unsigned blocked_signals;
static struct loop *seen_current;

static void look_around(void *arg)
{
	sigset_t set;

	seen_current = loop_current();
	(void)pthread_getname_np(pthread_self(), thread_name, sizeof(thread_name));
	(void)pthread_sigmask(SIG_SETMASK, NULL, &set);
	blocked_signals = (unsigned)(sigismember(&set, SIGTERM) + sigismember(&set, SIGPIPE) +
				     sigismember(&set, SIGUSR1));
}

static void the_thread_has_a_name_and_no_signals(void)
{
	struct loop *l = start_loop(NULL);

	check(loop_current() == NULL);
	check_int(loop_index(l), ==, 7);
	require(on_loop(l, look_around, NULL));
	check(seen_current == l);
	check_str(thread_name, "loop/7");
	check_int(blocked_signals, ==, 3);
	end_loop(l);
}

static void the_backend_is_the_one_asked_for(void)
{
	const char *env = getenv("MOUNT_S3_LOOP");
	struct loop *l;

	require(loop_new(&(struct loop_config){.index = 0}, &l) == 0);
	if (env)
		check_int(loop_backend(l), ==, strcmp(env, "epoll") == 0 ? LOOP_EPOLL : LOOP_URING);
	loop_free(l);
	require(loop_new(&(struct loop_config){.backend = LOOP_EPOLL}, &l) == 0);
	check_int(loop_backend(l), ==, LOOP_EPOLL);
	loop_free(l);
	loop_free(NULL);
}

/* As in a container whose seccomp profile forbids io_uring. */
static bool forbid_io_uring(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* In a process of its own: which backends are to be had. 0 when as it should be. */
static int choose_without_ring(int error)
{
	struct loop *l;
	int r;

	if (!forbid_io_uring(error) || unsetenv("MOUNT_S3_LOOP") < 0)
		return 1;
	r = loop_new(&(struct loop_config){.backend = LOOP_URING}, &l);
	if (r != -error)
		return 2;
	if (loop_new(&(struct loop_config){.backend = LOOP_AUTO}, &l) < 0)
		return 3;
	if (loop_backend(l) != LOOP_EPOLL)
		return 4;
	loop_free(l);
	return 0;
}

static void without_io_uring_epoll_is_taken(void)
{
	const int errors[] = {ENOSYS, EPERM};

	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		pid_t pid = fork();
		int status = -1;

		if (pid == 0)
			_exit(choose_without_ring(errors[i]));
		check(waitpid(pid, &status, 0) == pid);
		check_int(status, ==, 0);
	}
}

int main(void)
{
	if (no_backend()) {
		printf("1..0 # SKIP this kernel does not give a ring\n");
		return 0;
	}
	return test_run((struct test[]){
		TEST(tasks_keep_the_order_of_each_poster),
		TEST(no_wake_is_lost),
		TEST(a_task_may_free_or_post_itself),
		TEST(a_posted_task_can_be_taken_back),
		TEST(one_piece_runs_in_a_turn),
		TEST(a_piece_can_be_taken_back),
		TEST(stop_runs_what_was_posted),
		TEST(stop_runs_the_pieces),
		TEST(timers_fire_in_order_and_not_early),
		TEST(a_timer_that_is_always_due_starves_nobody),
		TEST(stop_fires_timers_but_not_for_ever),
		TEST(the_thread_has_a_name_and_no_signals),
		TEST(the_backend_is_the_one_asked_for),
		TEST(without_io_uring_epoll_is_taken),
		{0},
	});
}
