// SPDX-License-Identifier: Apache-2.0
internal import Kubernetes
internal import OCI

/// What the pods of a deployment need besides their images.
struct PodReferences {
    /// Something that must be there.
    struct Reference: Hashable {
        let kind: ResourceKind
        let name: String
        /// What of it; `nil` for all.
        var key: String?
        /// What it is needed for: `the variable TOKEN of web`.
        let purpose: String
    }

    /// What variables are made of, which pods read when they start.
    private(set) var variables: [Reference] = []
    /// All else: volumes, secrets to pull with, who the pods are.
    private(set) var others: [Reference] = []

    var all: [Reference] { variables + others }

    /// Whether the pods bring secrets to pull with.
    private(set) var hasPullSecrets = false

    init(_ manifest: JSONValue) {
        guard let pod = manifest["spec"]?["template"]?["spec"] else { return }
        for container in (pod["initContainers"]?.array ?? []) + (pod["containers"]?.array ?? []) { add(container) }
        for volume in pod["volumes"]?.array ?? [] { add(volume: volume) }
        for secret in pod["imagePullSecrets"]?.array ?? [] {
            hasPullSecrets = true
            add(.secret, secret["name"], "pulling its image", optional: nil)
        }
        if let account = pod["serviceAccountName"], account.string != "default" {
            add(.serviceAccount, account, "its account", optional: nil)
        }
    }

    private mutating func add(_ container: JSONValue) {
        let owner = container["name"]?.string ?? ""
        for source in container["envFrom"]?.array ?? [] {
            for (field, kind) in [("secretRef", ResourceKind.secret), ("configMapRef", .configMap)] {
                guard let reference = source[field], reference["optional"]?.bool != true,
                    let name = reference["name"]?.string
                else { continue }
                variables.append(Reference(kind: kind, name: name, purpose: "the variables of \(owner)"))
            }
        }
        for variable in container["env"]?.array ?? [] {
            for (field, kind) in [("secretKeyRef", ResourceKind.secret), ("configMapKeyRef", .configMap)] {
                guard let reference = variable["valueFrom"]?[field], reference["optional"]?.bool != true,
                    let name = reference["name"]?.string
                else { continue }
                let purpose = "the variable \(variable["name"]?.string ?? "") of \(owner)"
                variables.append(Reference(kind: kind, name: name, key: reference["key"]?.string, purpose: purpose))
            }
        }
    }

    private mutating func add(volume: JSONValue) {
        let purpose = "the volume \(volume["name"]?.string ?? "")"
        add(.secret, volume["secret"]?["secretName"], purpose, optional: volume["secret"]?["optional"])
        add(.configMap, volume["configMap"]?["name"], purpose, optional: volume["configMap"]?["optional"])
        add(.volumeClaim, volume["persistentVolumeClaim"]?["claimName"], purpose, optional: nil)
        for source in volume["projected"]?["sources"]?.array ?? [] {
            add(.secret, source["secret"]?["name"], purpose, optional: source["secret"]?["optional"])
            add(.configMap, source["configMap"]?["name"], purpose, optional: source["configMap"]?["optional"])
        }
    }

    private mutating func add(_ kind: ResourceKind, _ name: JSONValue?, _ purpose: String, optional: JSONValue?) {
        guard let name = name?.string, optional?.bool != true else { return }
        others.append(Reference(kind: kind, name: name, purpose: purpose))
    }
}
