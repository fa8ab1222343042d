/* SPDX-License-Identifier: Apache-2.0 */

/* What loop.c and net.c know of each other. */
#ifndef LOOP_NET_PRIV_H
#define LOOP_NET_PRIV_H

#include "loop/loop.h"

struct net;

int net_new(struct loop *l, const struct net_config *config, struct net **ret) must_check;
/* On the loop: ends every call with -ECANCELED and closes all connections. */
void net_stop(struct net *n);
/* After net_stop, or when the loop never ran. */
void net_free(struct net *n);

struct net *loop_net(const struct loop *l);
/* The loop is ending: nothing new may be started. */
bool loop_ending(const struct loop *l);

#endif
