// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Synchronization
import TestSupport
import Testing

@testable import Kubernetes

@Suite("Watching a cluster", .inTurns)
struct WatchTests {
    private static func line(_ type: String, _ name: String, _ version: Int) -> String {
        "{\"type\":\"\(type)\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"\(name)\",\"resourceVersion\":\"\(version)\"}}}\n"
    }

    /// What a watch gave, in short, until so many things came.
    private func watch(_ peer: ClusterPeer, until count: Int) async throws -> [String] {
        let seen = Mutex<[String]>([])
        try await peer.client()
            .watch(.pod) { event in
                let text =
                    switch event {
                    case .all(let all):
                        "all " + all.map { $0["metadata"]?["name"]?.string ?? "" }.joined(separator: " ")
                    case .changed(let pod): "changed " + (pod["metadata"]?["name"]?.string ?? "")
                    case .deleted(let pod): "deleted " + (pod["metadata"]?["name"]?.string ?? "")
                    }
                return seen.withLock { seen in
                    seen.append(text)
                    return seen.count < count
                }
            }
        return seen.withLock { $0 }
    }

    private static func list(_ names: [String], _ version: String) -> ClusterPeer.Reply {
        .json([
            "items": .array(names.map { ["metadata": ["name": .string($0)]] }),
            "metadata": ["resourceVersion": .string(version)],
        ])
    }

    @Test("A watch that ends or breaks goes on where it was, bookmarks included")
    func goesOn() async throws {
        let peer = try ClusterPeer { request, _ in
            switch request.query["resourceVersion"] {
            case nil: return Self.list(["a"], "5")
            case "5":
                return .pieces { write in
                    let text = Self.line("ADDED", "b", 6) + Self.line("MODIFIED", "b", 7)
                    // Lines come in any pieces.
                    write(String(text.prefix(30)))
                    write(String(text.dropFirst(30)))
                    return true
                }
            case "7":
                return .pieces { write in
                    write(Self.line("BOOKMARK", "", 9))
                    return false
                }
            default:
                return .pieces { write in
                    write(Self.line("DELETED", "a", 10))
                    return true
                }
            }
        }

        let seen = try await watch(peer, until: 4)

        #expect(seen == ["all a", "changed b", "changed b", "deleted a"])
        #expect(peer.requests.map { $0.query["resourceVersion"] } == [nil, "5", "7", "9"])
        #expect(peer.requests[1].query["allowWatchBookmarks"] == "true")
        #expect(peer.requests[1].query["watch"] == "1")
    }

    @Test("What the cluster has forgotten is listed again", arguments: [false, true])
    func forgotten(asEvent: Bool) async throws {
        let lists = Mutex(0)
        let peer = try ClusterPeer { request, _ in
            guard let version = request.query["resourceVersion"] else {
                let count = lists.withLock { lists in
                    lists += 1
                    return lists
                }
                return Self.list(["a\(count)"], "\(count)")
            }
            if version == "2" {
                return .pieces { write in
                    write(Self.line("ADDED", "b", 3))
                    return true
                }
            }
            if !asEvent { return .status(410, "Expired", "too old resource version") }
            return .pieces { write in
                write("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}\n")
                return true
            }
        }

        #expect(try await watch(peer, until: 3) == ["all a1", "all a2", "changed b"])
    }

    @Test("A refusal ends it; what is no JSON does, too")
    func refused() async throws {
        let denied = try ClusterPeer { request, _ in
            request.query["watch"] == nil ? Self.list([], "1") : .status(403, "Forbidden", "you may not watch")
        }
        let odd = try ClusterPeer { request, _ in
            request.query["watch"] == nil
                ? Self.list([], "1")
                : .pieces { write in
                    write("no json\n")
                    return true
                }
        }

        let error = try await #require(throws: KubernetesError.self) { try await watch(denied, until: 9) }
        let other = try await #require(throws: KubernetesError.self) { try await watch(odd, until: 9) }

        #expect(error.message == "watch pods in the namespace shop: you may not watch")
        #expect(other.message.hasPrefix("watch: what came is no JSON"))
    }

    @Test("Cancelling ends a watch in which nothing happens")
    func cancelled() async throws {
        let open = DispatchSemaphore(value: 0)
        let peer = try ClusterPeer { request, _ in
            request.query["watch"] == nil
                ? Self.list([], "1")
                : .pieces { write in
                    write("\n")
                    open.wait()
                    return true
                }
        }
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            try await peer.client()
                .watch(.pod) { _ in
                    start.yield()
                    return true
                }
        }
        for await _ in started { break }
        task.cancel()

        await #expect(throws: CancellationError.self) { try await task.value }
        open.signal()
    }

    @Test("A log that is followed goes on after its last line when the connection breaks, and no line comes twice")
    func logs() async throws {
        let times = ["2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.2Z", "2026-01-01T00:00:00.3Z"]
        let peer = try ClusterPeer { request, index in
            .pieces { write in
                switch index {
                case 0:
                    write("\(times[0]) one\n\(times[1]) two\n\(times[2]) thr")
                    return false
                default:
                    write("\(times[1]) two\n\(times[1]) other two\n\(times[2]) three\n")
                    return true
                }
            }
        }
        var wish = ClusterClient.LogWish("web-1", container: "app")
        (wish.follows, wish.tail) = (true, 5)
        let seen = Mutex("")

        try await peer.client().logs(wish) { chunk in seen.withLock { $0 += String(decoding: chunk, as: UTF8.self) } }

        #expect(seen.withLock { $0 } == "one\ntwo\nother two\nthree\n")
        #expect(peer.requests[0].path == "/api/v1/namespaces/shop/pods/web-1/log")
        #expect(peer.requests[0].query["tailLines"] == "5")
        #expect(peer.requests[0].query["container"] == "app")
        #expect(peer.requests[1].query["sinceTime"] == times[1])
        #expect(peer.requests[1].query["tailLines"] == nil)
    }

    @Test("The last of a log is read as it is; one that is not there is an error")
    func tail() async throws {
        let peer = try ClusterPeer { request, _ in
            request.path.hasSuffix("/gone/log")
                ? .status(400, "BadRequest", "container \"app\" in pod \"gone\" is waiting to start") : .text("a\nb")
        }
        let client = try peer.client()
        var wish = ClusterClient.LogWish("web-1")
        wish.isPrevious = true

        #expect(try await client.log(wish) == "a\nb")
        #expect(peer.requests[0].query["previous"] == "true")
        #expect(peer.requests[0].query["timestamps"] == nil)
        let error = try await #require(throws: KubernetesError.self) { try await client.log(.init("gone")) }
        #expect(error.message.hasSuffix("is waiting to start"))
    }
}
