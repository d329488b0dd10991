// SPDX-License-Identifier: Apache-2.0
// Listing folders without the C library's buffers.
#ifndef CLINUX_FOLDER_H
#define CLINUX_FOLDER_H
#include <sys/types.h>
/// `getdents64`: records of an open folder, as many as there is room for; 0 at its end.
ssize_t clinux_list_folder(int folder, void *buffer, size_t size);
#endif
