// SPDX-License-Identifier: Apache-2.0
internal import OCI

extension Workload {
    /// A further name for the same pods, beside ``Workload/service``.
    public struct FurtherService: Hashable, Sendable {
        /// A port of it.
        public struct Port: Hashable, Sendable {
            /// Its number there.
            public var number: Int
            /// The name of the container's port that answers.
            public var target: String
            /// TCP, UDP or SCTP.
            public var transport: String

            /// A port.
            ///
            /// - Parameters:
            ///   - number: Its number there.
            ///   - target: The name of the container's port that answers.
            ///   - transport: TCP, UDP or SCTP.
            public init(_ number: Int, target: String, transport: String = "TCP") {
                (self.number, self.target, self.transport) = (number, target, transport)
            }
        }

        /// What it is called: a DNS label.
        public var name: String
        /// Who reaches it.
        public var reach: Service.Reach
        /// Its ports; empty for those of the other.
        public var ports: [Port] = []
        /// The first part of its name in the world; `nil` for none.
        public var dnsLabel: String?
        /// What people who read the manifest are told of it; `nil` for nothing.
        public var remark: String?

        /// A further name.
        ///
        /// - Parameters:
        ///   - name: What it is called.
        ///   - reach: Who reaches it.
        public init(_ name: String, _ reach: Service.Reach = .cluster) { (self.name, self.reach) = (name, reach) }
    }
}

extension WorkloadMaker {
    func further(_ service: Workload.FurtherService) -> ObjectManifest {
        var like = Workload.Service(service.reach)
        (like.name, like.dnsLabel) = (service.name, service.dnsLabel)
        var other = workload
        other.service = like
        var manifest = WorkloadMaker(workload: other).service(like)
        if !service.ports.isEmpty {
            manifest.json["spec"]?["ports"] = .array(
                service.ports.map { port in
                    var json: JSONValue = [
                        "name": .string("\(port.transport.lowercased())-\(port.number)"),
                        "port": .int(Int64(port.number)), "targetPort": .string(port.target),
                    ]
                    if port.transport != "TCP" { json["protocol"] = .string(port.transport) }
                    return json
                }
            )
        }
        manifest.comments[["spec", "type"]] = service.remark
        return manifest
    }

    /// What a cluster would refuse of further names.
    static func faults(of services: [Workload.FurtherService]) -> [String] {
        services.filter { !Names.isLabel($0.name) }
            .map { "\"\($0.name)\" is no name of a Service: \(Names.labelRule)" }
    }
}
