// SPDX-License-Identifier: Apache-2.0

/// Who may use a registry, and how they say who they are.
public struct RegistryAccess: Sendable {
    enum Kind: Sendable {
        case anonymous
    }

    let kind: Kind
    /// Whether those who say nothing may pull.
    var anonymousMayPull = false

    /// Everybody may do everything.
    public static let anonymous = RegistryAccess(kind: .anonymous)
}
