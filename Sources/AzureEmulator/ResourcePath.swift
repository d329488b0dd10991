// SPDX-License-Identifier: Apache-2.0

/// What a path of the resource manager names.
///
/// Paths are taken whatever their case; names keep the case that they were written in.
struct ResourcePath {
    /// The subscription; `nil` where the path names none.
    private(set) var subscription: String?
    /// The resource group; `nil` where the path names none.
    private(set) var group: String?
    /// What comes before the last provider: the scope of what comes after it.
    private(set) var scope = ""
    /// The last provider; `nil` where there is none.
    private(set) var provider: String?
    /// Types and names in turn after the provider; where there is none, what stands behind the subscription.
    private(set) var parts: [String] = []

    init(_ given: [String]) {
        var segments = given
        // Operations of deployments are also asked for without the provider.
        if segments.count > 4, segments[2].lowercased() == "resourcegroups", segments[4].lowercased() == "deployments" {
            segments.insert(contentsOf: ["providers", "Microsoft.Resources"], at: 4)
        }
        var head = segments
        if let place = segments.lastIndex(where: { $0.lowercased() == "providers" }), place + 1 < segments.count,
            // A list of providers is below a subscription itself.
            !(place == 2 && segments.count <= 5 && ["register", "unregister"].contains(segments.last?.lowercased())),
            !(place == 2 && segments.count == 4)
        {
            provider = segments[place + 1]
            parts = Array(segments[(place + 2)...])
            head = Array(segments[..<place])
        }
        scope = head.isEmpty ? "" : "/" + head.joined(separator: "/")
        guard head.count >= 2, head[0].lowercased() == "subscriptions" else {
            if provider == nil { parts = segments }
            return
        }
        subscription = head[1]
        if head.count >= 4, head[2].lowercased() == "resourcegroups" { group = head[3] }
        if provider == nil { parts = Array(head[2...]) }
    }

    /// The type with its provider: `Microsoft.ContainerInstance/containerGroups`; types within types after slashes.
    var type: String {
        let types = parts.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        return ([provider ?? "Microsoft.Resources"] + types).joined(separator: "/")
    }

    /// The part at a place in lower case; empty where there is none.
    func word(_ place: Int) -> String { place < parts.count ? parts[place].lowercased() : "" }

    /// The identifier of the first resource after the provider.
    func identifier(_ type: String) -> String { "\(normalScope)/providers/\(provider ?? "")/\(type)/\(parts[1])" }

    /// The scope with the words of the resource manager in their usual case.
    var normalScope: String {
        scope.split(separator: "/")
            .map { word in
                switch word.lowercased() {
                case "subscriptions": "subscriptions"
                case "resourcegroups": "resourceGroups"
                case "providers": "providers"
                default: String(word)
                }
            }
            .reduce("") { $0 + "/" + $1 }
    }
}
