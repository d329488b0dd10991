// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

/// What we make of thousands of inputs, compared with what BuildKit was recorded to make of them.
@Suite("Conformance", .enabled(if: ConformanceData.isAvailable, ConformanceData.skipReason))
enum Conformance {
    /// A case in which we differ from the record, and why that is right.
    struct Exception {
        /// What the case's input is.
        let input: String
        let reason: String
    }

    /// Every exception there is.
    static let exceptions = [
        Exception(
            input: "ARG bar baz=123",
            reason: "recorded with the comments of a file of which the case holds this line alone"
        )
    ]

    /// Whether the table lists a case.
    static func isExcepted(_ input: String) -> Bool {
        exceptions.contains { input == $0.input }
    }
}
