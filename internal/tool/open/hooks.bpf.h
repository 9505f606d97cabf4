/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The other ways to see an open than by raw tracepoints. */
#ifndef SONDE_OPEN_HOOKS_BPF_H
#define SONDE_OPEN_HOOKS_BPF_H

#endif
