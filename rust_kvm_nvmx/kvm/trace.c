// SPDX-License-Identifier: GPL-2.0
/* The tracepoints of nvmx_trace.h, with functions for Rust to call. */
#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "nvmx_trace.h"
