// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// The kinds of steps, by names that read well.
extension clinux_kind {
    static let `private` = CLINUX_PRIVATE
    static let clone = CLINUX_CLONE
    static let new = CLINUX_NEW
    static let overlay = CLINUX_OVERLAY
    static let stage = CLINUX_STAGE
    static let stagedFile = CLINUX_STAGED_FILE
    static let root = CLINUX_ROOT
    static let attach = CLINUX_ATTACH
    static let mount = CLINUX_MOUNT
    static let link = CLINUX_LINK
    static let folder = CLINUX_FOLDER
    static let workdir = CLINUX_WORKDIR
    static let mask = CLINUX_MASK
    static let readOnly = CLINUX_READ_ONLY
    static let rootReadOnly = CLINUX_ROOT_READ_ONLY
    static let hostname = CLINUX_HOSTNAME
    static let loopback = CLINUX_LOOPBACK
    static let chroot = CLINUX_CHROOT
}
