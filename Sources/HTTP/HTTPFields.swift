// SPDX-License-Identifier: Apache-2.0

/// The header fields of a request or an answer, in order; names are compared without regard to case.
public struct HTTPFields: Sendable, ExpressibleByDictionaryLiteral {
    /// Names and values, as sent or received.
    public private(set) var all: [(name: String, value: String)] = []

    /// Makes fields.
    ///
    /// - Parameter elements: Names and values.
    public init(dictionaryLiteral elements: (String, String)...) {
        all = elements.map { (name: $0.0, value: $0.1) }
    }

    /// Makes fields.
    ///
    /// - Parameter fields: Names and values.
    public init(_ fields: some Sequence<(name: String, value: String)>) {
        all = Array(fields)
    }

    /// The first value of a name; setting one replaces all, setting `nil` removes them.
    public subscript(name: String) -> String? {
        get { all.first { HTTPFields.isEqual($0.name, name) }?.value }
        set {
            all.removeAll { HTTPFields.isEqual($0.name, name) }
            if let newValue { all.append((name, newValue)) }
        }
    }

    /// Every value of a name, in order.
    ///
    /// - Parameter name: The name.
    /// - Returns: The values, not split at commas; may be empty.
    public func values(of name: String) -> [String] {
        all.filter { HTTPFields.isEqual($0.name, name) }.map(\.value)
    }

    /// Adds a field beside those of the same name.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - value: The value.
    public mutating func append(_ name: String, _ value: String) {
        all.append((name, value))
    }

    private static func isEqual(_ one: String, _ other: String) -> Bool {
        one.utf8.count == other.utf8.count && one.lowercased() == other.lowercased()
    }
}
