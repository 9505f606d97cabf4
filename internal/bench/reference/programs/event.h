/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* One open, as it travels through the ring buffer. */
#ifndef EVENT_H
#define EVENT_H

struct event {
	char comm[16];
	char path[256];
};

#endif
