// SPDX-License-Identifier: Apache-2.0
import Azure
import Deploy
import Foundation
import OCI
import TestSupport
import Testing

/// Groups that tests begin with.
enum Groups {
    static let digest = "sha256:" + String(repeating: "a", count: 64)
    static let image = "myacr.azurecr.io/web@" + digest

    static func json(_ text: String) throws -> ContainerGroup {
        try ContainerGroup(json: try JSONValue(parsing: Array(text.utf8)))
    }

    /// A wish that mentions everything.
    static var whole: GroupWish {
        var wish = GroupWish()
        (wish.location, wish.restartPolicy, wish.dnsLabel) = ("westeurope", "OnFailure", "my-site")
        (wish.tags, wish.zones, wish.sku) = (["team": "[blue]"], ["1"], "Standard")
        wish.dnsScope = "TenantReuse"
        wish.identities = [
            "/subscriptions/s/resourceGroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app"
        ]
        wish.hasSystemIdentity = true
        wish.credentials = [
            .password(server: "myacr.azurecr.io", user: "build", SecureText("pass-word-1")),
            .identity(
                server: "other.azurecr.io",
                id: "/subscriptions/s/resourceGroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull"
            ),
        ]
        wish.volumes = [
            .init(
                name: "share-vol",
                content: .share(name: "data", account: "acct", key: SecureText("stor-age-key"), isReadOnly: true)
            ),
            .init(name: "empty-vol", content: .empty),
            .init(name: "secret-vol", content: .files(["tls.key": SecureText("a2V5LWZpbGU=")])),
            .init(
                name: "gitrepo-vol",
                content: .repository(url: "https://example.com/a.git", folder: ".", revision: "abc")
            ),
        ]
        wish.containers = [main, sidecar]
        return wish
    }

    private static var main: ContainerWish {
        var wish = ContainerWish()
        (wish.image, wish.command) = (image, ["/bin/app", "--text", "it's $HOME"])
        (wish.cpu, wish.memory, wish.cpuLimit, wish.memoryLimit) = (0.5, 1.5, 1, 2)
        wish.ports = [.init(8080), .init(53, isUDP: true)]
        wish.environment = [
            .init("MODE", .plain("[prod]")), .init("DB_PASSWORD", .secure(SecureText("s3cret-value"))),
        ]
        wish.mounts = [
            .init(volume: "share-vol", path: "/data", isReadOnly: true), .init(volume: "secret-vol", path: "/secrets"),
        ]
        var live = Probe(.http(path: "/health", port: 8080, isSecure: false))
        (live.delay, live.period, live.timeout, live.failures) = (5, 10, 2, 3)
        wish.liveness = .probe(live)
        wish.readiness = .probe(Probe(.command(["cat", "/tmp/ready"])))
        return wish
    }

    private static var sidecar: ContainerWish {
        var wish = ContainerWish()
        (wish.name, wish.image, wish.cpu, wish.memory) = ("proxy", "other.azurecr.io/proxy@" + digest, 0.5, 0.5)
        return wish
    }

    /// A small one: an image, a port, a secret.
    static var small: GroupWish {
        var wish = GroupWish()
        wish.location = "westeurope"
        var container = ContainerWish()
        (container.image, container.ports) = (image, [.init(80)])
        container.environment = [.init("KEY", .secure(SecureText("s3cret-value")))]
        wish.containers = [container]
        wish.credentials = [.password(server: "myacr.azurecr.io", user: "build", SecureText("pass-word-1"))]
        return wish
    }

    /// Every secret of the wishes above.
    static let secrets = ["pass-word-1", "stor-age-key", "a2V5LWZpbGU=", "s3cret-value"]

    /// What ARM says about a group that it was sent: no secrets, but what it decides itself.
    static func given(_ group: ContainerGroup, state: String = "Running", image: String? = nil) throws -> ContainerGroup
    {
        var json = group.json
        for place in group.secretPlaces { json = JSONPath.removing(place, from: group, json) }
        (json["id"], json["name"], json["type"]) = (
            "/subscriptions/s/x", "web", "Microsoft.ContainerInstance/containerGroups"
        )
        json["properties"]?["provisioningState"] = "Succeeded"
        json["properties"]?["instanceView"] = ["state": .string(state), "events": []]
        if json["properties"]?["ipAddress"] != nil {
            json["properties"]?["ipAddress"]?["ip"] = "20.1.2.3"
            json["properties"]?["ipAddress"]?["fqdn"] = "my-site.westeurope.azurecontainer.io"
        }
        let containers = (json["properties"]?["containers"]?.array ?? [])
            .map { container -> JSONValue in
                var container = container
                container["properties"]?["instanceView"] = [
                    "restartCount": 0, "currentState": ["state": .string(state), "startTime": "2026-01-01T00:00:00Z"],
                ]
                if let image { container["properties"]?["image"] = .string(image) }
                return container
            }
        json["properties"]?["containers"] = .array(containers)
        return try ContainerGroup(json: json)
    }
}

/// Takes secrets out as ARM does.
enum JSONPath {
    static func removing(_ place: SecretPlace, from group: ContainerGroup, _ json: JSONValue) -> JSONValue {
        guard let secret = group.secret(at: place) else { return json }
        return without(.string(secret.value), json)
    }

    private static func without(_ secret: JSONValue, _ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members): .object(members.filter { $0.value != secret }.mapValues { without(secret, $0) })
        case .array(let elements): .array(elements.map { without(secret, $0) })
        default: value
        }
    }
}

/// The strict schemas of requests.
enum Schemas {
    static func faults(of group: ContainerGroup) throws -> [String]? {
        guard let folder = JSONSchema.azure else { return nil }
        let file = folder.appending(path: "request-schemas/containerinstance-containerGroups-\(group.apiVersion).json")
        return try JSONSchema(file).faults(of: group.json.canonical)
    }

    static func faults(ofTemplate text: String) throws -> [String]? {
        guard let folder = JSONSchema.azure?.appending(path: "arm-template-schemas") else { return nil }
        let template = try JSON(parsing: text)
        let resource = template["resources"].array[0]
        let version = resource["apiVersion"].string ?? ""
        let types = try JSONSchema(folder.appending(path: "\(version)_Microsoft.ContainerInstance.json"))
        let body = try JSONSerialization.data(withJSONObject: try #require(resource.raw))
        return try JSONSchema(folder.appending(path: "2019-04-01_deploymentTemplate.json")).faults(of: text)
            + types.faults(of: String(decoding: body, as: UTF8.self), at: "/resourceDefinitions/containerGroups")
    }
}
