// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Glibc
internal import HTTP
internal import OCI

extension ACITarget {
    /// Looks at everything that can be looked at without changing anything: the image, the rights, the place, the limits.
    ///
    /// - Returns: What was found, good and bad.
    /// - Throws: `ARMError` where the group itself cannot be read; ``AzureError``; `ServerError`.
    public func check() async throws -> [DeployFinding] {
        var found: [DeployFinding] = []
        guard let home = try await home(&found) else { return found }
        let existing = try await service.find(name)
        var group = ContainerGroup.merging(wish, into: existing, name: name)
        if group.location == nil { group.location = home }
        found += GroupRules.faults(of: group, name: name).map { .init("group", .bad, $0) }
        if let existing {
            let state = existing.state.state.isEmpty ? existing.state.provisioning : existing.state.state
            found.append(.init("name", .good, "\(name) is there, and is updated (\(state.lowercased()))"))
        } else {
            found.append(.init("name", .good, "\(name) is free in \(service.resourceGroup)"))
        }
        let location = Region.usual(group.location ?? home)
        await look("provider", &found) { try await provider(location) }
        await look("DNS label", &found) { try await label(group, existing, location) }
        await look("limits", &found) { try await limits(group, existing, location) }
        return found
    }

    /// Looks at the images alone.
    ///
    /// - Returns: What was found, good and bad.
    public func checkImages() -> [DeployFinding] {
        images.flatMap(\.findings)
    }

    /// The resource group's region; `nil` where there is no such group.
    private func home(_ found: inout [DeployFinding]) async throws -> String? {
        do {
            if let home = try await service.location() {
                found.append(.init("resource group", .good, "\(service.resourceGroup) is in \(home)"))
                return home
            }
            let place = wish.location ?? "westeurope"
            found.append(
                .init(
                    "resource group",
                    .bad,
                    "there is no resource group \(service.resourceGroup) in the subscription \(service.subscription)",
                    hint: "az group create --name \(service.resourceGroup) --location \(place)"
                )
            )
            return nil
        } catch let error as ARMError where error.status == 403 && wish.location != nil {
            // Rights on the container groups alone are enough where the region is said.
            let message = "the resource group cannot be read: \(error.description)"
            found.append(.init("resource group", .doubtful, message))
            return wish.location
        }
    }

    /// What cannot be looked at is no reason to stop.
    private func look(
        _ what: String,
        _ found: inout [DeployFinding],
        _ body: () async throws -> [DeployFinding]
    ) async {
        do {
            found += try await body()
        } catch let error as ARMError {
            found.append(.init(what, .doubtful, "not looked at: \(error.description)", hint: error.remedy))
        } catch {
            found.append(.init(what, .doubtful, "not looked at: \(error)"))
        }
    }

    private func provider(_ location: String) async throws -> [DeployFinding] {
        guard let provider = try await service.provider() else {
            return [
                .init("provider", .doubtful, "the cloud does not say whether Microsoft.ContainerInstance is registered")
            ]
        }
        guard provider.isRegistered else {
            return [
                .init(
                    "provider",
                    .bad,
                    "the subscription \(service.subscription) is not registered for Microsoft.ContainerInstance",
                    hint: "az provider register --namespace Microsoft.ContainerInstance --wait"
                )
            ]
        }
        let regions = provider.locations.map { Region.usual($0) }
        guard regions.isEmpty || regions.contains(location) else {
            let near = regions.sorted().prefix(40).joined(separator: " ")
            let message = "Container Instances is not in the region \(location)"
            return [.init("region", .bad, message, hint: "--location, one of: \(near)")]
        }
        return [.init("region", .good, "Container Instances is registered, and is in \(location)")]
    }

    private func label(
        _ group: ContainerGroup,
        _ existing: ContainerGroup?,
        _ location: String
    ) async throws -> [DeployFinding] {
        // Before an image is built its ports are not known, and there is no address yet.
        guard let label = group.address?.label ?? wish.dnsLabel else { return [] }
        if existing?.address?.label == label { return [] }
        let id = service.id(name).lowercased()
        if let owner = try await service.labels(in: location)[label], owner.lowercased() != id {
            let message = "the DNS label \(label) is taken in \(location), by \(owner.split(separator: "/").last ?? "")"
            return [.init("DNS label", .bad, message, hint: "--dns-label, another one")]
        }
        let host = "\(label).\(location).\(service.arm.cloud.containerInstanceSuffix)"
        if wish.dnsScope == nil, !service.arm.cloud.isLocal, ACITarget.resolves(host) {
            let message = "the DNS label \(label) is taken in \(location): \(host) is there already"
            return [.init("DNS label", .bad, message, hint: "--dns-label, another one, or --dns-scope TenantReuse")]
        }
        return [.init("DNS label", .good, "\(label) is free in \(location)")]
    }

    /// A number as people write it: `4`, `0.5`.
    private func text(_ number: Double) -> String { JSONValue(number).canonical }

    private static func resolves(_ host: String) -> Bool {
        var list: UnsafeMutablePointer<addrinfo>?
        defer { if let list { freeaddrinfo(list) } }
        return getaddrinfo(host, nil, nil, &list) == 0
    }

    private func limits(
        _ group: ContainerGroup,
        _ existing: ContainerGroup?,
        _ location: String
    ) async throws -> [DeployFinding] {
        let cpu = group.containers.compactMap(\.cpu).reduce(0, +)
        let memory = group.containers.compactMap(\.memory).reduce(0, +)
        var found: [DeployFinding] = []
        if let most = try await service.capability(in: location, isPublic: group.address?.isPublic == true) {
            if cpu > most.cpu || memory > most.memory {
                let message =
                    "the group wants \(text(cpu)) CPU and \(text(memory)) GB, and \(location) gives a group at most "
                    + "\(text(most.cpu)) CPU and \(text(most.memory)) GB"
                found.append(.init("limits", .bad, message, hint: "--cpu and --memory, or another --location"))
            }
        }
        let had = existing?.containers.compactMap(\.cpu).reduce(0, +) ?? 0
        for usage in try await service.usage(in: location) {
            let more = usage.name == "ContainerGroups" ? (existing == nil ? 1 : 0) : cpu - had
            guard ["ContainerGroups", "StandardCores"].contains(usage.name), more > 0, usage.used + more > usage.limit
            else { continue }
            let message =
                "\(location) has no room: \(usage.name) \(text(usage.used)) of \(text(usage.limit)) are used, and "
                + "\(text(more)) more needed"
            let hint =
                "az container list-usage --location \(location) shows what is used: delete groups, ask for more at "
                + "https://aka.ms/azquota, or --location, another one"
            found.append(.init("quota", .bad, message, hint: hint))
        }
        if found.isEmpty {
            found.append(.init("limits", .good, "\(text(cpu)) CPU and \(text(memory)) GB are within the limits"))
        }
        return found
    }
}
