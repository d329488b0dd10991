// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Registry
import TestSupport
import Testing

@Suite("Credentials and tokens", .inTurns)
struct TokenTests {
    static func error(_ work: () async throws -> Void) async throws -> RegistryError {
        let error = try await #require(throws: RegistryError.self) { try await work() }
        for secret in [TestRegistry.password, "battery staple", "hunter22", "eyJ"] {
            #expect(!"\(error)".contains(secret) && !String(reflecting: error).contains(secret))
            var dumped = ""
            dump(error, to: &dumped)
            #expect(!dumped.contains(secret))
        }
        return error
    }

    @Test("One token does for many requests, however many ask at once", arguments: Peer.Kind.foreign)
    func sharing(kind: Peer.Kind) async throws {
        try await Peer.with(kind) { registry in
            let client = RegistryClient.make(authority: registry.authority)
            let repository = try Repository(registry: registry.host, name: "team/app")
            let memory = Memory()

            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<12 {
                    let blob = memory.random(5000)
                    group.addTask {
                        #expect(try await !client.exists(blob, in: repository, for: .push))
                        _ = try await client.upload(blob, from: memory, to: repository)
                    }
                }
                try await group.waitForAll()
            }

            #expect(registry.tokens == ["token GET alice repository:team/app:pull,push"])
        }
    }

    @Test("Mounting asks for one token for both repositories", arguments: Peer.Kind.foreign)
    func severalScopes(kind: Peer.Kind) async throws {
        try await Peer.with(kind) { registry in
            let client = RegistryClient.make(authority: registry.authority)
            let target = try Repository(registry: registry.host, name: "team/app")

            _ = try await client.mount(
                Memory().add([1]),
                from: Repository(registry: registry.host, name: "base/os"),
                to: target
            )

            #expect(registry.tokens.first == "token GET alice repository:team/app:pull,push repository:base/os:pull")
        }
    }

    @Test("Tokens that expire in the middle are renewed", arguments: Peer.Kind.foreign)
    func renewal(kind: Peer.Kind) async throws {
        try await Peer.with(kind, lifetime: 2) { registry in
            let client = RegistryClient.make(authority: registry.authority)
            let repository = try Repository(registry: registry.host, name: "team/app")
            let memory = Memory()
            let blob = memory.random(4_000_000)
            let slow = Slow(memory: memory)

            #expect(try await client.upload(blob, from: slow, to: repository) == .uploaded)

            #expect(try await client.exists(blob, in: repository))
            #expect(registry.tokens.count > 2)
        }
    }

    /// A source that takes longer than a token lives.
    struct Slow: BlobSource {
        let memory: Memory

        func open(_ blob: Descriptor, from offset: Int64) async throws -> BlobChunks {
            let chunks = memory.open(blob, from: offset)
            return BlobChunks {
                try await Task.sleep(for: .milliseconds(120))
                return try await chunks.next()
            }
        }
    }

    @Test(
        "A login keeps the identity token that the server gives, and that is good for tokens by POST",
        arguments: Peer.Kind.foreign
    )
    func login(kind: Peer.Kind) async throws {
        try await Peer.with(kind) { registry in
            let alice = Credentials.basic(user: "alice", password: TestRegistry.password)

            let kept = try await RegistryClient.make(.anonymous, authority: registry.authority)
                .login(registry.host, with: alice)
            let client = RegistryClient.make(kept, authority: registry.authority)
            try await SmallImage().push(client, Repository(registry: registry.host, name: "team/app"), tag: "1")

            #expect(kept == .identityToken("refresh-of-alice"))
            #expect(registry.tokens.last == "token POST alice repository:team/app:pull,push")
        }
    }

    @Test("A login with a wrong password fails, with what to do", arguments: Peer.Kind.closed)
    func wrongLogin(kind: Peer.Kind) async throws {
        try await Peer.with(kind) { registry in
            let client = RegistryClient.make(.anonymous, authority: registry.authority)

            let error = try await Self.error {
                _ = try await client.login(registry.host, with: .basic(user: "alice", password: "hunter22"))
            }

            #expect(error.kind == .auth)
            #expect(error.message.hasPrefix("log in to \(registry.host): 127.0.0.1:"))
            #expect(error.message.contains("does not accept user \"alice\""))
        }
    }

    @Test("A login is kept as it is where there is no token server, else as the token that stands for it")
    func otherLogins() async throws {
        for kind in Peer.Kind.closed where !Peer.Kind.foreign.contains(kind) {
            try await Peer.with(kind) { registry in
                let alice = Credentials.basic(user: "alice", password: TestRegistry.password)

                let kept = try await RegistryClient.make(.anonymous, authority: registry.authority)
                    .login(registry.host, with: alice)

                #expect((kept == alice) == (kind != .ownToken))
                let client = RegistryClient.make(kept, authority: registry.authority)
                try await SmallImage().push(client, Repository(registry: registry.host, name: "team/app"), tag: "1")
            }
        }
    }

    @Test("Without credentials a push says so and names the command", arguments: Peer.Kind.closed)
    func missing(kind: Peer.Kind) async throws {
        try await Peer.with(kind) { registry in
            let client = RegistryClient.make(.anonymous, authority: registry.authority)
            let repository = try Repository(registry: registry.host, name: "team/app")
            let image = SmallImage()

            let error = try await Self.error {
                _ = try await client.upload(image.layer, from: image.memory, to: repository)
            }

            #expect(error.kind == .auth)
            #expect(
                error.message.hasPrefix(
                    "push blob \(image.layer.digest) to \(repository): \(registry.host) wants to know who asks, "
                        + "and there are no credentials for it"
                )
            )
            #expect(error.hint == "coracle login \(registry.host)")
        }
    }

    @Test("Wrong credentials are told from missing ones", arguments: Peer.Kind.closed)
    func wrong(kind: Peer.Kind) async throws {
        try await Peer.with(kind) { registry in
            let client = RegistryClient.make(.basic(user: "alice", password: "hunter22"), authority: registry.authority)
            let repository = try Repository(registry: registry.host, name: "team/app")

            let push = try await Self.error {
                try await client.put(SmallImage().document, as: .tag("1"), to: repository)
            }
            let pull = try await Self.error { _ = try await client.manifest(.tag("1"), in: repository) }

            for error in [push, pull] {
                #expect(error.kind == .auth)
                #expect(error.message.contains("does not accept user \"alice\""))
            }
        }
    }

    @Test("A token that grants less than was asked for is told as a missing right", arguments: Peer.Kind.foreign)
    func lessThanAsked(kind: Peer.Kind) async throws {
        try await Peer.with(kind) { registry in
            let bob = RegistryClient.make(
                .basic(user: "bob", password: "battery staple"),
                authority: registry.authority
            )
            let repository = try Repository(registry: registry.host, name: "team/app")

            let error = try await Self.error { try await bob.put(SmallImage().document, as: .tag("1"), to: repository) }

            #expect(error.kind == .denied)
            #expect(error.message.hasPrefix("push \(repository):1: denied: the token of user \"bob\" has pull only"))
            #expect(error.hint == "the account needs the right to push there")
        }
    }

    @Test(
        "Credentials that are not accepted any more do not keep anybody from what is public",
        arguments: Peer.Kind.foreign
    )
    func stale(kind: Peer.Kind) async throws {
        try await Peer.with(kind) { registry in
            let repository = try Repository(registry: registry.host, name: "public/app")
            let image = SmallImage()
            try await image.push(.make(authority: registry.authority), repository, tag: "1")

            let client = RegistryClient.make(.basic(user: "alice", password: "hunter22"), authority: registry.authority)

            #expect(try await client.manifest(.tag("1"), in: repository) == image.document)
            #expect(try await client.bytes(of: image.layer, in: repository) == image.memory[image.layer])
            let hidden = try await Self.error {
                _ = try await client.manifest(.tag("1"), in: Repository(registry: registry.host, name: "team/app"))
            }
            #expect(hidden.kind == .auth)
            #expect(hidden.message.contains("\(registry.host) does not accept user \"alice\""))
        }
    }

    @Test("Credentials show nothing when they are printed or dumped")
    func printing() {
        for credentials in [
            Credentials.basic(user: "a", password: "hunter22"), .identityToken("hunter22"), .registryToken("hunter22"),
        ] {
            var dumped = ""
            dump(credentials, to: &dumped)
            #expect(!"\(credentials) \(String(reflecting: credentials)) \(dumped)".contains("hunter22"))
        }
    }
}
