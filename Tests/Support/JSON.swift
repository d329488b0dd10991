// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// A JSON value as test data holds it; absent members and `null` read alike.
public struct JSON: @unchecked Sendable {
    // SAFETY: what JSONSerialization returns without mutable options is immutable.
    let value: Any?

    /// Reads JSON.
    ///
    /// - Parameter text: One value.
    /// - Throws: Where it is none.
    public init(parsing text: String) throws {
        value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
    }

    /// Reads a file.
    ///
    /// - Parameter url: The file.
    /// - Throws: What Foundation throws for a file that cannot be read, or is not JSON.
    public init(contentsOf url: URL) throws {
        value = try JSONSerialization.jsonObject(with: Data(contentsOf: url), options: [.fragmentsAllowed])
    }

    init(_ value: Any?) {
        self.value = value is NSNull ? nil : value
    }

    /// A member of an object; null where there is none.
    public subscript(_ key: String) -> JSON { JSON((value as? [String: Any])?[key]) }

    /// Whether the value is absent or `null`.
    public var isNull: Bool { value == nil }
    /// The value as a text.
    public var string: String? { value as? String }
    /// The value as a truth value.
    public var bool: Bool? { value as? Bool }
    /// The value as a whole number.
    public var int: Int? { value as? Int }
    /// The value as an array; empty where it is none.
    public var array: [JSON] { (value as? [Any] ?? []).map { JSON($0) } }
    /// The value as an array of texts; `nil` where it is none.
    public var strings: [String]? { value as? [String] }
    /// The names of an object's members, sorted.
    public var keys: [String] { ((value as? [String: Any])?.keys.sorted()) ?? [] }
    /// The value as Foundation holds it; `nil` for `null`.
    public var raw: Any? { value }

    /// The object without a member.
    ///
    /// - Parameter key: The member's name.
    /// - Returns: The rest; the value itself where it is no object.
    public func removing(_ key: String) -> JSON {
        guard var object = value as? [String: Any] else { return self }
        object[key] = nil
        return JSON(object)
    }
}
