/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The GET engine's state: one struct s3_gets per client, in it one engine per
 * loop, made when the loop first asks. An engine is touched by its loop only,
 * until the loop has ended; the TLS settings are shared by all.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/list.h"
#include "s3/client.h"
#include "s3/get.h"
#include "s3/tls.h"

#define ENGINES_MAX 64 /* loops of one client */

struct s3_gets {
	struct get_limits limits; /* set before the first engine is made */
	_Atomic(SSL_CTX *) tls;
	/* each slot is its loop's; the index is the loop's */
	struct get_loop *engine[ENGINES_MAX];
};

static int engine_tls(void *user, SSL_CTX **ret, const char **why)
{
	struct get_loop *g = user;
	struct s3_gets *gets = atomic_load(&g->client->gets);
	SSL_CTX *ctx = atomic_load(&gets->tls), *made = NULL;

	if (!ctx) {
		int r = tls_context_new(g->client->ca_bundle, &made);
		if (r < 0) {
			*why = "TLS settings or CA bundle cannot be used";
			return r == -ENOMEM ? r : -EKEYREJECTED;
		}
		conn_pool_remember_tickets(made);
		if (atomic_compare_exchange_strong(&gets->tls, &ctx, made))
			ctx = made;
		else
			SSL_CTX_free(made);
	}
	*ret = ctx;
	return 0;
}

/* Only those that run now: what their callbacks start ends by itself. */
static void engine_stopping(void *user)
{
	struct get_loop *g = user;
	struct list batch, *n;

	list_init(&batch);
	list_splice(&batch, &g->ops);
	while ((n = list_pop(&batch)) != NULL) {
		struct get_op *op = list_entry(n, struct get_op, node);

		list_append(&g->ops, &op->node);
		if (op->call && !op->posted)
			get_op_finish(op, -ECANCELED, "");
	}
}

static void engine_free(struct get_loop *g)
{
	struct list *n;

	if (!g)
		return;
	while ((n = list_pop(&g->idle)) != NULL)
		get_op_free(list_entry(n, struct get_op, node));
	conn_pool_free(g->pool);
	free(g);
}

static int engine_new(struct s3_client *c, struct loop *l, const struct get_limits *limits,
		      struct get_loop **ret)
{
	struct get_loop *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->client = c;
	g->loop = l;
	g->limits = *limits;
	get_hedge_init(&g->hedge);
	list_init(&g->ops);
	list_init(&g->idle);
	const struct conn_pool_config config = {.loop = l,
						.limits = *limits,
						.tls = engine_tls,
						.user = g,
						.stopping = engine_stopping};
	int r = conn_pool_new(&config, &g->pool);
	if (r < 0) {
		free(g);
		return r;
	}
	*ret = g;
	return 0;
}

static int gets_of(struct s3_client *c, struct s3_gets **ret)
{
	struct s3_gets *gets = atomic_load(&c->gets), *made;

	if (!gets) {
		made = calloc(1, sizeof(*made));
		if (!made)
			return -ENOMEM;
		made->limits = (struct get_limits)GET_LIMITS_DEFAULT;
		if (c->get_connections)
			made->limits.connections = c->get_connections;
		if (atomic_compare_exchange_strong(&c->gets, &gets, made))
			gets = made;
		else
			free(made);
	}
	*ret = gets;
	return 0;
}

int s3_gets_limit(struct s3_client *c, const struct get_limits *limits)
{
	struct s3_gets *gets;
	int r = gets_of(c, &gets);

	if (r == 0)
		gets->limits = *limits;
	return r;
}

/* The engine of this loop; one that is left from a loop that has ended is replaced. */
int get_loop_of(struct s3_client *c, struct loop *l, struct get_loop **ret)
{
	unsigned index = loop_index(l);
	struct s3_gets *gets;
	int r = gets_of(c, &gets);

	if (r < 0)
		return r;
	assert(index < ENGINES_MAX);
	struct get_loop *g = gets->engine[index];
	if (g && conn_pool_is_stopping(g->pool) && conn_pool_is_empty(g->pool) &&
	    list_empty(&g->ops)) {
		engine_free(g);
		g = gets->engine[index] = NULL;
	}
	if (!g) {
		r = engine_new(c, l, &gets->limits, &g);
		if (r < 0)
			return r;
		gets->engine[index] = g;
	}
	*ret = g;
	return 0;
}

void s3_gets_free(struct s3_gets *gets)
{
	if (!gets)
		return;
	for (unsigned i = 0; i < ENGINES_MAX; i++) {
		assert(!gets->engine[i] || conn_pool_is_stopping(gets->engine[i]->pool));
		engine_free(gets->engine[i]);
	}
	SSL_CTX_free(atomic_load(&gets->tls));
	free(gets);
}
