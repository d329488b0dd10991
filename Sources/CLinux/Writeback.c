// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "Writeback.h"
#include <fcntl.h>

void clinux_start_writeback(int file, off_t start, off_t count) {
    sync_file_range(file, start, count, SYNC_FILE_RANGE_WRITE);
}
