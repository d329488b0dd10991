// SPDX-License-Identifier: Apache-2.0
public import OCI

/// A group of containers that share an address: a resource of Azure Container Instances.
///
/// It is the document that ARM speaks, read and changed in place, so that members nobody here knows stay as they are.
///
/// Specification: `Microsoft.ContainerInstance/containerGroups`, api-versions 2023-05-01 and 2025-09-01.
public struct ContainerGroup: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    /// The document; it may hold secrets, so that it is not printed: ``redacted`` is.
    public var json: JSONValue

    /// Reads a group.
    ///
    /// - Parameter json: The document.
    /// - Throws: ``ContentError`` where it has no containers.
    public init(json: JSONValue) throws(ContentError) {
        guard json["properties"]?["containers"]?.array != nil else {
            throw ContentError(message: "not a container group: properties.containers is missing")
        }
        self.json = json
    }

    /// A group with nothing in it yet.
    init() { json = ["properties": ["containers": [], "osType": "Linux"]] }

    /// The version of the interface that every cloud has.
    public static let baseVersion = "2023-05-01"
    /// The version that knows secrets by reference; groups are read with it, so that nothing of them is missed.
    public static let newestVersion = "2025-09-01"

    /// The oldest version that knows everything that the document says.
    public var apiVersion: String {
        let isNew = ContainerGroup.newMembers.contains { properties[$0] != nil } || hasReferences
        return isNew ? ContainerGroup.newestVersion : ContainerGroup.baseVersion
    }

    private static let newMembers = [
        "secretReferences", "identityAcls", "containerGroupProfile", "standbyPoolProfile",
    ]

    private var hasReferences: Bool {
        let environment = (containers + initContainers)
            .flatMap { $0.json["properties"]?["environmentVariables"]?.array ?? [] }
        return environment.contains { $0["secureValueReference"] != nil }
            || (properties["imageRegistryCredentials"]?.array ?? []).contains { $0["passwordReference"] != nil }
            || containers.contains { $0.json["properties"]?["configMap"] != nil }
            || (properties["volumes"]?.array ?? [])
                .contains {
                    $0["secretReference"] != nil || $0["azureFile"]?["storageAccountKeyReference"] != nil
                }
    }

    var properties: JSONValue {
        get { json["properties"] ?? [:] }
        set { json["properties"] = newValue }
    }

    /// The resource id; `nil` for one that ARM has not seen.
    public var id: String? { json["id"]?.string }
    /// The name; `nil` where only the URL has it.
    public var name: String? { json["name"]?.string }
    /// The region, as ARM writes it.
    public var location: String? {
        get { json["location"]?.string }
        set { json["location"] = newValue.map { .string($0) } }
    }
    /// Names and values for people; may be empty.
    public var tags: [String: String] {
        get { json["tags"]?.strings ?? [:] }
        set { json["tags"] = newValue.isEmpty ? nil : JSONValue(newValue) }
    }
    /// `Always`, `OnFailure` or `Never`; `nil` for the first.
    public var restartPolicy: String? { properties["restartPolicy"]?.string }
    /// The containers, in order.
    public var containers: [Container] {
        get { (properties["containers"]?.array ?? []).map { Container(json: $0) } }
        set { properties["containers"] = .array(newValue.map(\.json)) }
    }
    /// The containers that run before all others, in order; may be empty.
    public var initContainers: [Container] {
        get { (properties["initContainers"]?.array ?? []).map { Container(json: $0) } }
        set { properties["initContainers"] = newValue.isEmpty ? nil : .array(newValue.map(\.json)) }
    }

    /// The document without its secrets, for people.
    public var redacted: JSONValue {
        var copy = self
        for place in secretPlaces where !place.isMissing { copy.fill(place, SecureText(SecureText.mask)) }
        return copy.json
    }

    /// The document without its secrets, on one line.
    public var description: String { redacted.canonical }
    /// Nothing that ``description`` does not have.
    public var customMirror: Mirror { Mirror(self, children: ["redacted": description]) }

    /// A container of a group.
    public struct Container: Hashable, Sendable {
        /// The document; it may hold secrets.
        public var json: JSONValue

        /// Takes a container out of a group's document.
        ///
        /// - Parameter json: The document.
        public init(json: JSONValue) { self.json = json }

        /// Its name in the group.
        public var name: String { json["name"]?.string ?? "" }
        /// The image.
        public var image: String { json["properties"]?["image"]?.string ?? "" }
        /// The command that replaces the image's; `nil` where the image's is run.
        public var command: [String]? { json["properties"]?["command"]?.texts.flatMap { $0.isEmpty ? nil : $0 } }
        /// The ports that it listens on.
        public var ports: [Port] { Port.list(json["properties"]?["ports"]) }
        /// Processors that are kept for it.
        public var cpu: Double? { json["properties"]?["resources"]?["requests"]?["cpu"]?.number }
        /// Gigabytes of memory that are kept for it.
        public var memory: Double? { json["properties"]?["resources"]?["requests"]?["memoryInGB"]?.number }

        var properties: JSONValue {
            get { json["properties"] ?? [:] }
            set { json["properties"] = newValue }
        }
    }

    /// A port, the same inside and outside.
    public struct Port: Hashable, Sendable, CustomStringConvertible {
        /// The number, from 1 to 65535.
        public let number: Int
        /// Whether it is of UDP, not TCP.
        public let isUDP: Bool

        /// A port.
        ///
        /// - Parameters:
        ///   - number: The number.
        ///   - isUDP: Whether it is of UDP.
        public init(_ number: Int, isUDP: Bool = false) { (self.number, self.isUDP) = (number, isUDP) }

        /// Reads `80`, `80/tcp` or `53/udp`.
        ///
        /// - Parameter text: The port.
        /// - Throws: ``ContentError`` where it is none.
        public init(_ text: String) throws(ContentError) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard let number = Int(parts[0]), (1...65535).contains(number), parts.count <= 2,
                parts.count == 1 || ["tcp", "udp"].contains(parts[1].lowercased())
            else {
                throw ContentError(
                    message: "\"\(text)\" is not a port: expected a number up to 65535, and /udp for UDP"
                        + (text.contains(":") ? "; a container's port is also the one that others reach" : "")
                )
            }
            self.init(number, isUDP: parts.count == 2 && parts[1].lowercased() == "udp")
        }

        /// `80` or `53/udp`.
        public var description: String { isUDP ? "\(number)/udp" : "\(number)" }

        var json: JSONValue { ["port": .int(Int64(number)), "protocol": .string(isUDP ? "UDP" : "TCP")] }

        static func list(_ json: JSONValue?) -> [Port] {
            (json?.array ?? [])
                .compactMap { port in
                    port["port"]?.int.map { Port(Int($0), isUDP: port["protocol"]?.string?.uppercased() == "UDP") }
                }
        }
    }
}
