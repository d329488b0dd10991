// SPDX-License-Identifier: Apache-2.0

/// The types of resources that are emulated, and in which versions.
enum ResourceTypes {
    /// By type in lower case.
    static let versions: [String: [String]] = [
        "microsoft.containerinstance/containergroups": [
            "2018-02-01-preview", "2018-04-01", "2018-06-01", "2018-09-01", "2018-10-01", "2019-12-01", "2020-11-01",
            "2021-03-01", "2021-07-01", "2021-09-01", "2021-10-01", "2022-09-01", "2022-10-01-preview", "2023-05-01",
            "2024-05-01-preview", "2024-09-01-preview", "2024-10-01-preview", "2024-11-01-preview", "2025-09-01",
            "2026-07-01",
        ],
        "microsoft.containerregistry/registries": [
            "2017-10-01", "2019-05-01", "2019-05-01-preview", "2019-06-01-preview", "2019-12-01-preview",
            "2020-11-01-preview", "2021-06-01-preview", "2021-08-01-preview", "2021-09-01", "2021-12-01-preview",
            "2022-02-01-preview", "2022-12-01", "2023-01-01-preview", "2023-06-01-preview", "2023-07-01",
            "2023-08-01-preview", "2023-11-01-preview", "2024-11-01-preview", "2025-03-01-preview", "2025-04-01",
            "2025-05-01-preview", "2025-06-01-preview", "2025-11-01", "2026-01-01-preview",
        ],
        "microsoft.containerservice/managedclusters": [
            "2020-12-01", "2021-05-01", "2022-01-01", "2022-11-01", "2023-01-01", "2023-05-01", "2023-10-01",
            "2024-01-01", "2024-02-01", "2024-05-01", "2024-09-01", "2025-01-01", "2025-05-01", "2025-10-01",
        ],
        "microsoft.authorization/roleassignments": [
            "2015-07-01", "2017-10-01-preview", "2018-01-01-preview", "2018-09-01-preview", "2020-03-01-preview",
            "2020-04-01-preview", "2020-08-01-preview", "2020-10-01-preview", "2022-04-01",
        ],
        "microsoft.authorization/roledefinitions": [
            "2015-07-01", "2018-01-01-preview", "2022-04-01", "2022-05-01-preview", "2023-07-01-preview",
        ],
        "microsoft.managedidentity/userassignedidentities": [
            "2015-08-31-preview", "2018-11-30", "2022-01-31-preview", "2023-01-31", "2023-07-31-preview",
            "2024-11-30", "2025-01-31-preview",
        ],
        "microsoft.resources/deployments": [
            "2019-05-01", "2019-07-01", "2019-08-01", "2019-10-01", "2020-06-01", "2020-08-01", "2020-10-01",
            "2021-01-01", "2021-04-01", "2022-09-01", "2023-07-01", "2024-03-01", "2024-07-01", "2024-11-01",
            "2025-03-01", "2025-04-01",
        ],
    ]

    /// Where resources can be.
    static let locations = [
        "australiaeast", "brazilsouth", "canadacentral", "centralindia", "centralus", "eastasia", "eastus", "eastus2",
        "francecentral", "germanywestcentral", "japaneast", "koreacentral", "northcentralus", "northeurope",
        "norwayeast", "southafricanorth", "southcentralus", "southeastasia", "swedencentral", "switzerlandnorth",
        "uaenorth", "uksouth", "ukwest", "westcentralus", "westeurope", "westindia", "westus", "westus2", "westus3",
    ]

    /// Providers by their names, with the types of each.
    static let providers: [(name: String, types: [String])] = [
        ("Microsoft.Authorization", ["roleAssignments", "roleDefinitions"]),
        (
            "Microsoft.ContainerInstance",
            ["containerGroups", "locations", "locations/operations", "locations/capabilities", "locations/usages"]
        ),
        ("Microsoft.ContainerRegistry", ["registries", "checkNameAvailability", "locations"]),
        ("Microsoft.ContainerService", ["managedClusters"]),
        ("Microsoft.ManagedIdentity", ["userAssignedIdentities"]),
        ("Microsoft.Resources", ["deployments", "resourceGroups", "subscriptions"]),
    ]

    /// A place in the form that resources have it: `West Europe` is `westeurope`.
    static func location(_ text: String) -> String { text.lowercased().filter { $0 != " " } }

    /// Checks that a type is known in a version, in the words of the resource manager.
    static func check(_ type: String, _ version: String?, location: String? = nil) throws(ARMFault) {
        guard let version, !version.isEmpty else {
            throw ARMFault(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests."
            )
        }
        guard isVersion(version) else {
            throw ARMFault(
                400,
                "InvalidApiVersionParameter",
                "The api-version '\(version)' is invalid. The supported versions are "
                    + "'\(versions.values.flatMap { $0 }.reduce(into: Set()) { $0.insert($1) }.sorted().suffix(12).joined(separator: ","))'."
            )
        }
        let words = type.split(separator: "/")
        let top = words.prefix(2).joined(separator: "/").lowercased()
        guard let known = versions[top] else { return }
        let place = location.map { ResourceTypes.location($0) }
        let isPlace = place.map { locations.contains($0) || $0 == "global" } ?? true
        // A client that is newer than this list knows what it asks for.
        let isKnown = known.contains(version) || version > known.max() ?? ""
        guard isKnown, isPlace else {
            throw ARMFault(
                400,
                "NoRegisteredProviderFound",
                "No registered resource provider found for location '\(place ?? "")' and API version '\(version)' for "
                    + "type '\(words.dropFirst().joined(separator: "/"))'. The supported api-versions are "
                    + "'\(known.sorted(by: >).joined(separator: ", "))'. The supported locations are "
                    + "'\(locations.joined(separator: ", "))'."
            )
        }
    }

    /// Whether a text has the form of a version: a day, with a word for what is not final.
    private static func isVersion(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 3, parts.count <= 4, parts[..<3].map(\.count) == [4, 2, 2] else { return false }
        return parts[..<3].allSatisfy { $0.allSatisfy(\.isNumber) }
            && (parts.count == 3 || ["preview", "alpha", "beta", "privatepreview"].contains(parts[3]))
    }
}
