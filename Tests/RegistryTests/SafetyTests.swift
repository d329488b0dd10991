// SPDX-License-Identifier: Apache-2.0
import HTTP
import OCI
import Registry
import Synchronization
import TestSupport
import Testing

/// What is never sent, seen from where it would leave this machine.
@Suite("Safety", .inTurns)
struct SafetyTests {
    /// Takes the place of the network: other hosts than this one cannot be had in a test.
    final class Wire: HTTPTransport {
        private let sent = Mutex<[HTTPRequest]>([])
        private let answer: @Sendable (HTTPRequest) throws -> HTTPResponse

        var requests: [HTTPRequest] { sent.withLock { $0 } }

        init(_ answer: @escaping @Sendable (HTTPRequest) throws -> HTTPResponse) {
            self.answer = answer
        }

        func send(_ request: HTTPRequest) throws -> HTTPResponse {
            sent.withLock { $0.append(request) }
            return try answer(request)
        }

        static func reply(_ request: HTTPRequest, _ status: Int, _ headers: HTTPFields = [:]) -> HTTPResponse {
            HTTPResponse(status: status, headers: headers, url: request.url, body: .none)
        }
    }

    static func client(
        _ wire: Wire,
        change: (inout RegistryClient.Settings) -> Void = { _ in }
    ) -> RegistryClient {
        var settings = RegistryClient.Settings()
        settings.retries = .never
        change(&settings)
        return RegistryClient(transport: wire, credentials: Fixed(), settings: settings)
    }

    @Test(
        "Plain HTTP is spoken with hosts that were named only",
        arguments: [[], ["registry.example"], ["other.example"]]
    )
    func plain(insecure: Set<String>) async throws {
        let wire = Wire { request in
            guard !request.url.isSecure else { throw ServerError(.handshake, "no TLS", url: request.url) }
            return Wire.reply(request, 200)
        }

        let outcome = await Result(catching: {
            try await Self.client(wire) { $0.insecureHosts = insecure }.ping("registry.example")
        })

        let isAllowed = insecure.contains("registry.example")
        #expect(wire.requests.contains { !$0.url.isSecure } == isAllowed)
        #expect(((try? outcome.get()) != nil) == isAllowed)
    }

    @Test("A password is not given to a token server over plain HTTP")
    func plainRealm() async throws {
        let wire = Wire { request in
            let challenge = "Bearer realm=\"http://tokens.example/t\",service=\"x\""
            return Wire.reply(request, 401, ["WWW-Authenticate": challenge])
        }

        let error = try await #require(throws: RegistryError.self) {
            try await Self.client(wire).ping("registry.example")
        }

        #expect(!wire.requests.contains { $0.url.host == "tokens.example" })
        #expect(
            error.message == "ask registry.example: the registry's token server http://tokens.example/t would be asked "
                + "over plain HTTP"
        )
    }

    @Test("Upload addresses on another host get no credentials, and none in the clear are used")
    func uploadElsewhere() async throws {
        let memory = Memory()
        let blob = memory.random(2000)
        let repository = try Repository(registry: "registry.example", name: "a")
        for scheme in ["https", "http"] {
            let wire = Wire { request in
                let location: HTTPFields = ["Location": "\(scheme)://storage.example/u?sig=1"]
                return Wire.reply(request, request.method == .post ? 202 : 201, location)
            }

            let outcome = await Result(catching: {
                try await Self.client(wire).upload(blob, from: memory, to: repository)
            })

            let elsewhere = wire.requests.filter { $0.url.host == "storage.example" }
            #expect(elsewhere.count == (scheme == "https" ? 1 : 0))
            #expect(elsewhere.allSatisfy { $0.headers["Authorization"] == nil })
            #expect((try? outcome.get()) == (scheme == "https" ? .uploaded : nil))
        }
    }

    @Test("A registry behind a proxy that ends TLS may call itself http and is still asked over TLS")
    func wrongScheme() async throws {
        let memory = Memory()
        let blob = memory.random(2000)
        let wire = Wire { request in
            let location: HTTPFields = ["Location": "http://registry.example/u?_state=a%3D"]
            return Wire.reply(request, request.method == .post ? 202 : 201, location)
        }

        _ = try await Self.client(wire)
            .upload(blob, from: memory, to: Repository(registry: "registry.example", name: "a"))

        #expect(
            wire.requests.last?.url.text
                == "https://registry.example/u?_state=a%3D&digest=\(HTTPURL.encoded(blob.digest.description))"
        )
    }

    @Test("Docker Hub's registry has another host than its name")
    func hub() async throws {
        let wire = Wire { Wire.reply($0, 200) }

        try await Self.client(wire).ping("docker.io")

        #expect(Set(wire.requests.map(\.url.text)) == ["https://registry-1.docker.io/v2/"])
    }

    @Test("A firewall's refusal is told from missing rights")
    func firewall() async throws {
        let wire = Wire { request in
            let body =
                "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"client with IP '10.0.0.1' is not allowed access\"}]}"
            let box = Once(Array(body.utf8))
            return HTTPResponse(status: 403, headers: [:], url: request.url, body: HTTPChunks { box.take() })
        }

        let error = try await #require(throws: RegistryError.self) {
            try await Self.client(wire).ping("myacr.azurecr.io")
        }

        #expect(error.kind == .denied)
        #expect(error.message == "ask myacr.azurecr.io: client with IP '10.0.0.1' is not allowed access (DENIED)")
        #expect(error.hint == "az acr network-rule add --name myacr --ip-address THIS-MACHINE")
    }

    private final class Once: Sendable {
        private let bytes: Mutex<[UInt8]?>

        init(_ bytes: [UInt8]) {
            self.bytes = Mutex(bytes)
        }

        func take() -> [UInt8]? {
            bytes.withLock { bytes in
                defer { bytes = nil }
                return bytes
            }
        }
    }
}

extension Result where Failure == any Error {
    fileprivate init(catching work: () async throws -> Success) async {
        do {
            self = .success(try await work())
        } catch {
            self = .failure(error)
        }
    }
}
