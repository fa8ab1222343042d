/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "loop/net_priv.h"

int net_new(struct loop *l, const struct net_config *config, struct net **ret)
{
	*ret = NULL;
	return 0;
}

void net_stop(struct net *n)
{
}

void net_free(struct net *n)
{
}

int net_start(struct loop *l, struct net_call *c)
{
	return -ENOSYS;
}

void net_cancel(struct net_call *c)
{
}
