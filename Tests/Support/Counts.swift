// SPDX-License-Identifier: Apache-2.0

/// Counts the cases of a suite, and keeps what went wrong with each.
public struct Counts {
    private let name: String
    private var passed = 0
    private var skipped = 0
    /// The cases that failed, each with its reason.
    public private(set) var failed: [String] = []

    /// Starts counting.
    ///
    /// - Parameter name: What is counted, for the report.
    public init(_ name: String) {
        self.name = name
    }

    /// Runs one case.
    ///
    /// - Parameters:
    ///   - label: Names the case.
    ///   - fault: Says what is wrong; `nil` where nothing is.
    public mutating func check(_ label: String, fault: () throws -> String?) {
        do {
            if let reason = try fault() { failed.append("\(label): \(reason)") } else { passed += 1 }
        } catch {
            failed.append("\(label): threw \(error)")
        }
    }

    /// Counts a case that was not run.
    public mutating func skip() {
        skipped += 1
    }

    /// Prints a line for each failure, and one that counts: passed, failed, skipped.
    public func report() {
        for failure in failed { print("CASE FAILED \(failure)") }
        print("Conformance \(name): \(passed) passed, \(failed.count) failed, \(skipped) skipped")
    }
}
