// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// Each cloud of Azure, whose hosts a proxy brings to an emulator that has their names in its certificate.
@Suite("Deploying to each cloud", .serialized, .enabled(if: Containers.canRun))
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
    let port: Int
    private let listener: Int32
    private let target: Int
    private let asked = Mutex<Set<String>>([])

    /// The hosts that it was asked for, each with its port.
    var hosts: Set<String> { asked.withLock { $0 } }

    init(to target: Int) throws {
        self.target = target
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, pointer, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRNOTAVAIL) }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                guard let self else {
                    close(client)
                    return
                }
                Thread.detachNewThread { self.serve(client) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func serve(_ client: Int32) {
        defer { close(client) }
        var head: [UInt8] = []
        var byte: UInt8 = 0
        while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
            guard head.count < 16 << 10, recv(client, &byte, 1, 0) == 1 else { return }
            head.append(byte)
        }
        let words = String(decoding: head, as: UTF8.self).split(separator: " ").map(String.init)
        guard words.count > 2, words[0] == "CONNECT" else { return }
        asked.withLock { _ = $0.insert(words[1]) }
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(server) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(target).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0, Self.send(Array("HTTP/1.1 200 Here\r\n\r\n".utf8), client) else { return }
        var ends = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while poll(&ends, 2, -1) > 0 || errno == EINTR {
            for index in 0..<2 where ends[index].revents != 0 {
                let count = recv(ends[index].fd, &buffer, buffer.count, 0)
                guard count > 0, Self.send(Array(buffer[..<count]), ends[1 - index].fd) else { return }
            }
        }
    }

    private static func send(_ bytes: [UInt8], _ socket: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
