/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's tracepoints, and what the kernel says of them in tracefs.
 */
#ifndef TRACING_H
#define TRACING_H

#define TRACING	"/sys/kernel/tracing/"
#define EVENTS	TRACING "events/rust_kvm_nvmx/"

/* Turn all tracepoints on, with an empty trace. */
void tracing_start(void);

/* Write @text at the end of the file @path: in tracefs that adds it. */
void tracing_add(const char *path, const char *text);

/* The trace must have @nr @lines in this order, others between them. */
void tracing_expect_lines(const char *const *lines, int nr);

/* A line of the file @path must have @text in it. */
void tracing_expect_text(const char *path, const char *text);

#endif
