// SPDX-License-Identifier: Apache-2.0
// Reading many folders on several threads.
#ifndef CLINUX_FOLDER_H
#define CLINUX_FOLDER_H
#include <sys/types.h>
/// `getdents64`: records of an open folder, as many as there is room for; 0 at its end.
ssize_t clinux_list_folder(int folder, void *buffer, size_t size);
/// Lets heaps grow by at least so many bytes at once; those of threads grow page by page else, each time with a system call.
void clinux_set_heap_growth(int bytes);
#endif
