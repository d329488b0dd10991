// SPDX-License-Identifier: Apache-2.0
import Registry
import TestSupport
import Testing

@Suite("Challenges", .inTurns)
struct ChallengeTests {
    @Test("Commas may stand in quotes, and names are in any case")
    func quotes() {
        let header = "Bearer realm=\"https://r/token?a=b,c\",Service=\"r\",SCOPE=\"repository:a/b:pull,push\""

        let found = Challenge.parse([header])

        #expect(found.count == 1)
        #expect(found.first?.scheme == "bearer")
        #expect(
            found.first?.parameters
                == ["realm": "https://r/token?a=b,c", "service": "r", "scope": "repository:a/b:pull,push"]
        )
    }

    @Test(
        "Several challenges are read, from one header or more",
        arguments: [
            ["Basic realm=\"a\", Bearer realm=\"b\" , service=c"],
            ["Basic realm=\"a\"", "Bearer realm=\"b\",service=\"c\""],
            ["Negotiate, Basic realm=\"a\", Bearer realm=b, service = \"c\""],
            ["Negotiate YWJj==, basic realm=\"a\",BEARER realm=\"b\",service=\"c\""],
        ]
    )
    func several(headers: [String]) {
        let found = Challenge.parse(headers).filter { $0.scheme != "negotiate" }

        #expect(found.map(\.scheme) == ["basic", "bearer"])
        #expect(found.map { $0.parameters["realm"] } == ["a", "b"])
        #expect(found.last?.parameters["service"] == "c")
    }

    @Test(
        "Nothing makes it stop or loop",
        arguments: [
            "", ",", "\"", "Bearer", "Bearer realm=", "Bearer realm=\"", "=", "Bearer realm=\"a\\", "a=b",
            "Bearer realm=\"a\" x",
            "\u{0}\u{7F}", "Bearer ,,,realm=\"a\"",
        ]
    )
    func hostile(text: String) {
        #expect(Challenge.parse([text]).count <= 2)
    }
}
