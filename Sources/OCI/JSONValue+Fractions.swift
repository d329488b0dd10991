// SPDX-License-Identifier: Apache-2.0

extension JSONValue: ExpressibleByFloatLiteral {
    /// Creates a number.
    ///
    /// - Parameter value: The number; a whole one is an ``int(_:)``.
    public init(_ value: Double) { self = Int64(exactly: value).map { .int($0) } ?? .decimal(value) }

    /// Creates a number.
    ///
    /// - Parameter value: The number; a whole one is an ``int(_:)``.
    public init(floatLiteral value: Double) { self = JSONValue(value) }
}
