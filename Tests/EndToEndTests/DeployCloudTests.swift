// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// Each cloud of Azure, whose hosts a proxy brings to an emulator that has their names in its certificate.
@Suite("Deploying to each cloud", .serialized, .waiting, .enabled(if: Containers.canRun))
struct DeployCloudTests {
    /// What the cloud is called, and where its tokens and its resource manager are.
    static let clouds: [(String, String, String)] = [
        ("AzureCloud", "login.microsoftonline.com", "management.azure.com"),
        ("AzureUSGovernment", "login.microsoftonline.us", "management.usgovcloudapi.net"),
        ("AzureChinaCloud", "login.chinacloudapi.cn", "management.chinacloudapi.cn"),
        ("https://management.own.example", "management.own.example", "management.own.example"),
    ]

    @Test("A group is planned, deployed, shown and removed", arguments: clouds)
    func whole(cloud: (String, String, String)) async throws {
        let names = Set([cloud.1, cloud.2]).flatMap { ["--host-name", $0] }
        try await AzurePlace.run(names, isEncrypted: true) { place in
            let proxy = try Tunnel(to: place.port)
            let ca = ["--ca", place.home.url.appending(path: "azure/ca.pem").path]
            let environment = [
                "CORACLE_AZURE_CLOUD": cloud.0, "HTTPS_PROXY": "http://127.0.0.1:\(proxy.port)", "https_proxy": "",
                "NO_PROXY": "", "no_proxy": "", "CORACLE_PULL_PASSWORD": "emulated-secret",
            ]
            try place.site("page of \(cloud.0)")
            let image = "\(place.registry)/web:1"
            let login = ["-u", AzurePlace.client, "--password-stdin"]
            let push = try await place.coracle(
                ["build", "-q", "--push", "-t", image] + ca + login + ShellBase.flags + ["site"],
                input: "emulated-secret"
            )
            try #require(push.status == 0, "\(push.errors)")
            let flags = ["-g", "demo", "-n", "web", "--pull-with", "user=\(AzurePlace.client)"]

            let plan = try await place.coracle(["deploy", "aci", image, "--dry-run"] + flags + ca, environment)
            #expect(plan.output.contains("create web"), "\(plan.errors)")
            let run = try await place.coracle(["deploy", "aci", image] + flags + ca, environment)
            try #require(run.status == 0, "\(run.errors)")
            #expect(await place.page(run.output) == "page of \(cloud.0)")
            let shown = ["-g", "demo", "--name", "web"] + ca
            #expect(try await place.coracle(["ps"] + shown, environment).output.contains("running"))
            #expect(try await place.coracle(["down"] + shown, environment).output == "web\n")

            #expect(proxy.hosts == Set(["\(cloud.1):443", "\(cloud.2):443"]), "nobody else was asked")
        }
    }
}

/// A proxy that brings every host to one port of this machine, and remembers the hosts.
final class Tunnel: Sendable {
    private let listener: LoopbackListener
    private let asked: Asked

    private final class Asked: Sendable {
        let hosts = Mutex<Set<String>>([])
    }

    var port: Int { listener.port }
    /// The hosts that it was asked for, each with its port.
    var hosts: Set<String> { asked.hosts.withLock { $0 } }

    init(to target: Int) throws {
        let asked = Asked()
        self.asked = asked
        listener = try LoopbackListener { client in
            defer { client.end() }
            var head: [UInt8] = []
            while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
                guard head.count < 16 << 10, let byte = client.receive(1) else { return }
                head += byte
            }
            let words = String(decoding: head, as: UTF8.self).split(separator: " ").map(String.init)
            guard words.count > 2, words[0] == "CONNECT" else { return }
            asked.hosts.withLock { _ = $0.insert(words[1]) }
            let server = LoopbackConnection(to: target)
            defer { server.end() }
            guard client.send(Array("HTTP/1.1 200 Here\r\n\r\n".utf8)) else { return }
            Tunnel.join(client, server)
        }
    }

    /// Hands on what either side sends until one of them ends.
    private static func join(_ client: LoopbackConnection, _ server: LoopbackConnection) {
        var ends = [client, server].map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        while poll(&ends, 2, -1) > 0 || errno == EINTR {
            for (index, (from, to)) in [(client, server), (server, client)].enumerated() where ends[index].revents != 0
            {
                guard let bytes = from.receive(), to.send(bytes) else { return }
            }
        }
    }
}
