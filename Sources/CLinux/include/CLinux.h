// SPDX-License-Identifier: Apache-2.0
// What the toolchain's C library module leaves out: attributes of files, device numbers, namespaces and mounts.
#ifndef CLINUX_H
#define CLINUX_H
#include "CLinuxLaunch.h"
#include "CLinuxNetwork.h"
#include "CopyRange.h"
#include "Folder.h"
#include "CLinuxUserNamespace.h"
#include "Writeback.h"
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#endif
