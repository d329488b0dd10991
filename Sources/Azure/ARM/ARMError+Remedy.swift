// SPDX-License-Identifier: Apache-2.0

extension ARMError {
    /// One sentence with the next command to type; `nil` where none is known.
    public var remedy: String? { nil }
}
