// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "Folder.h"
#include <sys/syscall.h>
#include <unistd.h>

ssize_t clinux_list_folder(int folder, void *buffer, size_t size) { return syscall(SYS_getdents64, folder, buffer, size); }
