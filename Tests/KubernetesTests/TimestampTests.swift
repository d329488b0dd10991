// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Kubernetes

@Suite("Times of Kubernetes")
struct TimestampTests {
    @Test(
        "Times are read in every form that RFC 3339 has, and nothing else is",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-11-21T16:40:03Z", 1_795_279_203),
            ("2026-11-21T16:40:03.123456Z", 1_795_279_203), ("2026-11-21T18:40:03+02:00", 1_795_279_203),
            ("2024-02-29T12:00:00-01:30", 1_709_213_400), ("2026-11-21", nil), ("2026-13-21T16:40:03Z", nil),
            ("2026-11-21T16:40:03", nil), ("", nil), ("not a time of any kind", nil),
        ] as [(String, Int64?)]
    )
    func seconds(text: String, expected: Int64?) {
        #expect(Timestamp.seconds(text) == expected)
    }
}
