// SPDX-License-Identifier: Apache-2.0
// Bytes on their way to the disk.
#ifndef CLINUX_WRITEBACK_H
#define CLINUX_WRITEBACK_H
#include <sys/types.h>
/// Has the kernel write a part of a file to the disk, and does not wait for it; where it cannot, as into a pipe, nothing
/// happens.
void clinux_start_writeback(int file, off_t start, off_t count);
#endif
