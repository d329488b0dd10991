// SPDX-License-Identifier: Apache-2.0
import HTTP
import TestSupport
import Testing

@Suite("Redirects", .inTurns)
struct RedirectTests {
    let session = HTTPSession(NetworkTransport(), policy: .never)

    @Test("Credentials do not go to another host or port, other fields do")
    func otherHost() async throws {
        let storage = try FaultyServer { _ in .answer(200, [:], "content") }
        let place = "http://127.0.0.1:\(storage.port)/blob?sig=abc%2Bd"
        let registry = try FaultyServer { _ in .answer(307, ["Location": place]) }
        let headers: HTTPFields = ["Authorization": "Bearer hunter22", "Range": "bytes=2-"]

        let response = try await session.send(
            HTTPRequest(.get, HTTPURL("http://127.0.0.1:\(registry.port)/v2/"), headers: headers)
        )

        #expect(String(decoding: try await response.bytes(limit: 100), as: UTF8.self) == "content")
        #expect(registry.requests[0].fields["authorization"] == "Bearer hunter22")
        #expect(storage.requests[0].fields["authorization"] == nil)
        #expect(storage.requests[0].fields["range"] == "bytes=2-")
        #expect(storage.requests[0].target == "/blob?sig=abc%2Bd")
    }

    @Test("Credentials stay with a redirect on the same host")
    func sameHost() async throws {
        let server = try FaultyServer { $0.index == 0 ? .answer(308, ["Location": "/there"]) : .answer(200) }

        let response = try await session.send(
            HTTPRequest(.get, HTTPURL("http://127.0.0.1:\(server.port)/here"), headers: ["Authorization": "Bearer x"])
        )

        #expect(response.status == 200)
        #expect(server.requests.map(\.target) == ["/here", "/there"])
        #expect(server.requests[1].fields["authorization"] == "Bearer x")
    }

    @Test("Redirects without end are given up")
    func circle() async throws {
        let server = try FaultyServer { _ in .answer(302, ["Location": "/?sig=hunter22"]) }

        let error = try await #require(throws: ServerError.self) {
            try await session.send(HTTPRequest(.get, HTTPURL("http://127.0.0.1:\(server.port)/?sig=hunter22")))
        }

        #expect(error.code == .redirect)
        #expect(!error.description.contains("hunter22"))
        #expect(server.requests.count == 10)
    }

    @Test("From https to http none is followed")
    func downgrade() async throws {
        struct Redirecting: HTTPTransport {
            func send(_ request: HTTPRequest) -> HTTPResponse {
                HTTPResponse(
                    status: 307,
                    headers: ["Location": "http://acr.example/x?sig=hunter22"],
                    url: request.url,
                    body: .none
                )
            }
        }

        let error = try await #require(throws: ServerError.self) {
            try await HTTPSession(Redirecting(), policy: .never)
                .send(HTTPRequest(.get, HTTPURL("https://acr.example/x")))
        }

        #expect(error.message == "acr.example redirects from https to plain http: http://acr.example/x?sig=***")
    }
}
