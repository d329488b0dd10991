// SPDX-License-Identifier: Apache-2.0
// Copying inside the kernel.
#ifndef CLINUX_COPY_RANGE_H
#define CLINUX_COPY_RANGE_H
#include <sys/types.h>
/// `copy_file_range` from and to where the files stand.
ssize_t clinux_copy_range(int from, int to, size_t count);
#endif
