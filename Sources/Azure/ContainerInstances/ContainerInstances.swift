// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Azure Container Instances, as far as one resource group goes.
///
/// Specification: `containerInstance.json` of 2023-05-01; 2025-09-01 has the same operations.
public struct ContainerInstances: Sendable {
    /// Speaks with ARM.
    public let arm: ARMClient
    /// The subscription's id.
    public let subscription: String
    /// The resource group.
    public let resourceGroup: String

    /// Container Instances in a resource group.
    ///
    /// - Parameters:
    ///   - arm: Speaks with ARM.
    ///   - subscription: The subscription's id.
    ///   - resourceGroup: The resource group.
    public init(_ arm: ARMClient, subscription: String, resourceGroup: String) {
        (self.arm, self.subscription, self.resourceGroup) = (arm, subscription, resourceGroup)
    }

    private var provider: String { "/subscriptions/\(subscription)/providers/Microsoft.ContainerInstance" }

    private var groups: String {
        "/subscriptions/\(subscription)/resourceGroups/\(resourceGroup)/providers/Microsoft.ContainerInstance/containerGroups"
    }

    /// The id of a group.
    ///
    /// - Parameter name: The group's name.
    /// - Returns: `/subscriptions/…`.
    public func id(_ name: String) -> String { "\(groups)/\(name)" }

    // MARK: Reading

    /// Reads a group, with the newest version of the interface that the cloud has: an older one hides what it does not
    /// know, so that writing back would lose it.
    ///
    /// - Parameter name: The group's name.
    /// - Returns: The group; `nil` where there is none.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`; `ContentError` where the answer is no group.
    public func find(_ name: String) async throws -> ContainerGroup? {
        do {
            return try await find(name, ContainerGroup.newestVersion)
        } catch let error as ARMError where error.isAboutVersion {
            return try await find(name, ContainerGroup.baseVersion)
        }
    }

    private func find(_ name: String, _ version: String) async throws -> ContainerGroup? {
        guard let json = try await arm.find(id(name), apiVersion: version), json != .null else { return nil }
        return try ContainerGroup(json: json)
    }

