// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "Folder.h"
#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t clinux_list_folder(int folder, void *buffer, size_t size) { return syscall(SYS_getdents64, folder, buffer, size); }

void clinux_set_heap_growth(int bytes) {
#ifdef M_TOP_PAD
    mallopt(M_TOP_PAD, bytes);
#endif
}
