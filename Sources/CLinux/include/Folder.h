// SPDX-License-Identifier: Apache-2.0
// Listing folders without the C library's buffers, and whether that can be spared.
#ifndef CLINUX_FOLDER_H
#define CLINUX_FOLDER_H
#include <sys/types.h>
/// `getdents64`: records of an open folder, as many as there is room for; 0 at its end.
ssize_t clinux_list_folder(int folder, void *buffer, size_t size);
/// Whether every change in a folder changes the folder's times at once, by the kind of its file system; not so where
/// others than this kernel change files, or where nothing is known.
int clinux_has_folder_times(const char *folder);
#endif
