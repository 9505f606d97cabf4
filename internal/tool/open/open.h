/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The records of sonde open: struct file_event as it is in bpf/file.h. */
#ifndef SONDE_OPEN_H
#define SONDE_OPEN_H

#include "file.h"

#define RECORD_OPEN 1 /* struct file_event and what follows it */

#endif