    /// Lists the groups, each as ``find(_:)`` gives it: lists of ARM do not say how groups are.
    ///
    /// - Returns: The groups, in ARM's order; at most 100, as a region has no more.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func list() async throws -> [ContainerGroup] {
        var found: [ContainerGroup] = []
        for json in try await arm.list(groups, apiVersion: ContainerGroup.baseVersion).prefix(100) {
            if let name = json["name"]?.string, let group = try await find(name) { found.append(group) }
        }
        return found
    }

    /// The DNS labels that groups of the subscription have in a region, with the ids of the groups.
    ///
    /// - Parameter location: The region.
    /// - Returns: Ids by label.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func labels(in location: String) async throws -> [String: String] {
        var labels: [String: String] = [:]
        let all = try await arm.list("\(provider)/containerGroups", apiVersion: ContainerGroup.baseVersion)
        for json in all where Region.isSame(json["location"]?.string, location) {
            guard let label = json["properties"]?["ipAddress"]?["dnsNameLabel"]?.string else { continue }
            labels[label] = json["id"]?.string ?? ""
        }
        return labels
    }

    /// What a container wrote, as far as Azure keeps it: 4 MB while it runs, 16 kB when it has ended.
    ///
    /// - Parameters:
    ///   - name: The group's name.
    ///   - container: The container's name.
    ///   - tail: Only so many lines from the end; `nil` for all.
    ///   - hasTimes: Whether each line begins with when it was written.
    /// - Returns: The text; both streams of the program are in it.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func log(_ name: String, container: String, tail: Int? = nil, hasTimes: Bool = false) async throws -> String
    {
        var query: [String] = []
        if let tail { query.append("tail=\(tail)") }
        if hasTimes { query.append("timestamps=true") }
        let path =
            "\(id(name))/containers/\(container)/logs" + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
        let answer = try await arm.get(path, apiVersion: ContainerGroup.baseVersion)
        return answer["content"]?.string ?? ""
    }

    // MARK: Writing

    /// Makes a group, or replaces it, and waits until it is done.
    ///
    /// - Parameters:
    ///   - group: The group, with its secrets.
    ///   - name: Its name.
    ///   - progress: Is told what happens, from any thread.
    /// - Throws: ``ARMError``, also where it was accepted and ended badly; ``AzureError``; `ServerError`.
    public func put(
        _ group: ContainerGroup,
        name: String,
        progress: @escaping @Sendable (ARMProgress) -> Void
    ) async throws {
        let body = group.writable
        _ = try await arm.put(id(name), apiVersion: body.apiVersion, body: body.json, progress: progress)
    }

    /// Sets the tags of a group; its containers go on.
    ///
    /// - Parameters:
    ///   - tags: All of them: others are removed.
    ///   - name: The group's name.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func setTags(_ tags: [String: String], of name: String) async throws {
        let body: JSONValue = ["tags": JSONValue(tags)]
        _ = try await arm.patch(id(name), apiVersion: ContainerGroup.baseVersion, body: body)
    }

    /// Deletes a group, and waits until it is gone.
    ///
    /// - Parameter name: Its name.
    /// - Returns: Whether there was one.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    @discardableResult
    public func delete(_ name: String) async throws -> Bool {
        try await arm.delete(id(name), apiVersion: ContainerGroup.baseVersion)
    }

    /// Ends all containers of a group; what they changed is lost, and nothing is paid for until they start again.
    ///
    /// - Parameter name: The group's name.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func stop(_ name: String) async throws {
        _ = try await arm.post("\(id(name))/stop", apiVersion: ContainerGroup.baseVersion)
    }

    /// Starts all containers of a group, with their images pulled again, and waits until it is done.
    ///
    /// - Parameter name: The group's name.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func start(_ name: String) async throws {
        _ = try await arm.post("\(id(name))/start", apiVersion: ContainerGroup.baseVersion)
    }

    /// A way into a container: a program's terminal.
    public struct Terminal: Sendable {
        /// Where the terminal is, a URL of a websocket.
        public let url: String
        /// What must be said there first.
        public let password: SecureText
    }

    /// Starts a program in a container.
    ///
    /// - Parameters:
    ///   - program: One program, without arguments: Azure takes none.
    ///   - name: The group's name.
    ///   - container: The container's name.
    ///   - rows: How high the terminal is.
    ///   - columns: How wide the terminal is.
    /// - Returns: Where its terminal is.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`; `ContentError` where the answer has no terminal.
    public func execute(
        _ program: String,
        in name: String,
        container: String,
        rows: Int,
        columns: Int
    ) async throws -> Terminal {
        let body: JSONValue = [
            "command": .string(program), "terminalSize": ["rows": .int(Int64(rows)), "cols": .int(Int64(columns))],
        ]
        let path = "\(id(name))/containers/\(container)/exec"
        let answer = try await arm.post(path, apiVersion: ContainerGroup.baseVersion, body: body)
        guard let url = answer["webSocketUri"]?.string, let password = answer["password"]?.string else {
            throw ContentError(message: "exec in \(name)/\(container): the answer names no terminal")
        }
        return Terminal(url: url, password: SecureText(password))
    }
}

/// Names of regions, which are written in many ways: `West Europe` is `westeurope`.
public enum Region {
    /// The usual spelling.
    ///
    /// - Parameter name: The name of a region.
    /// - Returns: Lower-case letters and digits, without blanks.
    public static func usual(_ name: String) -> String { name.lowercased().filter { $0 != " " } }

    /// Whether two names are of one region.
    ///
    /// - Parameters:
    ///   - one: A name.
    ///   - other: Another.
    /// - Returns: Whether they are; not where one is missing.
    public static func isSame(_ one: String?, _ other: String?) -> Bool {
        guard let one, let other else { return false }
        return usual(one) == usual(other)
    }
}

extension ARMError {
    /// Whether the cloud does not know a version of an interface.
    var isAboutVersion: Bool {
        ["InvalidApiVersionParameter", "NoRegisteredProviderFound", "UnsupportedApiVersion", "InvalidResourceType"]
            .contains { has($0) }
    }
}
