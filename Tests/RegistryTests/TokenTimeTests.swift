// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Registry

@Suite("How long a token is good")
struct TokenTimeTests {
    /// A token for which a server claims times.
    private func token(_ claims: String, more: String = "") throws -> Token {
        let text = Data(claims.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
            .replacing("=", with: "")
        let answer = #"{"token": "e30.\#(text).x"\#(more)}"#
        return try Token(answer: Array(answer.utf8), scopes: [], credentials: .anonymous)
    }

    @Test(
        "Of its time a quarter is left, a minute at most; times that cannot be are none",
        arguments: [
            (#"{"exp": 1100, "iat": 1000}"#, 75.0), (#"{"exp": 1001, "nbf": 1000}"#, 0.75),
            (#"{"exp": 11000, "iat": 1000}"#, 9940), (#"{"exp": 1000}"#, 45), ("{}", 45),
            (#"{"exp": 9223372036854775807, "iat": -1}"#, 45), (#"{"exp": -9223372036854775808}"#, 45),
        ]
    )
    func times(claims: String, seconds: Double) throws {
        let before = ContinuousClock.now

        let token = try token(claims)

        let times = [before, .now].map { (token.goodUntil - $0) / .seconds(1) }
        #expect(times[1] <= seconds && seconds <= times[0], "\(times)")
    }

    @Test("The answer's own words on its time come first")
    func answer() throws {
        let token = try token(#"{"exp": 1100, "iat": 1000}"#, more: #", "expires_in": 4"#)

        let left = (token.goodUntil - .now) / .seconds(1)
        #expect(left <= 3)
    }
}
