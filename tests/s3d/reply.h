/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Running the operation of a request and sending its answer, with the faults
 * that apply to answers.
 */

#ifndef S3D_REPLY_H
#define S3D_REPLY_H

#include <microhttpd.h>
#include <stdint.h>

struct req;

/* The operation, unless there is an error already. */
void reply_run(struct req *r);
/* Hand the answer over; MHD_NO closes the connection. */
enum MHD_Result reply_send(struct req *r);
/* The error that a `status` fault asks for. */
void reply_fault_status(struct req *r);
/* Count and log; a second call corrects the first. */
void reply_note(struct req *r, unsigned status, uint64_t bytes);
/* The transfer ended early. */
void reply_cut(struct req *r);

#endif
