// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Moments as objects have them: RFC 3339 in UTC.
enum KubeTime {
    /// Seconds since 1970, parts of seconds left out; `nil` where it is no moment.
    static func seconds(_ text: String) -> Int64? {
        let numbers = text.split { !$0.isNumber }.compactMap { Int32($0) }
        guard numbers.count >= 6 else { return nil }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (numbers[0] - 1900, numbers[1] - 1, numbers[2])
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (numbers[3], numbers[4], numbers[5])
        return Int64(timegm(&parts))
    }
}
