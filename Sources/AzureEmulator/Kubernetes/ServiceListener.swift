// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Sandbox
internal import Synchronization

/// Listens at the address of a service, and hands connections on to pods that are ready, one after the other.
///
/// A lock guards what is listened on.
final class ServiceListener: Sendable {
    private struct State {
        var service: JSONValue
        var sockets: [String: Int32] = [:]
        var next = 0
    }

    private let cluster: KubernetesCluster
    private let state: Mutex<State>

    init(_ cluster: KubernetesCluster, _ service: JSONValue) {
        self.cluster = cluster
        state = Mutex(State(service: service))
    }

    deinit { close() }

    /// Listens at all ports of a service, and no longer at those that it has no more.
    func update(_ service: JSONValue) {
        let wanted = Self.places(of: service)
        let gone = state.withLock { state in
            state.service = service
            let gone = state.sockets.filter { !wanted.keys.contains($0.key) }
            for key in gone.keys { state.sockets[key] = nil }
            return Array(gone.values)
        }
        for socket in gone { shutdown(socket, Int32(SHUT_RDWR)) }
        for (key, place) in wanted where state.withLock({ $0.sockets[key] == nil }) {
            if place.isForPods {
                let socket = cluster.services.listen(place.address, place.port)
                state.withLock { $0.sockets[key] = socket ?? -1 }
                if let socket { accept(socket, place.name) }
                continue
            }
            guard let socket = Self.listen(place.address, place.port) else {
                // Said once: the next look finds the place taken.
                state.withLock { $0.sockets[key] = -1 }
                cluster.world.options.note(
                    "service \(service.kubeName): \(place.address):\(place.port) cannot be listened on: "
                        + Descriptors.reason
                )
                continue
            }
            state.withLock { $0.sockets[key] = socket }
            accept(socket, place.name)
        }
    }

    private struct Place {
        let address: String
        let port: Int
        /// Which of the service's ports is meant.
        let name: JSONValue
        /// Whether in the network that pods reach, or in this machine's.
        var isForPods = false
    }

    /// Where a service answers.
    private static func places(of service: JSONValue) -> [String: Place] {
        var places: [String: Place] = [:]
        guard let address = service.at("spec", "clusterIP")?.string, address.first?.isNumber ?? false else {
            return [:]
        }
        for port in service.at("spec", "ports")?.array ?? [] where port.text("protocol") == "TCP" {
            guard let number = port["port"]?.int else { continue }
            places["\(address):\(number)"] = Place(address: address, port: Int(number), name: port)
            places["pods:\(address):\(number)"] = Place(
                address: address,
                port: Int(number),
                name: port,
                isForPods: true
            )
            if let node = port["nodePort"]?.int {
                places["node:\(node)"] = Place(address: "127.0.0.1", port: Int(node), name: port)
            }
        }
        return places
    }

    static func listen(_ address: String, _ port: Int) -> Int32? {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return nil }
        var on: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let bound = Descriptors.with(Descriptors.address(address, port)) { bind(socket, $0, $1) }
        guard bound == 0, Glibc.listen(socket, 128) == 0 else {
            Glibc.close(socket)
            return nil
        }
        return socket
    }

    /// Listens for the service in the own network of a pod that reaches no other, where its address is one of loopback.
    func listen(in run: PodRun) {
        guard !run.reachesServices else { return }
        let service = state.withLock { $0.service }
        // A port of the pod's own is left to its containers.
        for (key, place) in Self.places(of: service) where place.isForPods && !run.ports.contains(place.port) {
            guard run.ownListeners.withLock({ $0.insert(key).inserted }) else { continue }
            let (address, port) = (place.address, place.port)
            let made = try? run.network.run { Self.listen(address, port) }
            guard let socket = made.flatMap({ $0 }) else { continue }
            run.network.keep(socket)
            accept(socket, place.name)
        }
    }

    private func accept(_ socket: Int32, _ port: JSONValue) {
        Thread.start { [weak self] in
            defer { Glibc.close(socket) }
            while true {
                let client = Glibc.accept(socket, nil, nil)
                if client < 0 {
                    if errno == EINTR || errno == ECONNABORTED { continue }
                    return
                }
                guard let self, let server = self.connect(port) else {
                    // As where nobody listens: the connection is refused.
                    var linger = linger(l_onoff: 1, l_linger: 0)
                    setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
                    Glibc.close(client)
                    continue
                }
                Thread.start { Relay.run(client, server) }
            }
        }
    }

    /// A connection to the next pod that is ready.
    private func connect(_ port: JSONValue) -> Int32? {
        let (service, turn) = state.withLock { state in
            state.next += 1
            return (state.service, state.next)
        }
        let runs = ServiceEndpoints.runs(of: service, cluster)
        for offset in 0..<runs.count {
            let run = runs[(turn + offset) % runs.count]
            guard let target = ServiceEndpoints.target(port, run) else { continue }
            let socket = run.network.connect(to: target)
            if socket >= 0 { return socket }
        }
        return nil
    }

    func close() {
        let all = state.withLock { state in
            defer { state.sockets = [:] }
            return Array(state.sockets.values)
        }
        for socket in all where socket >= 0 { shutdown(socket, Int32(SHUT_RDWR)) }
    }
}

/// The pods behind a service.
enum ServiceEndpoints {
    /// Those that are ready.
    static func runs(of service: JSONValue, _ cluster: KubernetesCluster) -> [PodRun] {
        guard let labels = service.at("spec", "selector")?.strings, !labels.isEmpty else { return [] }
        let filter = ObjectFilter(selector: ["matchLabels": JSONValue(labels)])
        return cluster.runs.withLock { Array($0.values) }
            .filter { run in
                run.namespace == service.kubeNamespace && filter.matches(labels: run.pod.kubeLabels) && run.isReady
            }
            .sorted { $0.key < $1.key }
    }

    /// The port of a pod that a port of a service leads to.
    static func target(_ port: JSONValue, _ run: PodRun) -> Int? {
        if let number = port["targetPort"]?.int { return Int(number) }
        let name = port.text("targetPort")
        for container in run.spec["containers"]?.array ?? [] {
            for own in container["ports"]?.array ?? [] where own.text("name") == name {
                return own["containerPort"]?.int.map { Int($0) }
            }
        }
        return Int(name)
    }

    /// The `subsets` of its `Endpoints`.
    static func subsets(of service: JSONValue, _ cluster: KubernetesCluster) -> JSONValue {
        let ready = runs(of: service, cluster)
        guard let first = ready.first else { return [] }
        let addresses = ready.map { run -> JSONValue in
            [
                "ip": .string(run.network.address), "nodeName": .string(KubernetesCluster.nodeName),
                "targetRef": [
                    "kind": "Pod", "namespace": .string(run.namespace), "name": .string(run.key.name),
                    "uid": .string(run.uid),
                ],
            ]
        }
        let ports = (service.at("spec", "ports")?.array ?? [])
            .compactMap { port -> JSONValue? in
                guard let target = target(port, first) else { return nil }
                var json: JSONValue = ["port": .int(Int64(target)), "protocol": port["protocol"] ?? "TCP"]
                json["name"] = port["name"]
                return json
            }
        return [["addresses": .array(addresses), "ports": .array(ports)]]
    }
}
