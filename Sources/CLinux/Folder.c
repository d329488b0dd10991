// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "Folder.h"
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

ssize_t clinux_list_folder(int folder, void *buffer, size_t size) { return syscall(SYS_getdents64, folder, buffer, size); }

int clinux_has_folder_times(const char *folder) {
    struct statfs status;
    if (statfs(folder, &status) != 0) return 0;
    // Not overlayfs: a folder may have another inode when it is mounted again, and another folder that one.
    switch ((unsigned int)status.f_type) {
        case 0xEF53:      // ext2 to ext4
        case 0x58465342:  // XFS
        case 0x9123683E:  // Btrfs
        case 0x01021994:  // tmpfs
        case 0xF2F52010:  // F2FS
        case 0x2FC12FC1:  // ZFS
        case 0xCA451A4E:  // bcachefs
            return 1;
        default: return 0;
    }
}
