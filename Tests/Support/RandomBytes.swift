// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Bytes that nothing can foresee or squeeze, all made at once: one by one they take a test's time.
///
/// - Parameter count: How many.
/// - Returns: The bytes.
public func randomBytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { bytes, made in
        if let start = bytes.baseAddress { arc4random_buf(start, count) }
        made = count
    }
}
