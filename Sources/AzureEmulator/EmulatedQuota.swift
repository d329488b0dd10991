// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// How much a region has for the subscription: container groups, and processors for all of them.
///
/// Specification: Azure Container Instances, "Service quotas and region limits"; `Usage` of the published OpenAPI.
struct EmulatedQuota: Sendable {
    let world: World

    private func groups(in place: String, besides id: String = "") -> [Resource] {
        world.resources(ofType: ContainerInstances.type)
            .filter { group in
                ResourceTypes.location(group.body.member("location")?.string ?? "") == ResourceTypes.location(place)
                    && group.id.lowercased() != id.lowercased()
            }
    }

    /// The processors that the containers of a group ask for.
    private static func cores(_ body: JSONValue) -> Double {
        (body[path: "properties", "containers"]?.array ?? [])
            .compactMap { $0[path: "properties", "resources", "requests", "cpu"]?.number }.reduce(0, +)
    }

    /// What is used, as `az container list-usage` shows it.
    func usages(in place: String) -> [JSONValue] {
        let all = groups(in: place)
        let cores = all.map { EmulatedQuota.cores($0.body) }.reduce(0, +)
        return [
            usage("ContainerGroups", Int64(all.count), world.options.groupQuota),
            usage("StandardCores", Int64(cores.rounded(.up)), world.options.coreQuota),
        ]
    }

    private func usage(_ name: String, _ value: Int64, _ limit: Int64) -> JSONValue {
        [
            "unit": "Count", "currentValue": .int(value), "limit": .int(limit),
            "name": ["value": .string(name), "localizedValue": .string(name)],
        ]
    }

    /// Throws where a group does not fit any more.
    func check(_ body: JSONValue, _ id: String, _ name: String) throws(ARMFault) {
        let place = ResourceTypes.location(body.member("location")?.string ?? "")
        let others = groups(in: place, besides: id)
        let used = others.map { EmulatedQuota.cores($0.body) }.reduce(0, +)
        let wanted = EmulatedQuota.cores(body)
        if Int64(others.count) + 1 > world.options.groupQuota {
            throw EmulatedQuota.reached("ContainerGroups", place, world.options.groupQuota, Double(others.count), 1)
        }
        if used + wanted > Double(world.options.coreQuota) {
            throw EmulatedQuota.reached("StandardCores", place, world.options.coreQuota, used, wanted)
        }
    }

    /// In the words of Container Instances.
    static func reached(
        _ quota: String,
        _ place: String,
        _ limit: Int64,
        _ used: Double,
        _ wanted: Double
    ) -> ARMFault {
        let number = { (value: Double) in
            value == value.rounded() ? String(Int(value)) : JSONValue(value).canonical
        }
        return ARMFault(
            409,
            "ContainerGroupQuotaReached",
            "Resource type 'Microsoft.ContainerInstance/containerGroups' container group quota '\(quota)' exceeded in "
                + "region '\(place)'. Limit: '\(limit)', Usage: '\(number(used))' Requested: '\(number(wanted))'."
        )
    }
}
