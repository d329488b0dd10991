// SPDX-License-Identifier: Apache-2.0
internal import Kubernetes
internal import OCI

extension AKSTarget {
    /// Where it answers: by its ingress, else by a service that the cloud gives an address; `nil` where it has none yet.
    func address(_ items: [ClusterPlan.Item], _ tell: @Sendable (DeployEvent) -> Void) async -> String? {
        if let item = items.first(where: { $0.kind == .ingress }) {
            if let url = AKSTarget.url(ingress: item.wanted, status: nil) { return url }
            return await waited(item, tell) { AKSTarget.url(ingress: $0, status: $0) }
        }
        let service = items.first { $0.kind == .service && $0.wanted["spec"]?["type"]?.string == "LoadBalancer" }
        guard let service else { return nil }
        return await waited(service, tell) { AKSTarget.url(service: $0) }
    }

    private func waited(
        _ item: ClusterPlan.Item,
        _ tell: @Sendable (DeployEvent) -> Void,
        _ url: (JSONValue) -> String?
    ) async -> String? {
        let end = ContinuousClock.now + pace.addressPatience
        var isTold = false
        while !Task.isCancelled {
            // A look that fails says nothing about what is looked at.
            if let object = try? await client.find(item.kind, item.name, namespace: item.namespace),
                let found = url(object)
            {
                return found
            }
            guard ContinuousClock.now < end else { break }
            if !isTold { tell(.init(.step, "waiting for the address of \(item.title)")) }
            isTold = true
            try? await Task.sleep(for: pace.interval)
        }
        let place = item.namespace.map { " --namespace \($0)" } ?? ""
        tell(.init(.warning, "\(item.title) has no address yet: kubectl get \(item.title)\(place) --watch"))
        return nil
    }

    /// The first host and path of an ingress; where it has no host, the address in its status.
    static func url(ingress: JSONValue, status: JSONValue?) -> String? {
        let rule = ingress["spec"]?["rules"]?.array?.first
        let path = rule?["http"]?["paths"]?.array?.first?["path"]?.string ?? "/"
        let host = rule?["host"]?.string ?? status.flatMap { AKSTarget.host($0) }
        guard let host else { return nil }
        let secure = (ingress["spec"]?["tls"]?.array ?? []).contains { $0["hosts"]?.texts?.contains(host) ?? true }
        return (secure ? "https://" : "http://") + host + (path.hasPrefix("/") ? path : "/")
    }

    /// The address of a service that the cloud gave one.
    static func url(service: JSONValue) -> String? {
        guard let host = host(service) else { return nil }
        let ports = service["spec"]?["ports"]?.array ?? []
        let port = ports.first { $0["name"]?.string == "http" } ?? ports.first
        let number = port?["port"]?.int ?? 80
        let name = host.contains(":") ? "[\(host)]" : host
        switch number {
        case 80: return "http://\(name)/"
        case 443: return "https://\(name)/"
        default: return port?["name"]?.string == "https" ? "https://\(name):\(number)/" : "http://\(name):\(number)/"
        }
    }

    private static func host(_ object: JSONValue) -> String? {
        let first = object["status"]?["loadBalancer"]?["ingress"]?.array?.first
        return first?["ip"]?.string ?? first?["hostname"]?.string
    }
}
